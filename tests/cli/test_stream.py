"""`media stream | import -`, as people pipe them; `have`, and the smaller medium that it gives."""

import json
import os
import random
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from sealift.keys.key_file import write_pair
from sealift.keys.signer import MemorySigner, generate
from tests.cli.conftest import Run
from tests.sealed import Sealed, flip, meta, seal_files, tree

_SEALIFT = shlex.join([sys.executable, "-c", "from sealift.cli.main import main; main()"])


@pytest.fixture(scope="module")
def signer() -> MemorySigner:
    return generate()


@pytest.fixture(scope="module")
def key(signer: MemorySigner, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_pair(tmp_path_factory.mktemp("keys"), "signer", signer, None).public


@pytest.fixture
def sealed(signer: MemorySigner, tmp_path: Path) -> Sealed:
    return seal_files(tmp_path, signer=signer)


def _shell(home: Path, script: str, **words: Path) -> "subprocess.CompletedProcess[str]":
    """Run a pipeline; `$S` is the command. The status is the last one's that failed."""
    return subprocess.run(
        ["bash", "-c", f"set -o pipefail; S() {{ {_SEALIFT} \"$@\"; }}; {script}"],
        env={"PATH": os.environ["PATH"], "HOME": str(home.parent), "SEALIFT_HOME": str(home),
             "LANG": "C.UTF-8", **{name: str(path) for name, path in words.items()}},
        capture_output=True, text=True, timeout=120, stdin=subprocess.DEVNULL,
    )  # fmt: skip


@pytest.mark.parametrize("options", ["", "--repeat 3", "--rate 50MB"])
def test_a_bundle_goes_through_a_pipe(
    sealift: Run, home: Path, sealed: Sealed, key: Path, options: str
) -> None:
    done = _shell(
        home, f'S media stream "$B" {options} | S import - --key "$K"', B=sealed.bundle, K=key
    )
    assert done.returncode == 0, done.stderr
    assert "installed demo 1.0.0" in done.stdout
    assert tree(home / "models/demo/1.0.0") == tree(sealed.files)
    assert sealift("audit", "verify").returncode == 0


def test_losses_on_the_link_are_made_good_by_other_rounds(
    sealift: Run, home: Path, sealed: Sealed, key: Path, tmp_path: Path
) -> None:
    stream = tmp_path / "stream.tar"
    done = _shell(home, 'S media stream "$B" --repeat 4 > "$T"', B=sealed.bundle, T=stream)
    assert done.returncode == 0, done.stderr
    data, source = bytearray(stream.read_bytes()), random.Random(7)
    for number in range(8):  # in the first three rounds, at random
        start = source.randrange(len(data) * 3 // 4)
        length = source.randrange(1, 20_000)
        if number % 2:
            del data[start : start + length]
        else:
            data[start] ^= 0x40
    stream.write_bytes(data[1000:])  # and the receiver was late
    done = _shell(home, 'cat "$T" | S import - --key "$K"', T=stream, K=key)
    assert done.returncode == 0, done.stderr
    assert tree(home / "models/demo/1.0.0") == tree(sealed.files)
    assert sealift("audit", "verify").returncode == 0


def test_a_stream_that_ends_early_is_3_and_the_next_one_goes_on_from_there(
    sealift: Run, home: Path, sealed: Sealed, key: Path
) -> None:
    words = {"B": sealed.bundle, "K": key}
    done = _shell(home, 'S media stream "$B" | head -c 200000 | S import - --key "$K"', **words)
    assert done.returncode == 3, done.stderr
    assert "the stream ended" in done.stderr
    assert "good parts are kept" in done.stderr
    assert json.loads(sealift("models", "list", "--json").stdout) == []
    held = json.loads(sealift("import", "--status", "--json").stdout)[0]["held_parts"]
    assert held > 0
    done = _shell(home, 'S media stream "$B" | S import - --key "$K" --json', **words)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["reused_bytes"] > 0
    assert tree(home / "models/demo/1.0.0") == tree(sealed.files)


def test_an_endless_stream_ends_when_the_reader_has_enough(
    home: Path, sealed: Sealed, key: Path
) -> None:
    done = _shell(
        home,
        'S media stream "$B" --repeat 0 | head -c 1000000 > /dev/null',
        B=sealed.bundle,
    )
    assert done.returncode == 0, done.stderr
    # Two and a bit were read; what waits in pipes was sent as well.
    assert re.search(r"went away after [2-9] whole rounds", done.stderr), done.stderr


def test_a_reader_that_goes_within_the_first_round_is_5(home: Path, sealed: Sealed) -> None:
    done = _shell(home, 'S media stream "$B" | head -c 1000 > /dev/null', B=sealed.bundle)
    assert done.returncode == 5
    assert "the reader went away" in done.stderr
    assert done.stderr.count("error:") == 1


def test_a_damaged_part_is_3_and_never_arrives(
    sealift: Run, home: Path, sealed: Sealed, key: Path
) -> None:
    victim = sealed.part_blobs()[2]
    flip(victim)
    done = _shell(home, 'S media stream "$B" | S import - --key "$K"', B=sealed.bundle, K=key)
    assert done.returncode == 3
    assert victim.name in done.stderr
    assert json.loads(sealift("models", "list", "--json").stdout) == []


def test_a_stranger_s_stream_is_4(home: Path, sealed: Sealed, tmp_path: Path) -> None:
    stranger = write_pair(tmp_path / "keys", "stranger", generate(), None).public
    done = _shell(home, 'S media stream "$B" | S import - --key "$K"', B=sealed.bundle, K=stranger)
    assert done.returncode == 4, done.stderr


@pytest.mark.parametrize("source", ["/dev/null", "/etc/passwd"])
def test_what_is_no_stream_is_3(home: Path, key: Path, source: str) -> None:
    done = _shell(home, f'S import - --key "$K" < {source}', K=key)
    assert done.returncode == 3, done.stderr
    assert "carries no medium" in done.stderr


def test_a_terminal_gets_no_stream(home: Path, sealed: Sealed) -> None:
    done = _shell(
        home, 'script -qec "$C" /dev/null', C=Path(f"{_SEALIFT} media stream {sealed.bundle}")
    )
    assert done.returncode == 2
    assert "not a terminal" in done.stdout


def test_have_lists_what_is_installed_and_the_next_medium_leaves_it_out(
    sealift: Run, home: Path, sealed: Sealed, key: Path, signer: MemorySigner, tmp_path: Path
) -> None:
    assert sealift("import", sealed.bundle, "--key", key).returncode == 0
    done = sealift("have", "--out", tmp_path / "site.have", "--json")
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert said["versions"] == ["demo 1.0.0"]
    assert (said["parts"], said["left_out"]) == (len(sealed.part_blobs()), [])
    assert said["site"] in sealift("audit", "log", "--kind", "site.init").stdout
    log = json.loads(sealift("audit", "log", "--json", "--kind", "have.export").stdout)
    assert log[-1]["fields"]["digest"] == said["digest"]
    assert sealift("audit", "verify").returncode == 0

    release = meta(version="1.1.0", sequence=2, created="2026-02-02T00:00:00Z")
    (tmp_path / "next").mkdir()
    following = seal_files(tmp_path / "next", release, signer=signer)
    small = tmp_path / "small"
    base = ("--base", tmp_path / "site.have")
    assert sealift("media", "write", following.bundle, small, *base).returncode == 0
    assert len(list((small / "blobs/sha256").iterdir())) < len(following.part_blobs())
    done = _shell(home, 'S media stream "$B" | S import - --key "$K"', B=small, K=key)
    assert done.returncode == 0, done.stderr
    assert tree(home / "models/demo/1.1.0") == tree(following.files)


def test_have_leaves_out_what_is_not_trusted_any_more_and_says_so(
    sealift: Run, sealed: Sealed, key: Path, signer: MemorySigner, tmp_path: Path
) -> None:
    sealift("keys", "trust", key)
    assert sealift("import", sealed.bundle).returncode == 0
    assert sealift("keys", "distrust", signer.public.key_id).returncode == 0
    done = sealift("have", "--out", tmp_path / "site.have", "--json")
    assert done.returncode == 0
    said = json.loads(done.stdout)
    assert (said["versions"], said["files"], said["parts"]) == ([], 0, 0)
    assert "left out demo 1.0.0" in done.stderr


def test_have_makes_no_home(sealift: Run, home: Path, tmp_path: Path) -> None:
    done = sealift("have", "--out", tmp_path / "site.have")
    assert done.returncode == 5
    assert not home.exists()
    assert not (tmp_path / "site.have").exists()
