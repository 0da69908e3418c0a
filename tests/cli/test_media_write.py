"""`media write`, `verify` and `inspect` as a courier types them: sticks, discs, several keys."""

import hashlib
import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from sealift.keys.have import sign_have
from sealift.keys.key_file import write_pair
from sealift.keys.signer import generate, generate_site_key
from sealift.manifests.have import Have
from tests.sealed import PART_BYTES, Sealed, flip, seal_files, tree

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="module")
def sealed(tmp_path_factory: pytest.TempPathFactory) -> Sealed:
    return seal_files(tmp_path_factory.mktemp("sealed"))


@pytest.fixture
def keys(sealed: Sealed, tmp_path: Path) -> Path:
    write_pair(tmp_path / "keys", "signer", sealed.signer, None)
    write_pair(tmp_path / "keys", "stranger", generate(), None)
    return tmp_path / "keys"


def test_one_stick_is_written_verified_and_inspected(
    sealift: Run, sealed: Sealed, keys: Path, tmp_path: Path
) -> None:
    usb = tmp_path / "usb"
    key = keys / "signer.key"
    done = sealift("media", "write", sealed.bundle, usb, "--key", key, "--parity", "10%", "--json")
    assert done.returncode == 0, done.stderr
    facts = json.loads(done.stdout)
    assert facts["volumes"] == 1
    assert facts["bundles"][0]["repair_parts"] == 2
    assert facts["written"][0]["custody_record"] == 1
    assert facts["written"][0]["read_back"] in ("direct", "uncached", "cached")
    checked = sealift("verify", usb, "--key", keys / "signer.pub")
    assert checked.returncode == 0, checked.stderr
    assert "18 parts, 2 repair parts" in checked.stdout
    assert "custody 1: " in checked.stdout
    shown = sealift("inspect", usb)
    assert "not checked" in shown.stdout
    assert "repair_parts  2" in shown.stdout
    said = json.loads(sealift("inspect", usb, "--key", keys / "signer.pub", "--json").stdout)
    assert said[0]["custody"][0]["signature"] == "good"
    assert said[0]["custody"][0]["device"].keys() >= {"serial", "label", "file_system"}


def test_without_a_key_no_record_is_made_and_that_is_said(
    sealift: Run, sealed: Sealed, tmp_path: Path
) -> None:
    done = sealift("media", "write", sealed.bundle, tmp_path / "usb")
    assert done.returncode == 0, done.stderr
    assert "no custody record was made" in done.stderr
    assert "18 parts written" in done.stdout
    assert not (tmp_path / "usb/custody").exists()


def test_a_set_of_volumes_and_each_alone(
    sealift: Run, sealed: Sealed, keys: Path, tmp_path: Path
) -> None:
    public = keys / "signer.pub"
    done = sealift("media", "write", sealed.bundle, tmp_path / "set", "--volume", "5.2MB")
    assert done.returncode == 0, done.stderr
    names = sorted(path.name for path in (tmp_path / "set").iterdir())
    assert names == [f"volume-0{n}-of-03" for n in (1, 2, 3)]
    one = sealift("verify", tmp_path / "set" / names[1], "--key", public)
    assert one.returncode == 0, one.stderr
    assert "volume 2 of 3, " in one.stdout
    assert "all good" in one.stdout
    whole = sealift("verify", tmp_path / "set", "--key", public)
    assert whole.returncode == 0, whole.stderr
    assert "the set is complete" in whole.stdout
    shown = json.loads(sealift("inspect", tmp_path / "set" / names[1], "--json").stdout)
    assert (shown[0]["volume"]["number"], shown[0]["volume"]["count"]) == (2, 3)
    stick = tmp_path / "stick"
    third = sealift("media", "write", tmp_path / "set", stick, "--volume", "5.2MB", "--number", "3")
    assert third.returncode == 0, third.stderr
    assert tree(stick) == tree(tmp_path / "set" / names[2])
    joined = sealift("media", "write", tmp_path / "set", tmp_path / "joined")
    assert joined.returncode == 0, joined.stderr
    assert tree(tmp_path / "joined") == tree(sealed.bundle)


def test_a_set_with_a_volume_missing_says_so(
    sealift: Run, sealed: Sealed, keys: Path, tmp_path: Path
) -> None:
    for number in ("1", "3"):
        target = tmp_path / "set" / f"disc-{number}"
        target.parent.mkdir(exist_ok=True)
        sealift("media", "write", sealed.bundle, target, "--volume", "5.2MB", "--number", number)
    done = sealift("verify", tmp_path / "set", "--key", keys / "signer.pub")
    assert done.returncode == 0, done.stderr
    assert "not complete: volume 2 is not there" in done.stdout
    facts = json.loads(
        sealift("verify", tmp_path / "set", "--key", keys / "signer.pub", "--json").stdout
    )
    assert (facts["complete"], facts["missing"], facts["repair_parts_suffice"]) == (
        False, [2], False,
    )  # fmt: skip


def test_damage_is_3_and_the_next_write_heals_it(
    sealift: Run, sealed: Sealed, keys: Path, tmp_path: Path
) -> None:
    usb = tmp_path / "usb"
    sealift("media", "write", sealed.bundle, usb)
    flip(usb / "blobs/sha256" / sealed.part_blobs()[4].name)
    flip(usb / "blobs/sha256" / sealed.part_blobs()[6].name)
    bad = sealift("verify", usb, "--key", keys / "signer.pub")
    assert bad.returncode == 3
    assert "2 files are wrong" in bad.stderr
    assert "no repair parts" in bad.stderr
    healed = sealift("media", "write", sealed.bundle, usb)
    assert "2 damaged ones replaced" in healed.stdout
    assert sealift("verify", usb, "--key", keys / "signer.pub").returncode == 0


def test_the_host_s_list_leaves_parts_out(
    sealift: Run, sealed: Sealed, keys: Path, tmp_path: Path
) -> None:
    site = generate_site_key()
    lines = [line.split() for line in (sealed.bundle / "CONTENTS.txt").read_text().splitlines()]
    tar = next(line[0] for line in lines if line[1] == "raw")  # its blob is its archive
    have = Have(
        site_key=site.public.pem.decode(), time="2026-01-01T00:00:00Z",
        checkpoint="1 0123456789ab", files=(), parts=(tar,),
    )  # fmt: skip
    (tmp_path / "have.json").write_bytes(sign_have(have, site))
    done = sealift(
        "media", "write", sealed.bundle, tmp_path / "usb", "--base", tmp_path / "have.json"
    )
    assert done.returncode == 0, done.stderr
    assert have.site in done.stderr
    assert "left out 1 part " in done.stdout
    checked = sealift("verify", tmp_path / "usb", "--key", keys / "signer.pub")
    assert "left out: 1 part " in checked.stdout


@pytest.mark.parametrize(
    ("options", "code", "words"),
    [
        (["--volume", "1MB"], 2, "use larger media"),
        (["--volume", "lots"], 2, "expected a size"),
        (["--number", "1"], 2, "--volume"),
        (["--number", "9", "--volume", "5.2MB"], 2, "expected 1 to 3"),
        (["--parity", "10%"], 2, "--key"),
        (["--parity", "100%"], 2, "expected a share"),
        (["--parity", "10%", "--key", "KEYS/stranger.key"], 4, "sealed"),
        (["--key", "KEYS/stranger.key"], 4, "sealed none of these"),
        (["--base", "KEYS/signer.pub"], 3, "have list"),
        (["--base", "KEYS/nothing"], 5, "nothing"),
        (["--profile", "tape"], 2, "tape"),
    ],
)
def test_what_cannot_be_done_is_refused_before_anything_is_written(
    sealift: Run, sealed: Sealed, keys: Path, tmp_path: Path,
    options: list[str], code: int, words: str,
) -> None:  # fmt: skip
    target = tmp_path / "usb"
    given = [option.replace("KEYS", str(keys)) for option in options]
    done = sealift("media", "write", sealed.bundle, target, *given)
    assert done.returncode == code, done.stderr
    assert words in done.stderr
    assert done.stderr.count("error:") == 1
    assert not target.exists()


def test_a_write_that_was_killed_is_completed_by_the_next(sealift: Run, tmp_path: Path) -> None:
    large = seal_files(tmp_path / "large", large_bytes=40 * PART_BYTES)
    usb = tmp_path / "usb"
    program = "from sealift.cli.main import main; main()"
    arguments = [sys.executable, "-c", program, "media", "write", str(large.bundle), str(usb)]
    with subprocess.Popen(arguments, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as run:
        while run.poll() is None and len(list(usb.glob("blobs/sha256/*"))) < 3:
            time.sleep(0.001)
        run.send_signal(signal.SIGKILL)
    assert not (usb / "index.json").exists()
    names = {path.name for path in large.part_blobs()}
    for path in (
        usb / "blobs/sha256"
    ).iterdir():  # a name stands for whole content, or is not there
        if path.name in names:
            assert hashlib.sha256(path.read_bytes()).hexdigest() == path.name
    done = sealift("media", "write", large.bundle, usb)
    assert done.returncode == 0, done.stderr
    assert tree(usb) == tree(large.bundle)


def test_no_medium_and_a_full_medium(sealift: Run, sealed: Sealed, tmp_path: Path) -> None:
    nowhere = sealift("media", "write", tmp_path / "absent", tmp_path / "usb")
    assert nowhere.returncode == 2
    assert "no medium there" in nowhere.stderr
    (tmp_path / "file").write_text("not a folder")
    done = sealift("media", "write", sealed.bundle, tmp_path / "file" / "usb")
    assert done.returncode == 5, done.stderr
