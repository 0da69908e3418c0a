"""Whole models through the limited process, and what it does when a parser is taken for a ride."""

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from sealift.manifests.errors import Category
from sealift.manifests.recipe import Precision, Task
from sealift.manifests.serving import SERVING_FILE, ServingConfig, VectorShape
from sealift.runtime.content.errors import ContentError
from sealift.runtime.content.limits import CONTENT_LIMITS, ContentLimits
from sealift.runtime.content.process import (
    ContentFile,
    inspect_content,
    start_inspection,
)
from tests.sealed import make_files
from tests.vectors.wire import varint


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A small chat model of two variants."""
    return make_files(tmp_path / "model")


def describe(root: Path) -> dict[str, ContentFile]:
    return {
        str(path.relative_to(root)): ContentFile(
            size_bytes=path.stat().st_size,
            sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
            local=path,
        )
        for path in sorted(root.rglob("*"))
        if path.is_file()
    }


def refusal(root: Path, limits: ContentLimits = CONTENT_LIMITS) -> ContentError:
    with pytest.raises(ContentError) as caught:
        inspect_content(describe(root), task=Task.CHAT, limits=limits)
    assert caught.value.category is Category.INTEGRITY
    assert caught.value.hint
    return caught.value


def test_every_file_is_in_the_report(model: Path) -> None:
    files = describe(model)
    report = inspect_content(files, task=Task.CHAT)
    assert report.verdict == "passed"
    assert [file.path for file in report.files] == sorted(files)
    assert {file.path: file.sha256 for file in report.files} == {
        path: file.sha256 for path, file in files.items()
    }
    assert all("name" in file.checks and len(file.checks) > 1 for file in report.files)
    assert [graph.path for graph in report.graphs] == [
        "cpu-fp32/model.onnx", "cpu-int4/model.onnx",
    ]  # fmt: skip
    assert report.isolation in {"network-namespace", "socket-guard"}
    assert report.summary.startswith("passed: 12 files, 2 graphs, 4 nodes of ai.onnx; sealift ")


def _add(name: str, data: bytes) -> Callable[[Path], None]:
    return lambda root: (root / name).write_bytes(data) and None


def _tokenizer(**changes: object) -> Callable[[Path], None]:
    def change(root: Path) -> None:
        path = root / "cpu-int4/tokenizer.json"
        path.write_text(json.dumps(json.loads(path.read_bytes()) | changes))

    return change


def _hungry(root: Path) -> None:
    items = b",".join([b"[[],[]]"] * 800_000)
    (root / "cpu-int4/tokenizer.json").write_bytes(b'{"model": {"merges": [' + items + b"]}}")


def _slow(root: Path) -> None:
    """A graph whose one node has seven million numbers, each a field of its own."""
    attribute = b"\x40\x01" * 7_000_000
    node = b"\x2a" + varint(len(attribute)) + attribute
    graph = b"\x0a" + varint(len(node)) + node
    (root / "cpu-int4/model.onnx").write_bytes(b"\x3a" + varint(len(graph)) + graph)


_SPLIT = {"type": "Split", "pattern": {"Regex": "(a|aa)+$"}, "behavior": "Isolated",
          "invert": False}  # fmt: skip


HOSTILE = {
    "Python file": (_add("cpu-int4/modeling.py", b"print()"), "cpu-int4/modeling.py"),
    "library": (_add("custom_ops.so", b"\x7fELF"), "custom_ops.so"),
    "weights that are a program": (
        _add("cpu-int4/x.onnx.data", Path(sys.executable).resolve().read_bytes()[:9999]),
        "cpu-int4/x.onnx.data: expected data of a model, got a program (ELF)",
    ),
    "text that is a program": (_add("vocab.txt", b"\x7fELF\x02\x01\x01"), "vocab.txt"),
    "graph": (_add("cpu-int4/model.onnx", b"\x0a"), "cpu-int4/model.onnx"),
    "auto_map": (
        _add("cpu-int4/config.json", b'{"auto_map": {"AutoModel": "x.Y"}}'),
        "cpu-int4/config.json: key 'auto_map'",
    ),
    "serving": (_add("cpu-int4/serving.json", b"{}"), "cpu-int4/serving.json"),
    "template": (
        _add("cpu-int4/chat_template.jinja", b"{{ ''.__class__ }}"),
        "cpu-int4/chat_template.jinja",
    ),
    "template in a configuration": (
        _add("cpu-int4/tokenizer_config.json", b'{"chat_template": "{{ cycler.__init__ }}"}'),
        "cpu-int4/tokenizer_config.json",
    ),
    "named template in a configuration": (
        _add("cpu-int4/tokenizer_config.json",
             b'{"chat_template": [{"name": "x", "template": "{{ \'\'.__class__ }}"}]}'),
        "cpu-int4/tokenizer_config.json",
    ),
    "tokenizer that does not load": (_tokenizer(model={"type": "X"}), "cpu-int4/tokenizer.json"),
    "tokenizer with too deep a part": (
        _tokenizer(normalizer=json.loads('{"normalizers":[' * 40 + "1" + "]}" * 40)),
        "cpu-int4/tokenizer.json",
    ),
    "tokenizer with a pattern that never ends": (
        _tokenizer(pre_tokenizer=_SPLIT), "cpu-int4/tokenizer.json: not a tokenizer",
    ),
    "sentence pieces": (_add("cpu-int4/tokenizer.model", b"\x80\x04K\x01."), "tokenizer.model"),
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_file_is_refused_by_name(name: str, model: Path) -> None:
    change, message = HOSTILE[name]
    change(model)
    assert message in refusal(model).message


@pytest.mark.parametrize(
    ("spoil", "limits", "message"),
    [
        (_hungry, ContentLimits(memory_bytes=192 << 20), "more than 201326592 bytes"),
        (_slow, ContentLimits(cpu_s=1), "ended by SIGXCPU"),
        (_slow, ContentLimits(wall_s=1.0), "an end within 1 s"),
        (lambda root: None, ContentLimits(answer_bytes=100), "answer of at most 100 bytes"),
        (lambda root: None, ContentLimits(graph_bytes=99), "model.onnx: expected at most 99"),
        (lambda root: None, ContentLimits(text_bytes=9), "chat_template.jinja: expected at most 9"),
        (lambda root: None, ContentLimits(tokenizer_bytes=9), "tokenizer.json: expected at most"),
    ],
    ids=["memory", "processor", "time", "answer", "graph", "text", "tokenizer"],
)
def test_what_passes_a_limit_is_stopped_and_refused(
    spoil: Callable[[Path], None], limits: ContentLimits, message: str, model: Path
) -> None:
    spoil(model)
    assert re.search(message, refusal(model, limits).message)


def test_a_process_that_is_killed_is_a_refusal(model: Path) -> None:
    _slow(model)
    with start_inspection(describe(model), task=Task.CHAT) as inspection:
        inspection._process.kill()  # as the kernel does when memory is short
        with pytest.raises(ContentError, match="ended by SIGKILL"):
            inspection.result({})


def test_leaving_the_block_ends_the_process(model: Path) -> None:
    _slow(model)
    with start_inspection(describe(model), task=Task.CHAT) as inspection:
        process = inspection._process
        assert process.poll() is None
    assert process.returncode == -9
    with pytest.raises(ContentError, match="was cancelled"):
        inspection.result({})


def test_weights_may_come_after_the_start(model: Path) -> None:
    complete = describe(model)
    weights = {path: file.local for path, file in complete.items() if path.endswith(".data")}
    early = {
        path: file if path not in weights
        else ContentFile(size_bytes=file.size_bytes, sha256=file.sha256)
        for path, file in complete.items()
    }  # fmt: skip
    places = {path: place for path, place in weights.items() if place is not None}
    with start_inspection(early, task=Task.CHAT) as inspection:
        assert inspection.result(places) == inspect_content(complete, task=Task.CHAT)
    with start_inspection(early, task=Task.CHAT) as inspection:
        with pytest.raises(ContentError, match="got no place of it"):
            inspection.result({})
    (_, place), *_ = places.items()
    with place.open("ab") as file:
        file.write(b"x")
    with start_inspection(early, task=Task.CHAT) as inspection:
        with pytest.raises(ContentError, match=r"expected .* bytes, got"):
            inspection.result(places)


def test_a_small_file_must_be_there_at_the_start(model: Path) -> None:
    files = describe(model)
    files["README.md"] = ContentFile(size_bytes=1, sha256="0" * 64)
    with pytest.raises(ContentError, match=r"README\.md: expected the complete file"):
        start_inspection(files, task=Task.CHAT)


def test_a_file_that_changed_after_its_digest_was_checked(model: Path) -> None:
    files = describe(model)
    path = model / "cpu-int4/serving.json"
    path.write_bytes(path.read_bytes().replace(b"64", b"65"))
    with pytest.raises(ContentError, match=r"serving\.json: changed while"):
        inspect_content(files, task=Task.CHAT)
    path.unlink()
    path.symlink_to("/etc/passwd")
    with pytest.raises(ContentError, match=r"serving\.json: cannot be read"):
        inspect_content(files, task=Task.CHAT)


LIMITED = """
import os, resource, socket, sys
from sealift.runtime.content.limits import ContentLimits
from sealift.runtime.content.worker import limit_process
limit_process(ContentLimits(memory_bytes=1 << 30))
for action in (
    lambda: os.write(os.open(sys.argv[1], os.O_CREAT | os.O_WRONLY), b"x"),
    lambda: bytearray(2 << 30),
    lambda: [open("/dev/null") for _ in range(99)],
    lambda: resource.setrlimit(resource.RLIMIT_CORE, (9, 9)) if os.getuid() else 1 / 0,
):
    try:
        action()
        print("allowed")
    except (OSError, MemoryError, ValueError, ZeroDivisionError) as error:
        print("refused")
"""


def test_the_process_can_write_no_file_and_take_no_more(tmp_path: Path) -> None:
    target = tmp_path / "written"
    done = subprocess.run(
        [sys.executable, "-B", "-c", LIMITED, str(target)], capture_output=True, text=True,
        timeout=60,
    )  # fmt: skip
    assert done.stdout.split() == ["refused"] * 4, done.stderr
    assert target.stat().st_size == 0


def test_our_environment_stays_here(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEALIFT_PASSPHRASE", "secret")
    _slow(model)
    with start_inspection(describe(model), task=Task.CHAT) as inspection:
        environment = Path(f"/proc/{inspection._process.pid}/environ")
        assert b"secret" not in environment.read_bytes()
    assert os.environ["SEALIFT_PASSPHRASE"] == "secret"


def test_real_exports_pass(chat_folder: Path, embed_folder: Path) -> None:
    for folder, task in ((chat_folder, Task.CHAT), (embed_folder, Task.EMBED)):
        report = inspect_content(describe(folder), task=task)
        assert len(report.files) == len(describe(folder))
        assert report.graphs


@pytest.mark.parametrize("family", ["minilm", "multilingual-e5", "mpnet"])
def test_real_encoders_pass(family: str, tmp_path: Path) -> None:
    import warnings

    from sealift.bundler.export.encoder import export_encoder, load_encoder
    from tests.bundler.miniatures import ENCODERS, save_encoder

    _, task, _ = ENCODERS[family]
    source = save_encoder(family, tmp_path / "source")
    variant = tmp_path / "model" / "cpu-fp32"
    variant.mkdir(parents=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # deprecations inside torch and its friends
        encoder = load_encoder(source, Task(task))
        export_encoder(encoder, variant / "model.onnx")
    for name in ("tokenizer.json", "tokenizer_config.json", "config.json"):
        shutil.copy(source / name, variant)
    config = ServingConfig(
        task=Task(task), precision=Precision.FP32, graph="model.onnx", max_length=64,
        vector=VectorShape(
            dimensions=encoder.dimensions, pad_token_id=0, inputs=encoder.inputs,
            output=encoder.output,
        ),
    )  # fmt: skip
    (variant / SERVING_FILE).write_bytes(config.encode())
    report = inspect_content(describe(tmp_path / "model"), task=Task(task))
    assert report.graphs[0].weights
