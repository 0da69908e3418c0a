"""Decoder language models: the genai model builder in a child process, then our graph edits.

The builder makes int4, int8 and fp32 graphs for a CPU. fp16 is its fp32 graph with the weights
stored in half precision. The embedding table that the builder leaves in fp32 (2 GB of it in a large
model) is quantized too: to int8, or shared with the LM head where the model ties them.
"""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from sealift.bundler.errors import ExportError
from sealift.bundler.export.builder_process import PEAK_MARK
from sealift.bundler.export.graph_file import load_graph, load_model, save_graph, save_model
from sealift.bundler.export.serving_graph import SERVING_GRAPH, edit_for_serving
from sealift.bundler.plan import VariantPlan
from sealift.bundler.quantize import has_plain_embedding, quantize_embedding, store_as_half
from sealift.manifests.recipe import Precision

__all__ = ["Builder", "export_decoder"]

#: Takes source, out, precision and block size; returns its peak memory in bytes.
Builder = Callable[[Path, Path, str, int], int]

_FILES = ("model.onnx", "model.onnx.data", "genai_config.json")
_TAIL_LINES = 1


def export_decoder(
    source: Path, out: Path, plan: VariantPlan, *, run_builder: Builder | None = None
) -> int:
    """Fill a variant folder with `model.onnx`, its weights, the serving graph and genai's config.

    Args:
        source: a checked model folder.
        out: the variant's folder, which exists.
        plan: the variant.
        run_builder: how to run the builder; a child process if not given.

    Returns:
        The peak memory of the builder's process, in bytes.

    Raises:
        ExportError: the builder does not support the model, or the graph is not as expected.
    """
    built = out / ".builder"
    precision = plan.precision
    builders = Precision.FP32 if precision is Precision.FP16 else precision
    run = run_builder or _run_in_child
    peak_bytes = run(source, built, builders.value, plan.block_size)
    for name in _FILES:
        (built / name).rename(out / name)
    for leftover in sorted(built.iterdir()):
        leftover.unlink()
    built.rmdir()
    _finish_precision(out / "model.onnx", plan)
    save_graph(edit_for_serving(load_graph(out / "model.onnx")), out / SERVING_GRAPH)
    return peak_bytes


def _finish_precision(path: Path, plan: VariantPlan) -> None:
    match plan.precision:
        case Precision.INT4 | Precision.INT8:
            # Tied int4 tables are shared with the LM head already: nothing to load or write.
            if has_plain_embedding(load_graph(path)):
                model = load_model(path)
                quantize_embedding(model, block_size=plan.block_size)
                save_model(model, path)
        case Precision.FP16:
            model = load_model(path)
            store_as_half(model)
            save_model(model, path)
        case Precision.FP32:
            pass  # the builder's own graph stays as it is


def _run_in_child(source: Path, out: Path, precision: str, block_size: int) -> int:
    environment = {
        **os.environ,
        "ORT_DISABLE_TELEMETRY": "1",
        "HF_HUB_OFFLINE": "1",
        "PYTHONHASHSEED": "0",
        "TRANSFORMERS_VERBOSITY": "error",
    }
    command = [sys.executable, "-m", "sealift.bundler.export.builder_process"]
    command += [str(source), str(out), precision, str(block_size)]
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, errors="replace"
    )
    if done.returncode != 0:
        lines = [line for line in done.stderr.splitlines() if line.strip()] or ["no message"]
        raise ExportError(
            f"model builder: {' '.join(lines[-_TAIL_LINES:])}",
            hint="this model's architecture or configuration may not be supported yet",
        )
    missing = [name for name in _FILES if not (out / name).is_file()]
    if missing:
        raise ExportError(f"model builder: expected {', '.join(missing)}, got no such file")
    mark = done.stdout.rpartition(PEAK_MARK)[2].strip()
    return int(mark) if mark.isdigit() else 0
