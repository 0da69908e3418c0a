"""Files that a trusted key signed and that must not be loaded: graphs, programs, templates."""

from collections.abc import Iterator, Mapping

from sealift.manifests.recipe import Task
from sealift.manifests.strict_json import canonical
from tests.vectors.cases import WHOLE, draft, invalid, model_path, signed
from tests.vectors.model_files import (
    TABLE,
    attribute,
    chat_files,
    external,
    files,
    graph,
    model,
    node,
    tokenizer,
)
from tests.vectors.templates import TEMPLATES
from tests.vectors.vector import Vector
from tests.vectors.wire import field, message, varint

__all__ = ["samples", "vectors"]

CODE = "content_refused"
_MODEL = model_path("model.onnx")
_GRAPH, _TENSOR, _GRAPHS = 5, 4, 10  # AttributeProto.AttributeType


def vectors() -> Iterator[Vector]:
    """Give every row about what files hold."""
    for row, cases in _tables().items():
        for name, (about, changed, path) in cases.items():
            yield _case(row, name, about, {**files(), **changed}, path)
    for name, (about, template) in TEMPLATES.items():
        bundle = chat_files(template)
        yield _case("templates", name, about, bundle, "chat_template.jinja", Task.CHAT)


def samples() -> Iterator[tuple[str, str, Mapping[str, bytes]]]:
    """Give row, name and the hostile files of every case: seeds for fuzzing."""
    for row, cases in _tables().items():
        for name, (_, changed, _) in cases.items():
            yield row, name, changed
    for name, (_, template) in TEMPLATES.items():
        yield "templates", name, {"chat_template.jinja": template.encode()}


def _tables() -> "dict[str, _Cases]":
    return {
        "external-data": _external_data(),
        "custom-ops": _custom_ops(),
        "programs": _programs(),
        "remote-code": _remote_code(),
        "oversized": _oversized(),
    }


_Cases = dict[str, tuple[str, Mapping[str, bytes], str]]


def _case(
    row: str, name: str, about: str, content: Mapping[str, bytes], path: str,
    task: Task = Task.EMBED,
) -> Vector:  # fmt: skip
    # One part a file: these attacks lie in whole files.
    bundle = draft(files=content, task=task, part_bytes=WHOLE.part_bytes)
    return signed(row, name, f"sealed: {about}", bundle, invalid(CODE, path))


def _graph(about: str, data: bytes, **others: bytes) -> tuple[str, Mapping[str, bytes], str]:
    more = {model_path(name): content for name, content in others.items()}
    return about, {_MODEL: data, **more}, _MODEL


def _external_data() -> _Cases:
    where: dict[str, tuple[str, dict[str, str]]] = {
        "absolute": ("weights at an absolute path", {"location": "/etc/passwd"}),
        "dot-dot": ("weights outside the model", {"location": "../../../../etc/passwd"}),
        "other-folder": ("weights in another variant", {"location": "../manifest.json"}),
        "backslash": ("weights behind a backslash", {"location": "..\\manifest.json"}),
        "drive": ("weights on a drive", {"location": "C:/x"}),
        "nul": ("weights behind a NUL", {"location": "model.onnx.data\0.txt"}),
        "link": ("weights at a name that only a link could have", {"location": "link/passwd"}),
        "not-sealed": ("weights in a file that the seal does not list", {"location": "other.data"}),
        "empty": ("weights nowhere", {"location": ""}),
        "offset-past-the-end": ("weights behind the file", {"offset": str(len(TABLE) + 1)}),
        "length-past-the-end": ("weights that go on behind the file", {"offset": "4"}),
        "huge-length": ("weights of 8 EiB", {"length": str((1 << 63) - 1)}),
        "overflow": ("an offset that wraps around", {"offset": str((1 << 64) - 4)}),
        "negative-offset": ("weights before the file", {"offset": "-8"}),
        "offset-is-no-number": ("an offset in hexadecimal", {"offset": "0x10"}),
    }
    cases = {
        name: _graph(about, model(graph(table=external(**entries))))
        for name, (about, entries) in where.items()
    }
    twice = external() + field(13, message((1, "location"), (2, "/etc/passwd")))
    hidden = external("hidden", location="/etc/passwd")
    branch = message((2, "branch"), (5, hidden))
    cases |= {
        "two-locations": _graph(
            "weights with two locations: readers take different ones", model(graph(table=twice))
        ),
        "in-a-constant": _graph(
            "in the value of a node", _with_attribute(attribute("value", _TENSOR, (5, hidden)))
        ),
        "in-a-list-of-tensors": _graph(
            "in a list of tensors", _with_attribute(attribute("values", 9, (10, hidden)))
        ),
        "in-a-branch": _graph(
            "in a graph within a node", _with_attribute(attribute("then", _GRAPH, (6, branch)))
        ),
        "in-a-list-of-graphs": _graph(
            "in a list of graphs", _with_attribute(attribute("all", _GRAPHS, (11, branch)))
        ),
        "in-a-sparse-tensor": _graph(
            "in a sparse initializer", model(graph((15, message((1, hidden)))))
        ),
        "in-a-function": _graph(
            "in a function's node",
            model(None, (25, message((1, "f"), (7, _constant(hidden)), (10, "ai.onnx.local")))),
        ),
        "in-training": _graph(
            "in the training graph", model(None, (20, message((1, branch), (2, branch))))
        ),
    }  # fmt: skip
    return cases


def _constant(tensor: bytes) -> bytes:
    return node("Constant", [], ["x"], (5, attribute("value", _TENSOR, (5, tensor))))


def _with_attribute(encoded: bytes) -> bytes:
    return model(graph((1, node("Identity", ["rows"], ["x"], (5, encoded)))))


def _custom_ops() -> _Cases:
    foreign = node("Run", ["rows"], ["x"], (7, "evil.ops"))
    branch = message((1, foreign), (2, "branch"))
    opset = (8, message((1, "evil.ops"), (2, 1)))
    function = message((1, "f"), (7, foreign), (10, "ai.onnx.local"))
    return {
        "node": _graph("a node of a foreign domain", model(graph((1, foreign)), opset)),
        "node-alone": _graph("the same, its domain not declared", model(graph((1, foreign)))),
        "opset-alone": _graph("a foreign domain is declared", model(None, opset)),
        "near-miss": _graph(
            "a domain that only starts like ours",
            model(graph((1, node("Run", ["rows"], ["x"], (7, "com.microsoft.evil"))))),
        ),
        "in-a-branch": _graph(
            "in a graph within a node", _with_attribute(attribute("then", _GRAPH, (6, branch)))
        ),
        "in-a-function": _graph("in a function", model(None, (25, function))),
        "function-s-own-domain": _graph(
            "a function of a foreign domain", model(None, (25, message((1, "f"), (10, "evil.ops"))))
        ),
    }


_PICKLE = (
    b"\x80\x04\x95\x1f\0\0\0\0\0\0\0\x8c\x05posix\x94\x8c\x06system\x94\x93\x94"
    b"\x8c\x04true\x94\x85\x94R\x94."
)


def _programs() -> _Cases:
    heads = {
        "elf": ("a Linux program", b"\x7fELF\x02\x01\x01"),
        "pe": ("a Windows program", b"MZ\x90\0" + bytes(56) + b"\x40\0\0\0PE\0\0"),
        "mach-o": ("a macOS program", b"\xcf\xfa\xed\xfe\x07\0\0\1"),
        "mach-o-big-endian": ("a macOS program", b"\xfe\xed\xfa\xcf\1\0\0\7"),
        "mach-o-32": ("a macOS program of 32 bits", b"\xce\xfa\xed\xfe\x07\0\0\0"),
        "mach-o-fat": ("a macOS program of several kinds", b"\xca\xfe\xba\xbe\0\0\0\2"),
        "wasm": ("a WebAssembly program", b"\0asm\1\0\0\0"),
        "script": ("a script", b"#!/bin/sh\nrm -rf /\n"),
        "pickle": ("a pickle", _PICKLE),
        "torch-zip": ("a zip archive, as torch.save writes", b"PK\x03\x04\x14\0\0\0"),
        "hdf5": ("an HDF5 file, as Keras writes", b"\x89HDF\r\n\x1a\n"),
        "gzip": ("a gzip archive", b"\x1f\x8b\x08\0"),
    }
    cases: _Cases = {}
    for name, (about, head) in heads.items():
        path = model_path("more.onnx.data")
        cases[name] = (f"{about}, named as weights", {path: head + bytes(64)}, path)
    for name in ("elf", "script", "pickle"):
        about, head = heads[name]
        path = model_path("vocab.txt")
        cases[f"{name}-as-text"] = (f"{about}, named as text", {path: head}, path)
    path = model_path("more.onnx.data")
    end = b"PK\x05\x06" + bytes(18)
    cases["zip-at-the-end"] = ("weights that are a zip archive too", {path: bytes(99) + end}, path)
    for name in ("run.py", "lib.so", "pytorch_model.bin", "weights.pkl", "x.exe", "x.dll", "x.pt"):
        path = model_path(name)
        about = f"a file named {name}"
        cases[f"named-{name.replace('.', '-')}"] = (about, {path: b"plain text\n"}, path)
    cases["in-another-folder"] = (
        "a program beside the variants",
        {"tool.sh": b"#!/bin/sh\n"},
        "tool.sh",
    )
    return cases


def _remote_code() -> _Cases:
    config = {"model_type": "llama"}
    values: dict[str, tuple[str, object]] = {
        "auto-map": ("config.json", {**config, "auto_map": {"AutoModel": "modeling.Evil"}}),
        "auto-map-inside": ("config.json", {**config, "text_config": {"auto_map": {"A": "b.C"}}}),
        "auto-map-in-a-list": ("config.json", {**config, "x": [[{"auto_map": {"A": "b.C"}}]]}),
        "trust-remote-code": ("config.json", {**config, "trust_remote_code": True}),
        "tokenizer-auto-map": ("tokenizer_config.json", {"auto_map": {"AutoTokenizer": ["t.T"]}}),
        "custom-pipelines": ("config.json", {**config, "custom_pipelines": {"p": {"impl": "x.y"}}}),
        "module-type": ("modules.json", [{"idx": 0, "name": "0", "path": "", "type": "os.system"}]),
    }
    return {
        name: (f"{file} names code to run", {model_path(file): canonical(value)}, model_path(file))
        for name, (file, value) in values.items()
    }


def _oversized() -> _Cases:
    def nested(depth: int) -> bytes:
        inner = message((2, "innermost"))
        for _ in range(depth):
            inner = message((1, node("If", [], [], (5, attribute("then", _GRAPH, (6, inner))))))
        return model(inner)

    graphs = {
        "deep-graph": ("a graph in a graph, 300 times", nested(300)),
        "length-past-the-end": (
            "a field longer than the file",
            varint(7 << 3 | 2) + varint(1 << 40),
        ),
        "length-wraps": ("a field of 2^64 - 1 bytes", varint(7 << 3 | 2) + varint(-1)),
        "endless-number": ("a number that never ends", b"\x08" + b"\xff" * 40),
        "groups": ("groups within groups", b"\x0b" * 5000),
        "truncated": ("a graph without its end", model()[:-3]),
        "field-zero": ("a field of number 0", b"\0\0" + model()),
        "not-a-graph": ("text", b"this is no graph\n"),
        "empty": ("nothing", b""),
        "many-nodes": ("a million nodes", model() + field(7, b"\x0a\0" * 1_000_001)),
    }
    cases: _Cases = {name: _graph(about, data) for name, (about, data) in graphs.items()}
    path = model_path("tokenizer.json")
    texts: dict[str, tuple[str, bytes]] = {
        "deep-tokenizer": ("JSON 100,000 deep", b"[" * 100_000 + b"]" * 100_000),
        "deep-tokenizer-part": (
            "a list of normalizers 200 deep", tokenizer(normalizer=_sequence(200)),
        ),
        "tokenizer-twice": ("a key twice", b'{"model":{},' + tokenizer()[1:]),
        "tokenizer-nan": ("NaN", b'{"x":NaN,' + tokenizer()[1:]),
        "tokenizer-not-utf-8": ("no text", b"\xff\xfe" + tokenizer()),
        "tokenizer-truncated": ("JSON without its end", tokenizer()[:-1]),
        "tokenizer-is-a-list": ("a list", b"[]"),
    }  # fmt: skip
    cases |= {
        name: (f"a tokenizer: {about}", {path: data}, path) for name, (about, data) in texts.items()
    }
    cases["deep-config"] = (
        "a configuration 5,000 deep",
        {model_path("config.json"): b'{"a":' * 5000 + b"1" + b"}" * 5000},
        model_path("config.json"),
    )
    return cases


def _sequence(depth: int) -> object:
    value: object = {"type": "NFC"}
    for _ in range(depth):
        value = {"type": "Sequence", "normalizers": [value]}
    return value
