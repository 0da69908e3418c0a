"""What a model folder may hold: bad cases first, each by its name."""

import json
import os
from pathlib import Path

import pytest

from sealift.bundler.errors import HubError, SourceError
from sealift.bundler.source import read_tree, recheck, resolve_source
from sealift.bundler.source_rules import check_config, check_head, check_name
from sealift.manifests.recipe import Source

SAFETENSORS = (2).to_bytes(8, "little") + b"{}"


def model_folder(root: Path) -> Path:
    root.mkdir()
    (root / "config.json").write_text('{"model_type": "bert"}')
    (root / "model.safetensors").write_bytes(SAFETENSORS)
    return root


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("pytorch_model.bin", "pickle-like"),
        ("pytorch_model-00001-of-00002.bin", "pickle-like"),
        ("model.pt", "pickle-like"),
        ("consolidated.00.pth", "pickle-like"),
        ("weights.PKL", "pickle-like"),
        ("model.ckpt", "pickle-like"),
        ("tf_model.h5", "pickle-like"),
        ("flax_model.msgpack", "pickle-like"),
        ("rust_model.ot", "pickle-like"),
        ("training_args.bin", "pickle-like"),
        ("modeling_custom.py", "code"),
        ("custom/modeling.py", "code"),
        ("libx.so", "code"),
        ("onnx/model.onnx", "not on the list"),
        ("model.gguf", "not on the list"),
        ("notes.txt", "not on the list"),
        ("sub/model.safetensors", "not on the list"),
        ("config.json.exe", "code"),
    ],
)
def test_name_is_refused(name: str, says: str) -> None:
    with pytest.raises(SourceError, match=says) as caught:
        check_name(name)
    assert str(caught.value).startswith(f"{name}: ")
    assert caught.value.hint


@pytest.mark.parametrize(
    "name",
    [
        "config.json",
        "model-00001-of-00002.safetensors",
        "model.safetensors.index.json",
        "1_Pooling/config.json",
        "tokenizer.model",
        "chat_template.jinja",
        "LICENSE.txt",
        "README.md",
        ".gitattributes",
    ],
)
def test_name_is_allowed(name: str) -> None:
    check_name(name)


@pytest.mark.parametrize(
    ("name", "head", "says"),
    [
        ("tokenizer.model", b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19", "pickle"),
        ("tokenizer.model", b"\x80\x04\x95\x1a\x00\x00\x00\x00\x00\x00\x00", "pickle"),
        ("tokenizer.model", b"\x80\x02}q\x00X", "pickle"),
        ("vocab.txt", b"PK\x03\x04\x00\x00\x08\x08", "zip"),
        ("vocab.txt", b"\x7fELF\x02\x01\x01\x00", "program"),
        ("vocab.txt", b"\x89HDF\r\n\x1a\n", "HDF5"),
        ("README.md", b"#!/bin/sh\n", "script"),
        ("model.safetensors", b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19", "pickle"),
        ("model.safetensors", b"PK\x03\x04aaaaaaaaaaaa", "zip"),
        ("model.safetensors", b"\x02\x00\x00\x00\x00\x00\x00\x00no", "safetensors header"),
        ("model.safetensors", b"\xff\xff\xff\xff\xff\xff\xff\x7f{}", "safetensors header"),
        ("model.safetensors", b"", "safetensors header"),
    ],
)
def test_first_bytes_are_refused(name: str, head: bytes, says: str) -> None:
    with pytest.raises(SourceError, match=says):
        check_head(name, head)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("config.json", {"auto_map": {"AutoModel": "modeling.X"}}),
        ("config.json", {"auto_map": {}}),
        ("config.json", {"text_config": {"auto_map": {"AutoConfig": "x.Y"}}}),
        ("tokenizer_config.json", {"auto_map": {"AutoTokenizer": ["t.T", None]}}),
        ("config.json", {"trust_remote_code": True}),
        ("config.json", {"trust_remote_code": "false"}),
        ("config.json", [{"custom_pipelines": {}}]),
        ("modules.json", [{"type": "evil.Module", "path": ""}]),
        ("modules.json", [{"type": "sentence_transformers_evil.Module"}]),
        ("modules.json", [{"path": ""}]),
    ],
)
def test_config_that_names_code_is_refused(name: str, value: object) -> None:
    with pytest.raises(SourceError):
        check_config(name, value)  # type: ignore[arg-type]  # any JSON


def test_tree_lists_every_file_with_its_digest(tmp_path: Path) -> None:
    root = model_folder(tmp_path / "m")
    (root / ".git").mkdir()
    (root / ".git" / "hook.py").write_text("not read")
    tree = read_tree(root, origin="path:m")
    assert [file.path for file in tree.files] == ["config.json", "model.safetensors"]
    assert tree.files[1].size_bytes == len(SAFETENSORS)
    before = tree.digest
    (root / "config.json").write_text('{"model_type": "xlm"}')
    assert read_tree(root, origin="path:m").digest != before
    with pytest.raises(SourceError, match="changed during the build"):
        recheck(tree)


def test_pickle_beside_safetensors_is_refused_before_weights_are_read(tmp_path: Path) -> None:
    root = model_folder(tmp_path / "m")
    (root / "pytorch_model.bin").write_bytes(b"x")
    (root / "model.safetensors").chmod(0)
    with pytest.raises(SourceError, match=r"pytorch_model\.bin"):
        read_tree(root, origin="path:m")


@pytest.mark.parametrize("target", ["/etc/hostname", "config.json", "../outside.json"])
def test_link_is_refused(tmp_path: Path, target: str) -> None:
    root = model_folder(tmp_path / "m")
    (tmp_path / "outside.json").write_text("{}")
    (root / "generation_config.json").symlink_to(target)
    with pytest.raises(SourceError, match="link"):
        read_tree(root, origin="path:m")


def test_linked_folder_is_refused(tmp_path: Path) -> None:
    root = model_folder(tmp_path / "m")
    other = tmp_path / "other"
    other.mkdir()
    (other / "config.json").write_text("{}")
    (root / "1_Pooling").symlink_to(other, target_is_directory=True)
    with pytest.raises(SourceError, match="link"):
        read_tree(root, origin="path:m")


def test_fifo_is_refused(tmp_path: Path) -> None:
    root = model_folder(tmp_path / "m")
    os.mkfifo(root / "vocab.txt")
    with pytest.raises(SourceError, match="plain file"):
        read_tree(root, origin="path:m")


def test_remote_code_in_a_folder_is_refused(tmp_path: Path) -> None:
    root = model_folder(tmp_path / "m")
    (root / "config.json").write_text(json.dumps({"auto_map": {"AutoModel": "m.M"}}))
    with pytest.raises(SourceError, match="auto_map"):
        read_tree(root, origin="path:m")


def test_duplicate_key_cannot_hide_remote_code(tmp_path: Path) -> None:
    root = model_folder(tmp_path / "m")
    (root / "config.json").write_text('{"a": {"auto_map": 1}, "a": 2}')
    with pytest.raises(SourceError, match="duplicate"):
        read_tree(root, origin="path:m")


def test_folder_without_safetensors_is_refused(tmp_path: Path) -> None:
    root = model_folder(tmp_path / "m")
    (root / "model.safetensors").unlink()
    with pytest.raises(SourceError, match="safetensors"):
        read_tree(root, origin="path:m")


def test_missing_folder_says_what_the_path_is_relative_to(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="got nothing") as caught:
        resolve_source(Source(path="nowhere"), tmp_path)
    assert "recipe" in str(caught.value.hint)


def test_hub_snapshot_may_link_into_its_cache_and_hold_other_files(tmp_path: Path) -> None:
    cache = tmp_path / "models--org--name"
    blobs, snapshot = cache / "blobs", cache / "snapshots" / ("0" * 40)
    blobs.mkdir(parents=True)
    snapshot.mkdir(parents=True)
    (blobs / "a").write_text("{}")
    (blobs / "b").write_bytes(SAFETENSORS)
    (snapshot / "config.json").symlink_to("../../blobs/a")
    (snapshot / "model.safetensors").symlink_to("../../blobs/b")
    (snapshot / "pytorch_model.bin").symlink_to("../../blobs/a")
    tree = read_tree(snapshot, origin="hub:org/name", cache_of_hub=cache)
    assert [file.path for file in tree.files] == ["config.json", "model.safetensors"]
    (snapshot / "vocab.txt").symlink_to("/etc/hostname")
    with pytest.raises(SourceError, match="link"):
        read_tree(snapshot, origin="hub:org/name", cache_of_hub=cache)


def test_unreachable_hub_is_one_line_with_a_hint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    # A port of our own that nobody listens on: no name is looked up, nothing leaves the host.
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")
    source = Source(hub="org/name", revision="0" * 40)
    with pytest.raises(HubError, match="could not be reached") as caught:
        resolve_source(source, tmp_path)
    assert "\n" not in str(caught.value)
    assert "source.path" in str(caught.value.hint)
    assert capfd.readouterr().err == ""
