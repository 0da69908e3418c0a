"""Names, first bytes, configurations and templates: hostile ones first."""

import json
import os
import random
import struct
import zipfile
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest

from sealift.manifests.recipe import Task
from sealift.runtime.content.errors import ContentError
from sealift.runtime.content.file_rules import FileKind, check_text, kind_of
from sealift.runtime.content.json_rules import (
    check_config,
    check_genai,
    check_package,
    check_serving,
    check_tokenizer,
    load_object,
)
from sealift.runtime.content.limits import ContentLimits
from sealift.runtime.content.magic import check_magic
from sealift.runtime.content.pieces import check_pieces
from sealift.runtime.content.template_rules import check_template

PATH = "cpu-int4/some.json"
REPO = Path(__file__).resolve().parents[3]


def magic(data: bytes) -> None:
    check_magic("w.onnx.data", len(data), lambda at, length: data[at : at + length])


@pytest.mark.parametrize(
    "name",
    ["x.py", "x.so", "x.so.1", "x.dll", "x.pkl", "x.pt", "x.bin", "x.safetensors", "x.sh", "x",
     "model.ONNX", "model.onnx.data.exe", "LICENSE.py", "x.ort", "x.zip", "model.onnx.data2",
     "x.dylib", "x.jar", "x.html", "x.yaml", "data", "x.pb"],
)  # fmt: skip
def test_names_that_no_model_has(name: str) -> None:
    for path in (name, f"cpu-int4/{name}"):
        with pytest.raises(ContentError, match="no file of a model"):
            kind_of(path)


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("manifest.json", FileKind.PACKAGE), ("cpu-int4/model.onnx", FileKind.GRAPH),
        ("cpu-int4/model.onnx.data", FileKind.WEIGHTS), ("cpu-int4/serving.json", FileKind.SERVING),
        ("cpu-int4/genai_config.json", FileKind.GENAI), ("cpu-int4/config.json", FileKind.CONFIG),
        ("cpu-int4/tokenizer.json", FileKind.TOKENIZER), ("a/vocab.json", FileKind.VOCABULARY),
        ("cpu-int4/chat_template.jinja", FileKind.TEMPLATE), ("a/merges.txt", FileKind.TEXT),
        ("a/tokenizer.model", FileKind.PIECES), ("README.md", FileKind.TEXT),
        ("LICENSE", FileKind.TEXT), ("LICENSE-APACHE-2.0", FileKind.TEXT),
        ("NOTICE.txt", FileKind.TEXT), ("USE_POLICY.md", FileKind.TEXT),
    ],
)  # fmt: skip
def test_names_that_models_have(path: str, kind: FileKind) -> None:
    assert kind_of(path) is kind


def _portable_executable() -> bytes:
    return b"MZ" + bytes(0x3A) + struct.pack("<I", 70_000) + bytes(69_936) + b"PE\0\0" + bytes(64)


def _archive(before: bytes = b"", comment: bytes = b"") -> bytes:
    file = BytesIO()
    file.write(before)
    with zipfile.ZipFile(file, "a") as archive:
        archive.writestr("__main__.py", "print('hello')")
        archive.comment = comment
    return file.getvalue()


PICKLES = {
    # What `pickle.dumps(os.system)` and its like give, by protocol; written down, not made here.
    "protocol 0": b"cos\nsystem\n(S'true'\ntR.",
    "protocol 0, lists first": b"(lp0\ncposix\nsystem\n.",
    "protocol 2": b"\x80\x02cposix\nsystem\nq\x00.",
    "protocol 3": b"\x80\x03cposix\nsystem\nq\x00X\x04\x00\x00\x00trueq\x01\x85q\x02Rq\x03.",
    "protocol 4": b"\x80\x04\x95\x14\x00\x00\x00\x00\x00\x00\x00\x8c\x05posix\x94\x8c\x06system"
                  b"\x94\x93\x94.",
    "protocol 5, no frame": b"\x80\x05\x8c\x05posix\x8c\x06system\x93.",
    "harmless": b"\x80\x04K\x01.",
    "old torch": b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.\x80\x02M\xe9\x03.",
}  # fmt: skip
PROGRAMS = {
    "ELF": Path("/bin/sh").read_bytes()[:4096],
    "PE": _portable_executable(),
    "Mach-O": b"\xcf\xfa\xed\xfe\x0c\0\0\x01" + bytes(100),
    "Mach-O, other order": b"\xfe\xed\xfa\xce\0\0\0\x07" + bytes(100),
    "fat": b"\xca\xfe\xba\xbe\0\0\0\x02" + bytes(100),
    "zip": _archive(),
    "zip behind weights": _archive(bytes(100_000)),
    "zip with a comment": _archive(b"w" * 999, b"c" * 65_000),
    "gzip": b"\x1f\x8b\x08\0\0\0\0\0\x02\xff" + bytes(50),
    "shebang": b"#!/bin/sh\nrm -rf /\n",
    "shebang env": b"#! /usr/bin/env python3\n",
    "wasm": b"\0asm\x01\0\0\0",
    "NumPy": b"\x93NUMPY\x01\0",
}


@pytest.mark.parametrize("data", (PROGRAMS | PICKLES).values(), ids=(PROGRAMS | PICKLES).keys())
def test_weights_that_are_programs_archives_or_pickles(data: bytes) -> None:
    with pytest.raises(ContentError, match="expected data of a model, got a"):
        magic(data)


def test_weights_pass_whatever_two_bytes_they_begin_with() -> None:
    source = random.Random(7)
    beginnings = [
        b"MZ",
        b"PK",
        b"\x1f\x8b",
        b"#!",
        b"\x80\x02",
        b"\x80\x04",
        b"\x80\x05",
        b"BZ",
        b"",
    ]
    for number in range(3000):
        magic(beginnings[number % len(beginnings)] + source.randbytes(200 + number % 3000))
    for size in (0, 1, 2, 3, 63, 64, 65):
        magic(bytes(size))
        magic(os.urandom(size))
    magic(b"\xff" * 70_000)
    magic(struct.pack("<4096f", *(number / 7 for number in range(4096))))


@pytest.mark.parametrize("data", [b"a\0b", b"\xff\xfe", b"#!/bin/sh\n", b"\xc3"])
def test_what_is_no_text(data: bytes) -> None:
    with pytest.raises(ContentError, match="expected"):
        check_text(data, "vocab.txt")


@pytest.mark.parametrize(
    "data",
    [b"[]", b"1", b"", b"{", b'{"a":1,"a":2}', b'{"a":NaN}', b'{"a":1e999}', b"\xff{}", b"{}x",
     b'{"a":' * 40 + b"1" + b"}" * 40, b'{"a":"\\ud800"}', b"{}" + b" " * 1000],
)  # fmt: skip
def test_what_is_no_object(data: bytes) -> None:
    with pytest.raises(ContentError):
        load_object(data, PATH, bytes_max=500)


CODE: dict[str, Any] = {
    "auto_map": {"auto_map": {"AutoModel": "x.Y"}},
    "inside": {"a": [{"b": {"auto_map": {"A": "b"}}}]},
    "trust": {"trust_remote_code": True},
    "spelled otherwise": {"Trust-Remote-Code": 1},
    "pipelines": {"custom_pipelines": {"p": {"impl": "x"}}},
    "library": {"custom_ops_library": "x.so"},
    "kernel": {"_attn_implementation": "org/kernel"},
}


@pytest.mark.parametrize("value", CODE.values(), ids=CODE.keys())
def test_configurations_that_name_code(value: dict[str, Any]) -> None:
    with pytest.raises(ContentError, match="names code"):
        check_config(value, PATH)
    with pytest.raises(ContentError):
        check_genai(value, PATH, ())


def genai(**session: object) -> dict[str, Any]:
    options = {"log_id": "onnxruntime-genai", "provider_options": [], **session}
    return {"model": {"decoder": {"session_options": options, "filename": "model.onnx"}}}


GENAI: dict[str, tuple[dict[str, Any], str]] = {
    "library": (genai(custom_ops_library="x.so"), "custom_ops_library"),
    "profile": (genai(enable_profiling="/tmp/x"), "enable_profiling"),
    "context": (genai(ep_context_file_path="x"), "ep_context_file_path"),
    "entries": (genai(config_entries={"session.x": "1"}), "config_entries"),
    "no object": (genai() | {"session_options": []}, "expected an object"),
    "provider": (genai(provider_options=[{"Evil": {}}]), "unknown provider"),
    "providers as an object": (genai(provider_options={"cpu": {}}), "expected a list"),
    "provider's library": (
        genai(provider_options=[{"cuda": {"backend_path": "x.so"}}]), "names a file",
    ),
    "provider's path": (genai(provider_options=[{"cuda": {"x": "/tmp/x"}}]), "names a file"),
    "other file": ({"model": {"decoder": {"filename": "../x.onnx"}}}, "declared file"),
    "undeclared": ({"model": {"vision": {"config_filename": "x.json"}}}, "declared file"),
    "file as a list": ({"model": {"filename": ["model.onnx"]}}, "declared file"),
}  # fmt: skip


@pytest.mark.parametrize("name", GENAI)
def test_genai_configurations_that_reach_out(name: str) -> None:
    value, message = GENAI[name]
    with pytest.raises(ContentError, match=message):
        check_genai(value, PATH, ["model.onnx"])
    check_genai(genai(), PATH, ["model.onnx"])


PACKAGE = {
    "elsewhere": {"variant_directory": "../other"},
    "absolute": {"variant_directory": "/etc"},
    "no text": {"variant_directory": ["cpu-int4"]},
    "undeclared": {"model_file": "other.onnx"},
    "library": {"ep": "CPUExecutionProvider", "ep_library": "x.so"},
    "plugin": {"plugin": "x"},
}


@pytest.mark.parametrize("value", PACKAGE.values(), ids=PACKAGE.keys())
def test_packages_that_reach_out(value: dict[str, Any]) -> None:
    with pytest.raises(ContentError):
        check_package({"components": {"model": value}}, PATH, ["cpu-int4/model.onnx"])


def test_serving_json_is_for_this_task_and_these_files() -> None:
    from tests.sealed import SERVING

    names = ["model.onnx", "tokenizer.json", "chat_template.jinja"]
    assert check_serving(SERVING.encode(), PATH, names, Task.CHAT) == SERVING
    with pytest.raises(ContentError, match="task: expected embed, got chat"):
        check_serving(SERVING.encode(), PATH, names, Task.EMBED)
    for missing in names:
        with pytest.raises(ContentError, match="no declared file"):
            check_serving(SERVING.encode(), PATH, {*names} - {missing}, Task.CHAT)
    with pytest.raises(ContentError):
        check_serving(b'{"graph": "../x"}', PATH, names, Task.CHAT)


def test_tokenizers_are_bounded() -> None:
    limits = ContentLimits(vocabulary=10, merges=10, added_tokens=10)
    check_tokenizer({"model": {"vocab": {"a": 1}, "merges": []}}, PATH, limits)
    many = {str(number): number for number in range(11)}
    for value, message in (
        ({"model": {"vocab": many}}, "vocabulary: expected at most 10, got 11"),
        ({"model": {"vocab": list(many.items())}}, "vocabulary"),
        ({"model": {"merges": list(many)}}, "merges"),
        ({"model": {}, "added_tokens": list(many)}, "added tokens"),
        ({"model": {"vocab": 1}}, "expected a list"),
        ({"model": []}, "not a tokenizer"),
        ({"model": {}, "plugin": 1}, "not a tokenizer: 'plugin'"),
    ):
        with pytest.raises(ContentError, match=message):
            check_tokenizer(value, PATH, limits)


def test_pieces() -> None:
    assert check_pieces(b"\x0a\x01a\x0a\x01b\x12\x00", "tokenizer.model") == 2
    for data in (b"", b"\x12\x00", b"\x0a\x7f", b"\x80\x04K\x01.", b"\x32\x00", b"\x08\x01"):
        with pytest.raises(ContentError):
            check_pieces(data, "tokenizer.model")


def template(source: str, *, is_served: bool = True) -> None:
    limits = ContentLimits(template_chars=100_000, template_s=0.3)
    check_template(source, "t.jinja", special_tokens={}, is_served=is_served, limits=limits)


LOOP = "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}"
TEMPLATES = {
    "class": "{{ ''.__class__ }}",
    "class, never reached": "{% if messages | length > 999 %}{{ ''.__class__ }}{% endif %}",
    "class as a key": "{{ ''['__class__'] }}",
    "class by a filter": "{{ '' | attr('__class__') }}",
    "class by a format": "{{ '{0.__class__}'.format(1) }}",
    "globals": "{{ raise_exception.__globals__ }}",
    "include": "{% if 0 %}{% include '/etc/passwd' %}{% endif %}",
    "import": "{% if 0 %}{% import 'x' as x %}{% endif %}",
    "extends": "{% extends 'x' %}",
    "broken": "{% if %}",
    "deep": "{{ " + "(" * 5000 + "1" + ")" * 5000 + " }}",
    "huge": "x" * 100_001,
    "loop": LOOP,
    "loop in a later turn": "{% if messages | length > 9 %}" + LOOP + "{% endif %}",
    "a gigabyte": "{% for a in range(99999) %}" + "x" * 10_000 + "{% endfor %}",
    "one text of a gigabyte": "{{ 'x' * 1000000000 }}",
}


@pytest.mark.parametrize("source", TEMPLATES.values(), ids=TEMPLATES.keys())
def test_hostile_templates(source: str) -> None:
    for is_served in (True, False):
        with pytest.raises(ContentError):
            template(source, is_served=is_served)


def test_templates_that_refuse_politely() -> None:
    picky = "{% if messages[0].role == 'system' %}{{ raise_exception('no system') }}{% endif %}ok"
    template(picky)
    with pytest.raises(ContentError, match="refuses this: never"):
        template("{{ raise_exception('never') }}")
    template("{{ raise_exception('never') }}", is_served=False)
    template("{{ tools[0].name }}", is_served=False)
    with pytest.raises(ContentError, match="UndefinedError"):
        template("{{ tools[0].name }}")


def test_real_templates_pass() -> None:
    shipped = (REPO / "examples/purser/model/chat_template.jinja").read_text()
    template(shipped)
    config = json.loads((REPO / "examples/purser/model/tokenizer_config.json").read_bytes())
    check_config(config, PATH)
    template("{{ '__init__ is only text' }}{{ messages[0].content }}")
