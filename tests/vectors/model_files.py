"""The smallest model that an importer can have no objection to: an embedding table with a mean."""

import struct

from sealift.manifests.package import PackageVariant, package_manifest
from sealift.manifests.recipe import Device, Precision, Task
from sealift.manifests.serving import DecoderShape, ServingConfig, VectorShape
from sealift.manifests.strict_json import canonical
from tests.vectors.wire import message

__all__ = [
    "TABLE",
    "TEMPLATE",
    "VARIANT",
    "attribute",
    "chat_files",
    "external",
    "files",
    "graph",
    "model",
    "node",
]

VARIANT = "cpu-fp32"
TEMPLATE = "{% for m in messages %}[{{ m.role }}] {{ m.content }}\n{% endfor %}"
_ROWS, _COLUMNS = 16, 8
_FLOAT, _INT64 = 1, 7
TABLE = struct.pack(f"<{_ROWS * _COLUMNS}f", *(n / 128 for n in range(_ROWS * _COLUMNS)))


def node(
    op: str, inputs: list[str], outputs: list[str], *more: tuple[int, int | str | bytes]
) -> bytes:
    """Encode a NodeProto."""
    return message(*((1, i) for i in inputs), *((2, o) for o in outputs), (4, op), *more)


def attribute(name: str, kind: int, *value: tuple[int, int | str | bytes]) -> bytes:
    """Encode an AttributeProto."""
    return message((1, name), *value, (20, kind))


def external(name: str = "table", *dims: int, **entries: str) -> bytes:
    """Encode a TensorProto of floats whose bytes lie in another file."""
    where = {"location": "model.onnx.data", "offset": "0", "length": str(len(TABLE)), **entries}
    pairs = [(13, message((1, key), (2, value))) for key, value in where.items()]
    shape = [(1, size) for size in dims or (_ROWS, _COLUMNS)]
    return message(*shape, (2, _FLOAT), (8, name), *pairs, (14, 1))


def _value(name: str, kind: int, *dims: str | int) -> bytes:
    shape = message(*((1, message((1 if isinstance(d, int) else 2, d))) for d in dims))
    return message((1, name), (2, message((1, message((1, kind), (2, shape))))))


def graph(*more: tuple[int, int | str | bytes], table: bytes | None = None) -> bytes:
    """Encode the GraphProto, with whatever an attacker adds."""
    nodes = (
        node("Gather", ["table", "input_ids"], ["rows"]),
        node(
            "ReduceMean", ["rows"], ["sentence_embedding"],
            (5, attribute("axes", 7, (8, 1))), (5, attribute("keepdims", 2, (3, 0))),
        ),
    )  # fmt: skip
    return message(
        *((1, item) for item in nodes),
        (2, "encoder"),
        (5, external() if table is None else table),
        (11, _value("input_ids", _INT64, "batch", "sequence")),
        (12, _value("sentence_embedding", _FLOAT, "batch", _COLUMNS)),
        *more,
    )


def model(graph_bytes: bytes | None = None, *more: tuple[int, int | str | bytes]) -> bytes:
    """Encode the ModelProto."""
    inner = graph() if graph_bytes is None else graph_bytes
    return message((1, 8), (7, inner), (8, message((1, ""), (2, 17))), *more)


def files(**changes: bytes) -> dict[str, bytes]:
    """Return an embedding model's files; `changes` are files of its variant."""
    serving = ServingConfig(
        task=Task.EMBED, precision=Precision.FP32, graph="model.onnx", max_length=16,
        vector=VectorShape(
            dimensions=_COLUMNS, pad_token_id=0, inputs=("input_ids",), output="sentence_embedding"
        ),
    )  # fmt: skip
    return _folder(serving, changes)


def chat_files(template: str, **changes: bytes) -> dict[str, bytes]:
    """Return a chat model's files, as far as an inspection looks."""
    serving = ServingConfig(
        task=Task.CHAT, precision=Precision.FP32, graph="model.onnx", max_length=16,
        eos_token_ids=(1,), chat_template="chat_template.jinja",
        decoder=DecoderShape(layers=1, kv_heads=1, head_size=8, vocab_size=_ROWS),
    )  # fmt: skip
    return _folder(serving, {"chat_template.jinja": template.encode(), **changes})


def _folder(serving: ServingConfig, changes: dict[str, bytes]) -> dict[str, bytes]:
    variant = PackageVariant(
        label=VARIANT, device=Device.CPU, precision=Precision.FP32, graph="model.onnx"
    )
    inner = {
        "model.onnx": model(),
        "model.onnx.data": TABLE,
        "serving.json": serving.encode(),
        "tokenizer.json": tokenizer(),
        **changes,
    }
    return {
        "manifest.json": package_manifest("demo", "2.0.0", [variant]),
        **{f"{VARIANT}/{name}": data for name, data in inner.items()},
    }


def tokenizer(**changes: object) -> bytes:
    """Write a tokenizer of sixteen words."""
    words = ["[PAD]", "[UNK]", *(f"word{number}" for number in range(2, _ROWS))]
    return canonical(
        {
            "version": "1.0", "truncation": None, "padding": None, "added_tokens": [],
            "normalizer": None, "pre_tokenizer": {"type": "Whitespace"}, "post_processor": None,
            "decoder": None,
            "model": {
                "type": "WordLevel", "unk_token": "[UNK]",
                "vocab": {word: number for number, word in enumerate(words)},
            },
            **changes,
        }
    )  # fmt: skip
