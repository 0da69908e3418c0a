"""Settings of other people's libraries that a build depends on, in one place.

Their telemetry is off, their own progress bars and advice are silent (ours are the ones on the
screen), and while the hub is closed nothing can be loaded but from the folder we checked.
"""

import importlib.util
import logging
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from sealift.bundler.errors import LibrariesMissingError
from sealift.manifests.telemetry import disable_telemetry

__all__ = ["advice_ignored", "hub_closed", "quieten_libraries", "require_libraries", "suit_threads"]

# Below this, torch's threads cost more in meetings than they save in work: on a busy two-core host
# a 1.4 M parameter model answered 25 times faster on one.
_PARAMETERS_FOR_THREADS = 50_000_000

_REQUIRED = ("torch", "transformers", "optimum", "onnx", "onnxscript", "onnxruntime_genai", "peft")

_LOGGERS = (
    "torch.onnx",
    "torch.onnx._internal.exporter._registration",
    "torch.export",
    "onnxscript",
    "onnx_ir",
    "onnxruntime.quantization",
    "onnxruntime.quantization.matmul_nbits_quantizer",
    "optimum",
    "peft",
)


def require_libraries() -> None:
    """Check, without importing any, that this installation can build.

    Raises:
        LibrariesMissingError: it was made for the air-gapped side.
    """
    missing = [name for name in _REQUIRED if importlib.util.find_spec(name) is None]
    if missing:
        raise LibrariesMissingError(
            f"this installation cannot build: {', '.join(missing)} not installed",
            hint="pip install 'sealift[build]'",
        )


def quieten_libraries() -> None:
    """Apply the settings; importing the heavy libraries is part of it."""
    disable_telemetry()
    # Threads that wait by spinning starve each other on a busy host: 64 s became 5 s without.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    # Torch sets its own loggers up when it is imported: ours must come after.
    from transformers.utils import logging as transformers_logging

    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    for name in _LOGGERS:
        logging.getLogger(name).setLevel(logging.ERROR)


@contextmanager
def advice_ignored() -> Iterator[None]:
    """Keep the libraries' advice to each other (deprecations) off the user's screen."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@contextmanager
def hub_closed() -> Iterator[None]:
    """Let no library ask the hub for anything: all that a build needs was fetched and checked."""
    from huggingface_hub import constants

    before = constants.HF_HUB_OFFLINE
    constants.HF_HUB_OFFLINE = True
    try:
        yield
    finally:
        constants.HF_HUB_OFFLINE = before


def suit_threads(parameters: int) -> None:
    """Give torch one thread for a small model, and every core for a large one."""
    import torch

    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    torch.set_num_threads((cores or 1) if parameters >= _PARAMETERS_FOR_THREADS else 1)
