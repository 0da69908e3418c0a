"""What others make of a bundle and of an installed model: model-signing, skopeo, stock tools."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from sealift.keys.signer import generate
from sealift.runtime.importer.importer import import_bundle
from sealift.runtime.store.store import Store
from tests.sealed import Sealed, flip, tree

RESTORE = Path(__file__).parents[3] / "docs" / "restore.sh"


def _model_signing(path: Path, signature: Path, key: Path) -> subprocess.CompletedProcess[str]:
    tool = Path(sys.executable).with_name("model_signing")
    return subprocess.run(
        [tool, "verify", "key", path, "--signature", signature, "--public_key", key],
        capture_output=True, text=True,
    )  # fmt: skip


def test_model_signing_accepts_an_installed_model_and_refuses_a_changed_one(
    sealed: Sealed, store: Store, tmp_path: Path
) -> None:
    import_bundle(sealed.bundle, store)
    model = store.resolve("demo")
    key = tmp_path / "signer.pub"
    key.write_bytes(sealed.signer.public.pem)
    good = _model_signing(model.path, model.signature, key)
    assert good.returncode == 0, good.stderr
    flip(model.path / "cpu-int4/model.onnx")
    assert _model_signing(model.path, model.signature, key).returncode != 0
    flip(model.path / "cpu-int4/model.onnx")
    key.write_bytes(generate().public.pem)
    assert _model_signing(model.path, model.signature, key).returncode != 0


@pytest.mark.skipif(shutil.which("skopeo") is None, reason="skopeo is not installed")
def test_skopeo_copies_the_layout(sealed: Sealed, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    done = subprocess.run(
        ["skopeo", "--insecure-policy", "copy"]
        + [f"oci:{folder}:demo-1.0.0" for folder in (sealed.bundle, copy)],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    copied = tree(copy / "blobs")
    for blob in sealed.part_blobs():
        assert copied[f"sha256/{blob.name}"] == blob.read_bytes()


def _restore(bundle: Path, key: bytes, out: Path) -> subprocess.CompletedProcess[str]:
    pub = out.with_suffix(".pub")
    pub.write_bytes(key)
    return subprocess.run(["sh", RESTORE, bundle, pub, out], capture_output=True, text=True)


def test_stock_tools_restore_the_files_and_check_the_signature(
    sealed: Sealed, tmp_path: Path
) -> None:
    done = _restore(sealed.bundle, sealed.signer.public.pem, tmp_path / "out")
    assert done.returncode == 0, done.stderr
    assert "signature: good" in done.stdout
    assert tree(tmp_path / "out") == tree(sealed.files)


def test_the_script_refuses_another_key(sealed: Sealed, tmp_path: Path) -> None:
    done = _restore(sealed.bundle, generate().public.pem, tmp_path / "out")
    assert done.returncode == 3
    assert "signature does not fit" in done.stderr
    assert not (tmp_path / "out").exists()


def test_the_script_finds_a_changed_byte_in_any_file(medium: Sealed, tmp_path: Path) -> None:
    for number, path in enumerate(medium.paths()):
        flip(path)
        done = _restore(medium.bundle, medium.signer.public.pem, tmp_path / f"out{number}")
        assert done.returncode == 3, path
        flip(path)


def test_the_script_finds_an_attacker_who_repairs_the_checksums(
    medium: Sealed, tmp_path: Path
) -> None:
    blob = medium.part_blobs()[0]
    flip(blob)
    sums = subprocess.run(
        "find . -type f ! -name SHA256SUMS | sed 's/^..//' | xargs sha256sum > SHA256SUMS",
        shell=True, cwd=medium.bundle,
    )  # fmt: skip
    assert sums.returncode == 0
    done = _restore(medium.bundle, medium.signer.public.pem, tmp_path / "out")
    assert done.returncode != 0
