"""Exit codes and messages, as documented: 0 fine, 2 usage, 3 integrity, 4 not trusted, 5 I/O."""

import json
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from sealift.bundler.attest import Attestation
from sealift.bundler.pack import BundleMeta
from sealift.bundler.seal import write_bundle
from sealift.keys.key_file import write_pair
from sealift.keys.signer import MemorySigner, generate
from sealift.manifests.recipe import Task

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="module")
def signer() -> MemorySigner:
    return generate()


@pytest.fixture(scope="module")
def keys(signer: MemorySigner, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("keys")
    write_pair(folder, "signer", signer, None)
    write_pair(folder, "stranger", generate(), None)
    return folder


@pytest.fixture
def bundle(signer: MemorySigner, tmp_path: Path) -> Path:
    files = tmp_path / "files"
    (files / "cpu-fp32").mkdir(parents=True)
    (files / "cpu-fp32" / "model.onnx.data").write_bytes(bytes(range(256)) * 4096)
    (files / "manifest.json").write_text("{}")
    meta = BundleMeta(
        name="demo",
        version="1.0.0",
        license="MIT",
        architecture="llama",
        task=Task.CHAT,
        created="2026-01-01T00:00:00Z",
    )
    said = Attestation(predicate_type="https://slsa.dev/provenance/v1", predicate={"a": 1})
    write_bundle(files, meta, [said], signer, tmp_path / "bundle")
    return tmp_path / "bundle"


def _largest_blob(bundle: Path) -> Path:
    return max((bundle / "blobs" / "sha256").iterdir(), key=lambda path: path.stat().st_size)


def test_import_of_a_good_bundle_is_0_and_again_a_no_op(
    sealift: Run, bundle: Path, keys: Path
) -> None:
    assert sealift("keys", "trust", keys / "signer.pub").returncode == 0
    first = sealift("import", bundle)
    assert (first.returncode, "installed demo 1.0.0" in first.stdout) == (0, True), first.stderr
    second = sealift("import", bundle)
    assert (second.returncode, "already installed" in second.stdout) == (0, True)
    assert sealift("audit", "verify").returncode == 0


def test_flipped_byte_is_3_names_the_file_and_installs_nothing(
    sealift: Run, bundle: Path, keys: Path
) -> None:
    sealift("keys", "trust", keys / "signer.pub")
    blob = _largest_blob(bundle)
    data = bytearray(blob.read_bytes())
    data[len(data) // 2] ^= 1
    blob.chmod(0o644)
    blob.write_bytes(data)
    done = sealift("import", bundle)
    assert done.returncode == 3
    assert blob.name in done.stderr
    assert re.search(r"^error: [a-z]", done.stderr, re.MULTILINE)
    assert json.loads(sealift("models", "list", "--json").stdout) == []
    log = json.loads(sealift("audit", "log", "--json", "--kind", "model.import_refused").stdout)
    assert len(log) == 1
    assert blob.name in log[0]["fields"]["message"]


def test_missing_part_is_3_and_named(sealift: Run, bundle: Path, keys: Path) -> None:
    blob = _largest_blob(bundle)
    blob.unlink()
    done = sealift("verify", bundle, "--key", keys / "signer.pub")
    assert done.returncode == 3
    assert f"{blob.name}: missing" in done.stderr


def test_extra_file_is_3_and_named(sealift: Run, bundle: Path, keys: Path) -> None:
    (bundle / "blobs" / "sha256" / "autorun.inf").write_text("x")
    done = sealift("verify", bundle, "--key", keys / "signer.pub")
    assert done.returncode == 3
    assert "autorun.inf" in done.stderr


def test_unknown_signer_is_4_with_a_hint(sealift: Run, bundle: Path, keys: Path) -> None:
    sealift("keys", "trust", keys / "stranger.pub")
    done = sealift("import", bundle)
    assert done.returncode == 4
    assert "not trusted" in done.stderr
    assert "hint: " in done.stderr


def test_verify_without_home_or_key_is_4_and_makes_no_home(
    sealift: Run, bundle: Path, home: Path
) -> None:
    done = sealift("verify", bundle)
    assert done.returncode == 4
    assert not home.exists()


def test_no_medium_is_reported_once_in_one_line(sealift: Run, tmp_path: Path, keys: Path) -> None:
    done = sealift("verify", tmp_path / "nowhere", "--key", keys / "signer.pub")
    assert done.returncode in (2, 5)
    assert done.stderr.count("error:") == 1


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["no-such-verb"], "no-such-verb"),
        (["import"], "MEDIUM"),
        (["models", "show", "ghost"], "ghost"),
        (["build", "ghost.yaml", "--key", "k", "--out", "o"], "ghost.yaml"),
        (["serve", "--host", "0.0.0.0"], "without a key"),
        (["keys", "trust", "absent.pub"], "absent.pub"),
        (["keys", "generate", "--out", "k"], "passphrase"),
    ],
)
def test_usage_is_2_and_says_what_is_wrong(sealift: Run, arguments: list[str], words: str) -> None:
    done = sealift(*arguments)
    assert done.returncode == 2, done.stderr
    assert words in done.stderr
    assert re.match(r"error: [^A-Z].*[^.]\n(hint: .*\n)?\Z", done.stderr), done.stderr
    assert done.stdout == ""


def test_a_home_that_cannot_be_made_is_5(
    sealift: Run, bundle: Path, keys: Path, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("where a folder should be")
    done = sealift(
        "import", bundle, "--key", keys / "signer.pub", SEALIFT_HOME=str(tmp_path / "file" / "home")
    )
    assert done.returncode == 5, done.stderr


def test_tampered_store_is_3_and_audit_names_the_file(
    sealift: Run, bundle: Path, keys: Path, home: Path
) -> None:
    sealift("import", bundle, "--key", keys / "signer.pub")
    victim = home / "models" / "demo" / "1.0.0" / "cpu-fp32" / "model.onnx.data"
    victim.chmod(0o644)
    data = bytearray(victim.read_bytes())
    data[7] ^= 1
    victim.write_bytes(data)
    done = sealift("audit", "verify", "--json")
    assert done.returncode == 3
    report = json.loads(done.stdout)
    assert report["verdict"] == "failed"
    assert any("model.onnx.data" in failure["path"] for failure in report["failures"])


def test_inspect_says_who_signed_and_that_it_was_not_checked(
    sealift: Run, bundle: Path, keys: Path, signer: MemorySigner
) -> None:
    done = sealift("inspect", bundle)
    assert done.returncode == 0
    assert signer.public.key_id in done.stdout
    assert "not checked" in done.stderr
    checked = json.loads(sealift("inspect", bundle, "--key", keys / "signer.pub", "--json").stdout)
    assert checked[0]["signature"] == "good"


def test_colors_and_prompts_stay_away_from_pipes(sealift: Run, tmp_path: Path) -> None:
    done = sealift("models", "show", "ghost", NO_COLOR="1")
    assert "\x1b" not in done.stderr
    shutil.rmtree(tmp_path, ignore_errors=True)
