"""The edits that turn the builder's decoder into the graph that the slot engine serves.

1. The LM head runs from position `logits_from` (int64 `[1]`, a new input, counted from the end) on:
   with -1, at the last one only, a prefill of 512 tokens needs 829 MB instead of 1552; with more a
   run checks several guessed tokens.
2. Each GroupQueryAttention takes `seqlens_k` (int32, one a row: tokens in the cache after this
   run, less one) and `total_sequence_length` (int32 scalar: the longest row) as graph inputs, in
   place of the subgraph that counts an attention mask.
3. A rotation that switches with the length of the whole batch (longrope) is pinned to its short
   form: a batch must answer as each of its rows would alone. `serving.json` limits the length to
   match.
4. What nothing uses any more is removed, the `attention_mask` input among it.

The weights file is shared with the untouched `model.onnx`. A graph without the expected pattern is
refused, never served half-edited.

    save_graph(edit_for_serving(load_graph(folder / "model.onnx")), folder / "model.serving.onnx")
"""

from typing import TYPE_CHECKING

from sealift.bundler.errors import ExportError

if TYPE_CHECKING:
    import onnx

__all__ = ["LOGITS_FROM", "SERVING_GRAPH", "edit_for_serving"]

SERVING_GRAPH = "model.serving.onnx"
LOGITS_FROM = "logits_from"

_LM_HEADS = frozenset({"MatMul", "MatMulNBits"})
# What may stand between the LM head and the logits: scaling, soft capping, casts.
_AFTER_HEAD = frozenset({"Mul", "Div", "Tanh", "Cast", "Add"})
_SEQLENS_INPUT, _TOTAL_INPUT = 5, 6


def edit_for_serving(model: "onnx.ModelProto") -> "onnx.ModelProto":
    """Return an edited copy of a decoder graph; weights may be references.

    Raises:
        ExportError: the graph lacks a part that an edit needs.
    """
    import onnx

    edited = onnx.ModelProto()
    edited.CopyFrom(model)
    graph = edited.graph
    _prune_lm_head(graph)  # 1
    _feed_lengths(graph)  # 2
    _pin_rotation(graph)  # 3
    _remove_unused(graph)  # 4
    return edited


def _prune_lm_head(graph: "onnx.GraphProto") -> None:
    from onnx import TensorProto, helper

    producers = {output: node for node in graph.node for output in node.output}
    head = producers.get("logits")
    while head is not None and head.op_type in _AFTER_HEAD:
        head = producers.get(head.input[0])
    if head is None or head.op_type not in _LM_HEADS:
        raise ExportError(
            "serving graph: expected the LM head (a MatMul) before output 'logits', got "
            f"{head.op_type if head else 'nothing'}"
        )
    graph.initializer.extend(
        helper.make_tensor(name, TensorProto.INT64, [1], [value])
        for name, value in (("serving/end", 2**62), ("serving/axis", 1))
    )
    graph.input.append(helper.make_tensor_value_info(LOGITS_FROM, TensorProto.INT64, [1]))
    last = helper.make_node(
        "Slice",
        [head.input[0], LOGITS_FROM, "serving/end", "serving/axis"],
        ["serving/last_positions"],
        name="/serving/last_positions",
    )
    head.input[0] = last.output[0]
    graph.node.insert(list(graph.node).index(head), last)
    _name_positions(graph)


def _name_positions(graph: "onnx.GraphProto") -> None:
    # Values after the head still claim a whole sequence; only the output's claim is kept, and
    # corrected.
    del graph.value_info[:]
    (logits,) = (output for output in graph.output if output.name == "logits")
    logits.type.tensor_type.shape.dim[1].dim_param = "positions"


def _feed_lengths(graph: "onnx.GraphProto") -> None:
    from onnx import TensorProto, helper

    attentions = [node for node in graph.node if node.op_type == "GroupQueryAttention"]
    caches = sum(value.name.startswith("past_key_values.") for value in graph.input)
    if not attentions or 2 * len(attentions) != caches:
        raise ExportError(
            f"serving graph: expected one GroupQueryAttention for each of {caches // 2} caches, "
            f"got {len(attentions)}"
        )
    for node in attentions:
        if any(a.name == "sliding_window_cache" and a.i for a in node.attribute):
            raise ExportError(f"serving graph: {node.name}: expected a full-length cache")
        node.input[_SEQLENS_INPUT] = "seqlens_k"
        node.input[_TOTAL_INPUT] = "total_sequence_length"
    graph.input.extend(
        [
            helper.make_tensor_value_info("seqlens_k", TensorProto.INT32, ["batch_size"]),
            helper.make_tensor_value_info("total_sequence_length", TensorProto.INT32, []),
        ]
    )


def _pin_rotation(graph: "onnx.GraphProto") -> None:
    from onnx import TensorProto, helper

    for node in [node for node in graph.node if node.op_type == "If"]:
        (short,) = (a.g for a in node.attribute if a.name == "else_branch")
        constants = {inner.output[0]: inner for inner in short.node if inner.op_type == "Constant"}
        names = [output.name for output in short.output]
        if "cos_cache" not in node.output or any(name not in constants for name in names):
            raise ExportError(f"serving graph: {node.name}: expected a choice of rotation caches")
        for target, name in zip(node.output, names, strict=True):
            value = helper.get_attribute_value(constants[name].attribute[0])
            if value.data_location == TensorProto.EXTERNAL:
                raise ExportError(f"serving graph: {name}: expected its values in the graph")
            tensor = TensorProto()
            tensor.CopyFrom(value)
            tensor.name = target
            graph.initializer.append(tensor)
        graph.node.remove(node)


def _remove_unused(graph: "onnx.GraphProto") -> None:
    needed = {output.name for output in graph.output}
    kept = []
    for node in reversed(graph.node):
        if needed.isdisjoint(node.output):
            continue
        kept.append(node)
        needed.update(node.input)
        for attribute in node.attribute:
            if attribute.HasField("g"):
                needed.update(name for inner in attribute.g.node for name in inner.input)
    del graph.node[:]
    graph.node.extend(reversed(kept))
    for field in (graph.initializer, graph.input):
        used = [value for value in field if value.name in needed]
        del field[:]
        field.extend(used)
    inputs = {value.name for value in graph.input}
    if "attention_mask" in inputs or not {"input_ids", "seqlens_k"} <= inputs:
        raise ExportError(
            "serving graph: expected input_ids and seqlens_k and no attention_mask, got "
            f"{', '.join(sorted(inputs))}"
        )
