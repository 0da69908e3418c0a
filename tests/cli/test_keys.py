"""`sealift keys`: right modes, nothing overwritten, fingerprints that can be compared."""

import json
import stat
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

Run = Callable[..., "subprocess.CompletedProcess[str]"]


def test_private_key_is_encrypted_and_closed_to_others(sealift: Run, tmp_path: Path) -> None:
    done = sealift("keys", "generate", "--out", tmp_path / "k", SEALIFT_PASSPHRASE="s3cret")
    assert done.returncode == 0, done.stderr
    private = tmp_path / "k" / "signer.key"
    assert stat.S_IMODE(private.stat().st_mode) == 0o600
    assert b"ENCRYPTED" in private.read_bytes()
    assert "s3cret" not in done.stdout + done.stderr


def test_no_passphrase_must_be_typed(sealift: Run, tmp_path: Path) -> None:
    refused = sealift("keys", "generate", "--out", tmp_path / "k")
    assert refused.returncode == 2
    assert not (tmp_path / "k").exists()
    done = sealift("keys", "generate", "--out", tmp_path / "k", "--no-passphrase")
    assert done.returncode == 0
    assert b"ENCRYPTED" not in (tmp_path / "k" / "signer.key").read_bytes()


def test_generate_never_overwrites(sealift: Run, tmp_path: Path) -> None:
    sealift("keys", "generate", "--out", tmp_path, "--no-passphrase")
    before = (tmp_path / "signer.key").read_bytes()
    done = sealift("keys", "generate", "--out", tmp_path, "--no-passphrase")
    assert done.returncode == 2
    assert (tmp_path / "signer.key").read_bytes() == before


def test_trust_list_distrust(sealift: Run, tmp_path: Path) -> None:
    made = sealift("keys", "generate", "--out", tmp_path / "k", "--no-passphrase", "--json")
    fingerprint = json.loads(made.stdout)["fingerprint"]
    public = tmp_path / "k" / "signer.pub"
    wrong = sealift("keys", "trust", public, "--fingerprint", "00000000")
    assert wrong.returncode == 4
    assert sealift("keys", "trust", public, "--fingerprint", fingerprint[:16]).returncode == 0
    listed = json.loads(sealift("keys", "list", "--json").stdout)
    assert [key["fingerprint"] for key in listed] == [fingerprint]
    assert sealift("keys", "distrust", fingerprint).returncode == 0
    assert json.loads(sealift("keys", "list", "--json").stdout) == []


@pytest.mark.parametrize("content", [b"", b"hello", b"-----BEGIN PUBLIC KEY-----\n"])
def test_trust_refuses_what_is_no_public_key(sealift: Run, tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "x.pub"
    path.write_bytes(content)
    done = sealift("keys", "trust", path)
    assert done.returncode == 2
    assert "x.pub" in done.stderr


def test_a_private_key_open_to_others_is_refused(sealift: Run, tmp_path: Path) -> None:
    sealift("keys", "generate", "--out", tmp_path / "k", "--no-passphrase")
    key = tmp_path / "k" / "signer.key"
    key.chmod(0o644)
    done = sealift("build", "purser-x", "--key", key, "--out", tmp_path / "b")
    assert done.returncode == 2
    recipe = tmp_path / "r.yaml"
    recipe.write_text(
        "name: x\nversion: 1.0.0\ntask: chat\nsource: {path: m}\nlicense: MIT\n"
        "variants: [{precision: int4}]\n"
    )
    done = sealift("build", recipe, "--key", key, "--out", tmp_path / "b")
    assert done.returncode == 2
    assert "open to others" in done.stderr
