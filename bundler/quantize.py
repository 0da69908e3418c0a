"""Smaller weights: int4 and int8 in blocks with one scale each, or half precision for storage.

Only weights change type; activations and accumulation stay as ONNX Runtime's kernels choose
(`accuracy_level` 4: int8 products, the fast path of a CPU). Nothing here switches a check off.
"""

from typing import TYPE_CHECKING, Any

from sealift.bundler.errors import ExportError
from sealift.manifests.recipe import Precision

if TYPE_CHECKING:
    import numpy as np
    import onnx

__all__ = ["has_plain_embedding", "quantize_embedding", "quantize_matmuls", "store_as_half"]

_BITS = {Precision.INT4: 4, Precision.INT8: 8}
_ACCURACY_LEVEL = 4
_CONTRIB = "com.microsoft"
# Tables of a few rows (token types) are not worth a kernel.
_TABLE_ROWS_MIN = 1000
_STRIPE_ROWS = 16384
# Biases, norms and rotation caches are small and sensitive: they stay in single precision.
_HALF_BYTES_MIN = 4096


def quantize_matmuls(
    model: "onnx.ModelProto", precision: Precision, *, block_size: int
) -> "onnx.ModelProto":
    """Return the model with each constant MatMul weight quantized in blocks along its input side.

    Raises:
        ExportError: no weight was found to quantize.
    """
    from sealift.manifests.telemetry import disable_telemetry

    disable_telemetry()
    from onnxruntime.quantization.matmul_nbits_quantizer import MatMulNBitsQuantizer

    quantizer = MatMulNBitsQuantizer(
        model,
        bits=_BITS[precision],
        block_size=block_size,
        # int4 with a zero point a block halves the error of a small encoder for 0.1 bit a weight;
        # int8 gains nothing from one.
        is_symmetric=precision is Precision.INT8,
        accuracy_level=_ACCURACY_LEVEL,
    )
    quantizer.process()
    quantized: onnx.ModelProto = quantizer.model.model
    if not any(node.op_type == "MatMulNBits" for node in quantized.graph.node):
        raise ExportError(f"quantize {precision.value}: expected constant MatMul weights, got none")
    _use_contrib(quantized)
    return quantized


def quantize_embedding(model: "onnx.ModelProto", *, block_size: int) -> None:
    """Quantize the token embedding table to int8, in place.

    A decoder that ties its table to an LM head which is int8 already reads that weight instead of
    storing a second one. A table that no node gathers is not an error: there is nothing to do.
    """
    graph = model.graph
    tensors = {tensor.name: tensor for tensor in graph.initializer}
    for gather in _table_gathers(graph):
        table = tensors[gather.input[0]]
        if table.dims[1] % block_size:
            continue
        packed, scales = _tied_head(graph, table) or _quantized_table(graph, table, block_size)
        _gather_blocks(graph, gather, packed, scales, block_size)
        _drop_unused(graph, table.name)
    _use_contrib(model)


def has_plain_embedding(model: "onnx.ModelProto") -> bool:
    """Whether the graph reads an embedding table that is not quantized; weights may be absent."""
    return bool(_table_gathers(model.graph))


def store_as_half(model: "onnx.ModelProto") -> None:
    """Store large weights in half precision, in place; a Cast restores them when a session loads.

    A CPU computes in single precision: disk and medium shrink by half, results change by rounding
    of the weights alone.

    Raises:
        ExportError: a weight does not fit half precision.
    """
    import numpy as np
    from onnx import TensorProto, helper, numpy_helper

    graph = model.graph
    for tensor in list(graph.initializer):
        if tensor.data_type != TensorProto.FLOAT or len(tensor.dims) < 2:
            continue
        values = numpy_helper.to_array(tensor)
        if values.nbytes < _HALF_BYTES_MIN or "cos_cache" in tensor.name or "sin_" in tensor.name:
            continue
        with np.errstate(over="ignore"):
            half = values.astype(np.float16)
        if not np.isfinite(half).all():
            raise ExportError(f"fp16: {tensor.name}: expected values up to 65504, got larger ones")
        name = tensor.name
        tensor.CopyFrom(numpy_helper.from_array(half, f"{name}.half"))
        cast = helper.make_node("Cast", [f"{name}.half"], [name], name=f"/half/{name}", to=1)
        graph.node.insert(0, cast)


def _table_gathers(graph: "onnx.GraphProto") -> "list[onnx.NodeProto]":
    """The nodes that look rows up in a large constant table."""
    sizes = {tensor.name: tensor.dims for tensor in graph.initializer}
    return [
        node
        for node in graph.node
        if node.op_type == "Gather"
        and len(sizes.get(node.input[0], ())) == 2
        and sizes[node.input[0]][0] >= _TABLE_ROWS_MIN
        and not any(a.name == "axis" and a.i for a in node.attribute)
    ]


def _tied_head(graph: "onnx.GraphProto", table: "onnx.TensorProto") -> tuple[str, str] | None:
    """The LM head's int8 weight and scales, if they are this table's."""
    import numpy as np
    from onnx import numpy_helper

    head = next((n for n in reversed(graph.node) if n.op_type == "MatMulNBits"), None)
    if head is None:
        return None
    sizes = {attribute.name: attribute.i for attribute in head.attribute}
    if (sizes["N"], sizes["K"], sizes["bits"]) != (*table.dims, 8) or len(head.input) != 3:
        return None
    tensors = {tensor.name: tensor for tensor in graph.initializer}
    packed = numpy_helper.to_array(tensors[head.input[1]])
    scales = numpy_helper.to_array(tensors[head.input[2]])
    # Equal shapes prove nothing: the rows must be the table's own. A step and no more: the largest
    # weight of a block sits on -128, so one of the other sign can be clipped from +128 to +127.
    rows = np.r_[0 : min(64, len(packed)), max(0, len(packed) - 64) : len(packed)]
    restored = (packed[rows].astype(np.float32) - 128) * scales[rows].reshape(
        -1, packed.shape[1], 1
    )
    wanted = numpy_helper.to_array(table)[rows]
    error = np.abs(restored.reshape(len(wanted), -1)[:, : wanted.shape[1]] - wanted).max()
    return (head.input[1], head.input[2]) if error <= 1.01 * np.abs(scales[rows]).max() else None


def _quantized_table(
    graph: "onnx.GraphProto", table: "onnx.TensorProto", block_size: int
) -> tuple[str, str]:
    from onnx import numpy_helper

    packed, scales = _blocks(numpy_helper.to_array(table), block_size)
    names = (f"{table.name}.q8", f"{table.name}.scales")
    graph.initializer.append(numpy_helper.from_array(packed, names[0]))
    graph.initializer.append(numpy_helper.from_array(scales, names[1]))
    return names


def _blocks(table: "np.ndarray[Any, Any]", block_size: int) -> "tuple[Any, Any]":
    import numpy as np

    rows, columns = table.shape
    packed = np.empty((rows, columns // block_size, block_size), np.uint8)
    scales = np.empty(packed.shape[:2], np.float32)
    # In stripes: a table of 250k words is a gigabyte, and each step below would copy it.
    for start in range(0, rows, _STRIPE_ROWS):
        stripe = slice(start, start + _STRIPE_ROWS)
        blocks = table[stripe].reshape(-1, columns // block_size, block_size)
        largest = np.abs(blocks).max(axis=2)
        scales[stripe] = np.maximum(largest, np.finfo(np.float32).tiny) / 127
        steps = np.rint(blocks / scales[stripe][:, :, None]).clip(-127, 127)
        packed[stripe] = (steps + 128).astype(np.uint8)
    return packed, scales


def _gather_blocks(
    graph: "onnx.GraphProto", gather: "onnx.NodeProto", packed: str, scales: str, block_size: int
) -> None:
    from onnx import TensorProto, helper

    tensors = {tensor.name: tensor for tensor in graph.initializer}
    rows, blocks, width = tensors[packed].dims
    shape, flat = f"{packed}.shape", f"{packed}.flat"
    graph.initializer.append(
        helper.make_tensor(shape, TensorProto.INT64, [2], [rows, blocks * width])
    )
    reshape = helper.make_node("Reshape", [packed, shape], [flat], name=f"/{packed}/Reshape")
    quantized = helper.make_node(
        "GatherBlockQuantized",
        [flat, gather.input[1], scales],
        list(gather.output),
        name=f"{gather.name}_Q8",
        domain=_CONTRIB,
        bits=8,
        block_size=block_size,
        gather_axis=0,
        quantize_axis=1,
    )
    at = list(graph.node).index(gather)
    graph.node.remove(gather)
    graph.node.insert(at, quantized)
    graph.node.insert(at, reshape)


def _drop_unused(graph: "onnx.GraphProto", name: str) -> None:
    if any(name in node.input for node in graph.node):
        return
    for tensor in graph.initializer:
        if tensor.name == name:
            graph.initializer.remove(tensor)
            return


def _use_contrib(model: "onnx.ModelProto") -> None:
    from onnx import helper

    if all(opset.domain != _CONTRIB for opset in model.opset_import):
        model.opset_import.append(helper.make_opsetid(_CONTRIB, 1))
