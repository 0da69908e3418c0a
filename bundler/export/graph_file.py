"""ONNX graphs on disk: weights in one file beside the graph, the same bytes each time.

Exporters leave traces of the machine in a graph (source paths, stack traces): `strip_traces`
removes them, so that two hosts write equal files.
"""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import onnx
    import onnx_ir

__all__ = [
    "DATA_SUFFIX",
    "load_graph",
    "load_model",
    "save_graph",
    "save_model",
    "save_program",
    "strip_traces",
]

DATA_SUFFIX = ".data"

# Scalars and shapes stay in the graph, where shape inference can see them.
_EXTERNAL_FROM_BYTES = 1024


def load_graph(path: Path) -> "onnx.ModelProto":
    """Read a graph without its weights; they stay references to the data file."""
    import onnx

    return onnx.load(path, load_external_data=False)


def load_model(path: Path) -> "onnx.ModelProto":
    """Read a graph with all weights in memory."""
    import onnx

    return onnx.load(path)


def save_graph(model: "onnx.ModelProto", path: Path) -> None:
    """Write a graph whose weights are references, as they are."""
    path.write_bytes(model.SerializeToString(deterministic=True))


def save_model(model: "onnx.ModelProto", path: Path) -> None:
    """Write a graph and put its weights, in graph order, into `NAME.data` beside it."""
    import onnx_ir as ir

    strip_traces(model)
    _write(ir.from_proto(model), path)


def save_program(program: "onnx_ir.Model", path: Path) -> None:
    """Write what torch exported, as `save_model` does, without a second copy of its weights."""
    _write(program, path)
    model = load_graph(path)
    strip_traces(model)
    save_graph(model, path)


def strip_traces(model: "onnx.ModelProto") -> None:
    """Remove documentation strings and metadata, in the graph and everything below it."""
    model.doc_string = ""
    del model.metadata_props[:]
    for function in model.functions:
        function.doc_string = ""
        del function.metadata_props[:]
        for node in function.node:
            _strip_node(node)
    _strip_graph(model.graph)


def _write(model: "onnx_ir.Model", path: Path) -> None:
    import onnx_ir as ir

    data = path.with_name(path.name + DATA_SUFFIX)
    data.unlink(missing_ok=True)
    ir.save(model, path, external_data=data.name, size_threshold_bytes=_EXTERNAL_FROM_BYTES)


def _strip_graph(graph: "onnx.GraphProto") -> None:
    graph.doc_string = ""
    del graph.metadata_props[:]
    for node in graph.node:
        _strip_node(node)
    for value in (*graph.input, *graph.output, *graph.value_info):
        value.doc_string = ""
        del value.metadata_props[:]
    for tensor in graph.initializer:
        tensor.doc_string = ""
        del tensor.metadata_props[:]


def _strip_node(node: "onnx.NodeProto") -> None:
    node.doc_string = ""
    del node.metadata_props[:]
    for attribute in node.attribute:
        attribute.doc_string = ""
        if attribute.HasField("g"):
            _strip_graph(attribute.g)
        for graph in attribute.graphs:
            _strip_graph(graph)
