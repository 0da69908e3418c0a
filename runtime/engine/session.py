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

__all__ = ["CPU", "RUN_ERRORS", "open_prepacked", "open_session", "runtime_version",
           "save_options", "save_prepacked"]  # fmt: skip

CPU = "cpu"
_WEIGHTS_FOLDER = "session.model_external_initializers_file_folder_path"
_LOG_ERRORS_ONLY = 3
_OPTIONS = {
    # Weights are packed by all threads: by one, it is most of the time that a load takes.
    "session.prepack.enable_parallel": "1",
    # What is folded is held in memory a second time: a reshaped embedding is no gain worth that.
    "optimization.constant_folding_max_output_size_in_bytes": str(1 << 20),
}
_SAVE_OPTIONS = {
    "session.save_external_prepacked_constant_initializers": "1",
    "session.optimized_model_external_initializers_min_size_in_bytes": "1024",
}
_DATA_NAME = "session.optimized_model_external_initializers_file_name"

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
    return _open(graph, _options(folder, threads))


def open_prepacked(graph: bytes, folder: Path, *, threads: int) -> onnxruntime.InferenceSession:
    """Load a graph that `save_prepacked` wrote, with its weights as the kernels read them.

    Raises:
        LoadError: onnxruntime refuses it.
    """
    options = _options(folder, threads)
    # It is the graph that optimizing gave.
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    return _open(graph, options)


def save_prepacked(graph: bytes, folder: Path, *, into: Path, data_name: str, threads: int) -> None:
    """Load a checked graph and write it optimized and prepacked.

    Args:
        into: the file of the new graph.
        data_name: of the file beside it that gets the weights.

    Raises:
        LoadError: onnxruntime refuses the graph, or cannot write.
    """
    options = _options(folder, threads)
    for name, value in _SAVE_OPTIONS.items():
        options.add_session_config_entry(name, value)
    options.add_session_config_entry(_DATA_NAME, data_name)
    options.optimized_model_filepath = str(into)
    _open(graph, options)


def save_options() -> tuple[tuple[str, str], ...]:
    """Return the options that what is saved depends on."""
    return tuple(sorted({**_OPTIONS, **_SAVE_OPTIONS}.items()))


def runtime_version() -> str:
    """Return version and build of onnxruntime."""
    return f"{onnxruntime.get_version_string()}; {onnxruntime.get_build_info()}"


def _options(folder: Path, threads: int) -> onnxruntime.SessionOptions:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = _LOG_ERRORS_ONLY
    options.add_session_config_entry(_WEIGHTS_FOLDER, str(folder))
    for name, value in _OPTIONS.items():
        options.add_session_config_entry(name, value)
    return options


def _open(graph: bytes, options: onnxruntime.SessionOptions) -> onnxruntime.InferenceSession:
    try:
        return onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    except RUN_ERRORS as error:
        raise LoadError(f"onnxruntime refuses the graph: {error}") from error
