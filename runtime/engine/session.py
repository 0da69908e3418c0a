"""Open a graph with plain onnxruntime. Only a worker process imports this module.

The graph comes from memory (the bytes that were checked); its weights are mapped from files that
were checked, in the one folder they may come from.
"""

from pathlib import Path

from sealift.manifests.telemetry import disable_telemetry

disable_telemetry()  # before onnxruntime reads the switch, once, at import

import onnxruntime  # noqa: E402
from onnxruntime.capi import onnxruntime_pybind11_state as _state  # noqa: E402

from sealift.runtime.engine.errors import LoadError  # noqa: E402

__all__ = ["CPU", "RUN_ERRORS", "open_session"]

CPU = "cpu"
_WEIGHTS_FOLDER = "session.model_external_initializers_file_folder_path"
_LOG_ERRORS_ONLY = 3

RUN_ERRORS: tuple[type[Exception], ...] = (
    _state.EPFail,
    _state.Fail,
    _state.InvalidArgument,
    _state.InvalidGraph,
    _state.InvalidProtobuf,
    _state.NoModel,
    _state.NoSuchFile,
    _state.NotImplemented,
    _state.RuntimeException,
)


def open_session(graph: bytes, folder: Path, *, threads: int) -> onnxruntime.InferenceSession:
    """Load a checked graph on the CPU.

    Raises:
        LoadError: onnxruntime refuses it.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = _LOG_ERRORS_ONLY
    options.add_session_config_entry(_WEIGHTS_FOLDER, str(folder))
    try:
        return onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    except RUN_ERRORS as error:
        raise LoadError(f"onnxruntime refuses the graph: {error}") from error
