"""What an ONNX graph asks of the host that opens it, found without opening it (pure).

    facts = inspect_graph(data, path="cpu-int4/model.onnx", siblings={"model.onnx.data": 981248})

1. The bytes are one ModelProto in the one form of `wire`, of fields that `onnx_schema` knows, each
   single field once: a second `graph` would be merged by one reader and replaced by another.
2. Nodes, functions and imports are of the domains that onnxruntime itself implements; nothing names
   a library, a compiled blob or a file to load.
3. External data is a slice of a declared file beside the graph.
4. Depth, counts and sizes are bounded.

Everything below the model is walked: subgraphs, functions, training information, sparse tensors,
tensors in attributes.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from sealift.runtime.content.errors import ContentError
from sealift.runtime.content.external_data import External, read_external
from sealift.runtime.content.limits import CONTENT_LIMITS, ContentLimits
from sealift.runtime.content.onnx_schema import SCHEMA, Field
from sealift.runtime.content.report import GraphReport, WeightRange
from sealift.runtime.content.wire import VARINT, WireError, read_fields

__all__ = ["DOMAINS", "inspect_graph"]

DOMAINS: Final = frozenset(
    {
        "",
        "ai.onnx",
        "ai.onnx.ml",
        "ai.onnx.preview",
        "ai.onnx.training",
        "ai.onnx.preview.training",
        "com.microsoft",
    }
)
"""Not `ai.onnx.contrib`: that is onnxruntime-extensions, a custom-op library with a Python node."""

# What loads a file, a blob compiled elsewhere or another language, whatever domain it claims.
_REFUSED_OPERATORS: Final = frozenset(
    {"EPContext", "Snpe", "PyOp", "PythonOp", "PythonOpGrad", "ATen", "ATenOp", "TritonOp",
     "TRT_EngineOp", "ExternalOp"}
)  # fmt: skip
# onnxruntime reads session options from this key where an environment variable says so.
_REFUSED_METADATA: Final = frozenset({"ort_config"})
# In the form of onnxruntime itself, which it recognizes by these bytes whatever the name says.
_ORT_FORM: Final = (b"ORTM", slice(4, 8))

_IR_VERSIONS: Final = range(3, 14)
_OPSET_MAX: Final = 1000
_KEPT: Final = frozenset({"StringStringEntryProto", "OperatorSetIdProto"})
_METADATA: Final = "metadata_props"

_Values = dict[str, list[int | str | dict[str, object]]]


@dataclass(slots=True)
class _Counts:
    nodes: int = 0
    functions: int = 0
    tensors: int = 0
    fields: int = 0


def inspect_graph(
    data: bytes,
    *,
    path: str,
    siblings: Mapping[str, int],
    limits: ContentLimits = CONTENT_LIMITS,
) -> GraphReport:
    """Check a graph and say what it asks for.

    Args:
        siblings: size of every declared file of the same folder, by name.

    Raises:
        ContentError: steps 1 to 4; it says where in the graph.
    """
    marker, place = _ORT_FORM
    if data[place] == marker:
        raise ContentError(path, "expected an ONNX graph, got onnxruntime's own format")
    walk = _Walk(data, siblings, limits)
    try:
        model = walk.message("ModelProto", 0, len(data), 0)
        return walk.report(path, model)
    except (WireError, _Refused) as error:
        place_in_graph = ".".join(walk.trail)
        where = f"{place_in_graph}: " if place_in_graph else ""
        raise ContentError(path, f"{where}{error}") from error


class _Refused(Exception):  # noqa: N818  # leaves this module only as ContentError
    """What is wrong, at the place where the walk stands."""


class _Walk:
    """One pass over one graph; `trail` says where it stands."""

    def __init__(self, data: bytes, siblings: Mapping[str, int], limits: ContentLimits) -> None:
        self._data = data
        self._siblings = siblings
        self._limits = limits
        self._counts = _Counts()
        self._domains: set[str] = set()
        self._imports: set[str] = set()
        self._operators: set[tuple[str, str]] = set()
        self._external: dict[str, tuple[int, int]] = {}
        self.trail: list[str] = []

    def message(self, kind: str, start: int, end: int, depth: int) -> _Values:
        """Check a message and everything in it; return its own numbers and texts."""
        if depth > self._limits.wire_depth:
            raise _Refused(f"nested deeper than {self._limits.wire_depth} messages")
        schema, values = SCHEMA[kind], _Values()
        for number, wire, first, last in read_fields(self._data, start, end):
            field = schema.get(number)
            if field is None:
                raise _Refused(f"{kind} has no field {number}")
            seen = values.setdefault(field.name, [])
            if wire not in field.wires:
                raise _Refused(f"{field.name}: wire type {wire}")
            if seen and not field.repeated:
                raise _Refused(f"{field.name}: given twice")
            self._spend()
            value = self._value(field, wire, first, last, depth, len(seen))
            seen.append(value)
        self._check(kind, values)
        return values

    def report(self, path: str, model: _Values) -> GraphReport:
        """Say what was found, after the last check: what the model as a whole must have."""
        ir_version = _number(model, "ir_version")
        if ir_version not in _IR_VERSIONS:
            raise _Refused(f"ir_version: expected {_IR_VERSIONS[0]} to {_IR_VERSIONS[-1]}, "
                           f"got {ir_version}")  # fmt: skip
        if "graph" not in model:
            raise _Refused("graph: missing")
        opsets = _opsets(model.get("opset_import", []))
        if not opsets:
            raise _Refused("opset_import: missing")
        unknown = {_canonical(name) for name in self._domains} - self._imports
        if unknown:
            raise _Refused(f"domain {min(unknown)!r}: used by a node and not imported")
        return GraphReport(
            path=path,
            ir_version=ir_version,
            opsets=opsets,
            domains=tuple(sorted(self._domains)),
            operators=len(self._operators),
            nodes=self._counts.nodes,
            functions=self._counts.functions,
            tensors=self._counts.tensors,
            weights=tuple(
                WeightRange(file=file, tensors=tensors, end_bytes=end_bytes)
                for file, (tensors, end_bytes) in sorted(self._external.items())
            ),
        )

    def _spend(self) -> None:
        self._counts.fields += 1
        if self._counts.fields > self._limits.wire_fields:
            raise _Refused(f"expected at most {self._limits.wire_fields} fields")

    def _value(
        self, field: Field, wire: int, first: int, last: int, depth: int, index: int
    ) -> int | str | dict[str, object]:
        if wire == VARINT:
            return first
        if field.message:
            self.trail.append(f"{field.name}[{index}]" if field.repeated else field.name)
            values = self.message(field.message, first, last, depth + 1)
            self.trail.pop()
            # The rest was checked and is not needed again: a graph may have a million messages.
            return {name: one[-1] for name, one in values.items()} if field.message in _KEPT else 0
        if not field.is_text:
            return last - first
        if last - first > self._limits.string_bytes:
            raise _Refused(
                f"{field.name}: expected at most {self._limits.string_bytes} bytes, "
                f"got {last - first}"
            )
        try:
            return self._data[first:last].decode("utf-8")
        except UnicodeDecodeError as error:
            raise _Refused(f"{field.name}: expected UTF-8 text") from error

    def _check(self, kind: str, values: _Values) -> None:
        if len(values.get(_METADATA, ())) > self._limits.metadata_entries:
            raise _Refused(f"{_METADATA}: expected at most {self._limits.metadata_entries}")
        for entry in values.get(_METADATA, ()):
            if isinstance(entry, dict) and entry.get("key") in _REFUSED_METADATA:
                raise _Refused(f"{_METADATA}: key {entry['key']!r} configures onnxruntime")
        match kind:
            case "NodeProto":
                self._node(values)
            case "TensorProto":
                self._tensor(values)
            case "FunctionProto":
                self._counts.functions += 1
                self._domain(values)
            case "OperatorSetIdProto":
                self._imports.add(_canonical(self._domain(values)))
                if not 0 < _number(values, "version") <= _OPSET_MAX:
                    raise _Refused(f"version: expected 1 to {_OPSET_MAX}")

    def _node(self, values: _Values) -> None:
        self._counts.nodes += 1
        if self._counts.nodes > self._limits.graph_nodes:
            raise _Refused(f"expected at most {self._limits.graph_nodes} nodes")
        operator = _text(values, "op_type")
        if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]{0,127}", operator):
            raise _Refused(f"op_type: expected a name, got {operator[:80]!r}")
        if operator in _REFUSED_OPERATORS:
            raise _Refused(f"operator {operator} loads what is not in the graph")
        domain = self._domain(values)
        self._domains.add(domain)
        self._operators.add((domain, operator))

    def _domain(self, values: _Values) -> str:
        domain = _text(values, "domain")
        if domain not in DOMAINS:
            raise _Refused(
                f"domain {domain[:80]!r}: expected one that onnxruntime has, "
                f"{', '.join(sorted(DOMAINS - {''}))}"
            )
        return domain

    def _tensor(self, values: _Values) -> None:
        self._counts.tensors += 1
        if self._counts.tensors > self._limits.graph_tensors:
            raise _Refused(f"expected at most {self._limits.graph_tensors} tensors")
        if any(isinstance(size, int) and size >> 63 for size in values.get("dims", ())):
            raise _Refused("dims: negative")
        try:
            external = read_external(values, self._siblings)
        except ValueError as error:
            raise _Refused(str(error)) from error
        if external is not None:
            self._take(external)

    def _take(self, external: External) -> None:
        tensors, end_bytes = self._external.get(external.location, (0, 0))
        end_bytes = max(end_bytes, external.offset + external.length)
        self._external[external.location] = (tensors + 1, end_bytes)


def _opsets(entries: list[int | str | dict[str, object]]) -> dict[str, int]:
    opsets: dict[str, int] = {}
    for entry in entries:
        if isinstance(entry, dict):
            domain, version = str(entry.get("domain", "")), entry.get("version")
            if domain in opsets:
                raise _Refused(f"opset_import: domain {domain!r} twice")
            opsets[domain] = version if isinstance(version, int) else 0
    return opsets


def _canonical(domain: str) -> str:
    return "" if domain == "ai.onnx" else domain


def _number(values: _Values, name: str) -> int:
    value = values.get(name, [0])[-1]
    return value if isinstance(value, int) else 0


def _text(values: _Values, name: str) -> str:
    value = values.get(name, [""])[-1]
    return value if isinstance(value, str) else ""
