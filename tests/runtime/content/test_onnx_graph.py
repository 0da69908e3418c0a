"""Graphs that ask a host for more than arithmetic, built with the onnx package or from bytes.

Then the walker against that package: it must know the same fields, and find the same facts.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper

from sealift.runtime.content.errors import ContentError
from sealift.runtime.content.limits import CONTENT_LIMITS, ContentLimits
from sealift.runtime.content.onnx_graph import DOMAINS, inspect_graph
from sealift.runtime.content.onnx_schema import SCHEMA
from sealift.runtime.content.report import GraphReport
from sealift.runtime.content.wire import FIXED32, FIXED64, LENGTH, VARINT

PATH = "cpu-int4/model.onnx"
SIBLINGS = {"model.onnx": 1, "model.onnx.data": 4096, "serving.json": 20}


def inspect(data: bytes, limits: ContentLimits = CONTENT_LIMITS) -> GraphReport:
    return inspect_graph(data, path=PATH, siblings=SIBLINGS, limits=limits)


def tensor(name: str = "w", **entries: str) -> TensorProto:
    """An external tensor of 16 floats; an empty entry is left out."""
    made = TensorProto(name=name, data_type=TensorProto.FLOAT, dims=[16])
    made.data_location = TensorProto.EXTERNAL
    where = {"location": "model.onnx.data", "offset": "0", "length": "64", **entries}
    for key, value in where.items():
        if value:
            made.external_data.add(key=key, value=value)
    return made


def model(*nodes: onnx.NodeProto, **more: Any) -> onnx.ModelProto:
    graph = helper.make_graph(
        list(nodes) or [helper.make_node("Identity", ["x"], ["y"])], "g", [], [],
        more.pop("initializer", ()),
    )  # fmt: skip
    opsets = more.pop("opsets", (("", 20), ("com.microsoft", 1)))
    return helper.make_model(
        graph, opset_imports=[helper.make_opsetid(*o) for o in opsets], ir_version=10, **more
    )


def with_tensor(**entries: str) -> bytes:
    return bytes(model(initializer=[tensor(**entries)]).SerializeToString())


def changed(change: Callable[[onnx.ModelProto], object]) -> bytes:
    made = model()
    change(made)
    return bytes(made.SerializeToString())


def subgraph(node: onnx.NodeProto | None = None, depth: int = 1) -> onnx.GraphProto:
    inner = helper.make_graph([node] if node else [], "b", [], [], [] if node else [HIDDEN])
    for _ in range(depth - 1):
        deeper = helper.make_node("If", ["c"], ["y"], then_branch=inner, else_branch=inner)
        inner = helper.make_graph([deeper], "b", [], [])
    return inner


HIDDEN = tensor(location="/etc/passwd")
FOREIGN = helper.make_node("Run", ["x"], ["y"], domain="evil.ops")
IDENTITY = helper.make_node("Identity", ["x"], ["y"])


def function(domain: str, *nodes: onnx.NodeProto) -> onnx.FunctionProto:
    imports = [helper.make_opsetid("", 20)]
    return helper.make_function(domain, "f", ["x"], ["y"], list(nodes), imports)


def twice(made: onnx.ModelProto) -> None:
    made.graph.initializer.append(tensor())
    made.graph.initializer[0].external_data.add(key="location", value="/etc/passwd")


def both(made: onnx.ModelProto) -> None:
    made.graph.initializer.append(tensor())
    made.graph.initializer[0].raw_data = bytes(64)


def not_external(made: onnx.ModelProto) -> None:
    made.graph.initializer.append(tensor())
    made.graph.initializer[0].data_location = TensorProto.DEFAULT


def sparse(made: onnx.ModelProto) -> None:
    made.graph.sparse_initializer.append(onnx.SparseTensorProto(values=HIDDEN))


def training(made: onnx.ModelProto) -> None:
    made.training_info.append(onnx.TrainingInfoProto(algorithm=subgraph()))


def metadata(made: onnx.ModelProto) -> None:
    made.metadata_props.add(key="ort_config", value='{"session_options": {}}')


def many_metadata(made: onnx.ModelProto) -> None:
    for number in range(257):
        made.metadata_props.add(key=f"k{number}", value="v")


def long_name(made: onnx.ModelProto) -> None:
    made.graph.name = "x" * 70_000


GOOD = bytes(model().SerializeToString())

HOSTILE: dict[str, tuple[bytes, str]] = {
    "absolute path": (with_tensor(location="/etc/passwd"), "not allowed"),
    "dot dot": (with_tensor(location="../../../etc/passwd"), "not allowed"),
    "dot dot inside": (with_tensor(location="a/../model.onnx.data"), "not allowed"),
    "backslash": (with_tensor(location="..\\x"), "not allowed"),
    "other folder": (with_tensor(location="x/model.onnx.data"), "beside the graph"),
    "undeclared": (with_tensor(location="passwd"), "no declared file"),
    "another case": (with_tensor(location="Model.onnx.data"), "no declared file"),
    "no location": (with_tensor(location=""), "expected 1 to"),
    "address in memory": (with_tensor(location="*/_ORT_MEM_ADDR_/*"), "not allowed"),
    "url": (with_tensor(location="file:///etc/passwd"), "not allowed"),
    "offset at the end": (with_tensor(offset="4096"), "at most 4096 bytes"),
    "length past the end": (with_tensor(length="4097"), "at most 4096 bytes"),
    "sum past the end": (with_tensor(offset="4033"), "at most 4096 bytes"),
    "sum wraps": (with_tensor(offset=str(2**64 - 64)), "decimal number"),
    "huge": (with_tensor(length=str(2**63 - 1)), "at most 4096"),
    "negative offset": (with_tensor(offset="-1"), "decimal number"),
    "negative length": (with_tensor(length="-64"), "decimal number"),
    "hexadecimal": (with_tensor(offset="0x10"), "decimal number"),
    "padded": (with_tensor(offset="00"), "decimal number"),
    "other digits": (with_tensor(offset="٣"), "decimal number"),
    "no length": (with_tensor(length=""), "length: missing"),
    "base path": (with_tensor(basepath="/etc"), "'basepath' is not allowed"),
    "prepacked": (with_tensor(prepacked_0="a|0|9"), "not allowed"),
    "two locations": (changed(twice), "'location' twice"),
    "external and inside": (changed(both), "external"),
    "external, not marked": (changed(not_external), "not external"),
    "in a node's value": (
        model(helper.make_node("Constant", [], ["y"], value=HIDDEN)).SerializeToString(),
        r"graph\.node\[0\]\.attribute\[0\]\.t: ",
    ),
    "in a branch": (
        model(helper.make_node("If", ["c"], ["y"], then_branch=subgraph(depth=3),
                               else_branch=subgraph())).SerializeToString(),
        "not allowed",
    ),
    "in a sparse tensor": (changed(sparse), "sparse_initializer"),
    "in training": (changed(training), "training_info"),
    "in a function": (
        changed(lambda m: m.functions.append(
            function("", helper.make_node("Constant", [], ["y"], value=HIDDEN)))),
        r"functions\[0\]\.node\[0\]",
    ),
    "foreign domain": (model(FOREIGN).SerializeToString(), "'evil.ops'"),
    "foreign import": (model(opsets=(("", 20), ("evil", 1))).SerializeToString(), "'evil'"),
    "near miss": (
        model(helper.make_node("X", [], [], domain="com.microsoft.x")).SerializeToString(),
        "com.microsoft.x",
    ),
    "extensions": (
        model(helper.make_node("PyOp", [], [], domain="ai.onnx.contrib")).SerializeToString(),
        "PyOp|contrib",
    ),
    "foreign in a branch": (
        model(helper.make_node("Loop", ["x"], ["y"], body=subgraph(FOREIGN))).SerializeToString(),
        "evil.ops",
    ),
    "foreign in a function": (
        changed(lambda m: m.functions.append(function("", FOREIGN))), "evil.ops",
    ),
    "foreign function": (
        changed(lambda m: m.functions.append(function("my.functions", IDENTITY))), "my.functions",
    ),
    "not imported": (
        model(helper.make_node("G", [], [], domain="ai.onnx.ml")).SerializeToString(),
        "not imported",
    ),
    "compiled blob": (
        model(helper.make_node("EPContext", [], ["y"], domain="com.microsoft",
                               ep_cache_context="/tmp/x.so")).SerializeToString(),
        "EPContext loads",
    ),
    "compiled blob elsewhere": (
        model(helper.make_node("EPContext", [], ["y"])).SerializeToString(), "EPContext loads",
    ),
    "operator without a name": (model(onnx.NodeProto()).SerializeToString(), "op_type"),
    "options of the runtime": (changed(metadata), "ort_config"),
    "much metadata": (changed(many_metadata), "at most 256"),
    "long name": (changed(long_name), "at most 65536"),
    "no imports": (model(opsets=()).SerializeToString(), "opset_import: missing"),
    "two opsets": (model(opsets=(("", 20), ("", 21))).SerializeToString(), "twice"),
    "version 0": (model(opsets=(("", 0),)).SerializeToString(), "version"),
    "no graph": (b"\x08\x0a\x42\x04\x0a\x00\x10\x14", "graph: missing"),
    "no IR version": (GOOD[2:], "ir_version"),
    "nothing": (b"", "ir_version"),
    "text": (b"this is no graph\n", "wire type|field"),
    "onnxruntime's own form": (b"\x18\0\0\0ORTM" + bytes(64), "own format"),
    "half a file": (GOOD[:-1], "expected"),
    "one byte more": (GOOD + b"\0", "field number 0"),
    "second graph": (GOOD + b"\x3a\0", "graph: given twice"),
    "second IR version": (GOOD + b"\x08\x0a", "ir_version: given twice"),
    "unknown field": (GOOD + b"\xf8\x06\x01", "no field 111"),
    "graph as a number": (b"\x38\x01", "wire type 0"),
    "number as a message": (b"\x0a\x01\x01", "wire type 2"),
    "group": (b"\x0b" * 5000, "wire type 3"),
    "end of a group": (b"\x0c", "wire type 4"),
    "reserved wire type": (b"\x0e", "wire type 6"),
    "padded number": (b"\x08\x8a\x00" + GOOD[2:], "shortest form"),
    "padded tag": (b"\x88\x00\x0a" + GOOD[2:], "shortest form"),
    "number too long": (b"\x08" + b"\xff" * 40, "without an end"),
    "number above 64 bits": (b"\x08" + b"\xff" * 9 + b"\x02", "shortest form"),
    "field number too large": (b"\xf8" + b"\xff" * 8 + b"\x01", "field number"),
    "field past the end": (b"\x3a\xff\xff\xff\xff\x0f", "expected 4294967295 bytes"),
    "length of 64 bits": (b"\x3a" + b"\xff" * 9 + b"\x01", "expected 18446744073709551615"),
    "ends in a length": (b"\x3a", "without an end"),
    "bad UTF-8": (b"\x12\x01\xff", "UTF-8"),
    "negative dimension": (
        changed(lambda m: m.graph.initializer.append(
            TensorProto(name="w", data_type=1, dims=[-5], raw_data=b""))),
        "dims: negative",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_graph_is_refused(name: str) -> None:
    data, message = HOSTILE[name]
    with pytest.raises(ContentError, match=message) as caught:
        inspect(data)
    assert caught.value.path == PATH
    assert caught.value.code == "content_refused"


def _chain(count: int) -> bytes:
    """A branch in a branch, `count` times, byte by byte: onnx itself would not build it."""
    inner = b""
    for _ in range(count):
        for tag in (b"\x32", b"\x2a", b"\x0a"):  # attribute.g, node.attribute, graph.node
            body = inner if tag != b"\x0a" else inner + b"\x22\x02If"
            inner = tag + _varint(len(body)) + body
    return b"\x08\x0a\x3a" + _varint(len(inner)) + inner


def _varint(number: int) -> bytes:
    encoded = bytearray()
    while number > 0x7F:
        encoded.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*encoded, number])


def test_depth_is_bounded_and_real_depth_is_not() -> None:
    with pytest.raises(ContentError, match="nested deeper than 48"):
        inspect(_chain(3334))  # 10,000 messages
    with pytest.raises(ContentError, match="opset_import: missing"):
        inspect(_chain(14))


LIMITED = {
    "a million nodes": (b"\x3a" + _varint(2_000_000) + b"\x0a\0" * 1_000_000, "op_type"),
    "many real nodes": (
        model(*[IDENTITY] * 101).SerializeToString(), "at most 100 nodes",
    ),
    "many tensors": (
        model(initializer=[tensor(f"t{n}") for n in range(101)]).SerializeToString(),
        "at most 100 tensors",
    ),
    "many numbers": (
        model(helper.make_node("X", ["x"] * 5000, [])).SerializeToString(), "at most 4000 fields",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", LIMITED)
def test_counts_are_bounded(name: str) -> None:
    data, message = LIMITED[name]
    limits = ContentLimits(graph_nodes=100, graph_tensors=100, wire_fields=4000)
    with pytest.raises(ContentError, match=message):
        inspect(data, limits)


def test_what_a_graph_asks_for_is_reported() -> None:
    branch = subgraph(helper.make_node("Gelu", ["x"], ["y"], domain="com.microsoft"))
    made = model(
        helper.make_node("If", ["c"], ["y"], then_branch=branch, else_branch=subgraph(IDENTITY)),
        initializer=[tensor("a"), tensor("b", offset="64"), tensor("c", offset="4032")],
    )
    made.functions.append(function("", IDENTITY))
    report = inspect(made.SerializeToString())
    assert report.domains == ("", "com.microsoft")
    assert report.opsets == {"": 20, "com.microsoft": 1}
    assert (report.nodes, report.functions, report.tensors, report.operators) == (4, 1, 3, 3)
    (weights,) = report.weights
    assert (weights.file, weights.tensors, weights.end_bytes) == ("model.onnx.data", 3, 4096)


def test_the_fields_are_those_of_the_onnx_package() -> None:
    descriptor = onnx.ModelProto.DESCRIPTOR
    known: dict[str, Any] = {}

    def collect(message: Any) -> None:
        if message.name in known:
            return
        known[message.name] = message
        for field in message.fields:
            if field.message_type is not None:
                collect(field.message_type)

    collect(descriptor)
    assert set(SCHEMA) == set(known)
    numbers = {1: FIXED64, 2: FIXED32, 9: LENGTH, 11: LENGTH, 12: LENGTH}
    for name, fields in SCHEMA.items():
        theirs = {field.number: field for field in known[name].fields}
        assert set(fields) == set(theirs), name
        for number, field in fields.items():
            real = theirs[number]
            repeated = real.is_repeated if hasattr(real, "is_repeated") else real.label == 3
            wire = numbers.get(real.type, VARINT)
            assert field.name == real.name
            assert field.repeated == repeated, (name, field.name)
            assert field.wires == {wire} | ({LENGTH} if repeated else set()), (name, field.name)
            assert field.is_text == (real.type == 9), (name, field.name)
            assert field.message == (real.message_type.name if real.message_type else "")


_NAMES = st.text("abcdefgh_.0", min_size=1, max_size=8)
_OPERATORS = st.sampled_from(["Add", "MatMul", "Identity", "Relu"])
_DOMAINS = st.sampled_from(sorted(DOMAINS))


@st.composite
def graphs(draw: st.DrawFn, depth: int = 2) -> onnx.GraphProto:
    """A small graph: nodes with attributes of each kind, branches, weights inside and outside."""
    nodes = []
    for _ in range(draw(st.integers(0, 3))):
        attributes: dict[str, Any] = {}
        if draw(st.booleans()):
            attributes["axis"] = draw(st.integers(-(2**63), 2**63 - 1))
        if draw(st.booleans()):
            attributes["names"] = draw(st.lists(_NAMES, min_size=1, max_size=3))
        if draw(st.booleans()):
            attributes["scales"] = draw(st.lists(st.floats(width=32), min_size=1, max_size=3))
        if depth and draw(st.booleans()):
            attributes["body"] = draw(graphs(depth - 1))
        nodes.append(
            helper.make_node(
                draw(_OPERATORS), draw(st.lists(_NAMES, max_size=3)), ["y"],
                domain=draw(_DOMAINS), name=draw(_NAMES), **attributes,
            )
        )  # fmt: skip
    weights = []
    for number in range(draw(st.integers(0, 3))):
        if draw(st.booleans()):
            offset, length = draw(st.integers(0, 2048)), draw(st.integers(0, 2048))
            weights.append(tensor(f"w{number}", offset=str(offset), length=str(length)))
        else:
            values = draw(st.lists(st.integers(-(2**63), 2**63 - 1), max_size=4))
            weights.append(
                helper.make_tensor(f"w{number}", TensorProto.INT64, [len(values)], values)
            )
    value = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 4])
    return helper.make_graph(nodes, draw(_NAMES), [value], [value], weights, doc_string="about")


def _walk(graph: onnx.GraphProto) -> tuple[list[onnx.NodeProto], list[TensorProto]]:
    nodes, weights = list(graph.node), list(graph.initializer)
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.HasField("g"):
                inner = _walk(attribute.g)
                nodes += inner[0]
                weights += inner[1]
    return nodes, weights


@settings(max_examples=60, deadline=None)
@given(graphs())
def test_the_walker_reads_what_onnx_reads(graph: onnx.GraphProto) -> None:
    opsets = [helper.make_opsetid(domain, 1) for domain in sorted(DOMAINS - {"ai.onnx"})]
    made = helper.make_model(graph, opset_imports=opsets, ir_version=10)
    report = inspect(made.SerializeToString())
    nodes, weights = _walk(made.graph)
    outside = [w for w in weights if w.data_location == TensorProto.EXTERNAL]
    ends = [sum(int(e.value) for e in w.external_data if e.key != "location") for w in outside]
    assert report.domains == tuple(sorted({node.domain for node in nodes}))
    assert report.nodes == len(nodes)
    assert report.tensors == len(weights)
    assert [(w.tensors, w.end_bytes) for w in report.weights] == (
        [(len(outside), max(ends))] if outside else []
    )


def _variants(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*.onnx"))


def test_real_exports_pass(chat_folder: Path, embed_folder: Path) -> None:
    for path in (*_variants(chat_folder), *_variants(embed_folder)):
        sizes = {file.name: file.stat().st_size for file in path.parent.iterdir()}
        report = inspect_graph(path.read_bytes(), path=path.name, siblings=sizes)
        theirs = onnx.load(path, load_external_data=False)
        assert report.nodes == len(theirs.graph.node)
        assert set(report.domains) == {node.domain for node in theirs.graph.node}
        outside = [t for t in theirs.graph.initializer if t.external_data]
        assert sum(weights.tensors for weights in report.weights) == len(outside)
