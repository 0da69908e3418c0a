"""A stream is a plain tar in a documented order; nothing that is wrong is ever sent."""

import hashlib
import io
import subprocess
import tarfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from sealift.keys.signer import MemorySigner, generate
from sealift.keys.trust_root import TrustRoot
from sealift.manifests import ustar
from sealift.manifests.custody import custody_path
from sealift.media.errors import MediumError, ReaderGoneError
from sealift.media.folder import MediumFolder
from sealift.media.medium import read_medium
from sealift.media.pace import Paced
from sealift.media.profile import PROFILES
from sealift.media.stream_source import open_stream
from sealift.media.stream_writer import StreamPlan, plan_stream, write_stream
from sealift.media.writer import WriteRequest, write_media
from tests.media.streams import receive, send
from tests.sealed import Sealed, flip, meta, seal_files, tree


@pytest.fixture(scope="module")
def signer() -> MemorySigner:
    return generate()


@pytest.fixture(scope="module")
def sealed(signer: MemorySigner, tmp_path_factory: pytest.TempPathFactory) -> Sealed:
    return seal_files(tmp_path_factory.mktemp("sealed"), signer=signer)


@pytest.fixture(scope="module")
def medium(sealed: Sealed, signer: MemorySigner, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two bundles, repair parts and two custody records on one medium."""
    other = seal_files(
        tmp_path_factory.mktemp("other"), meta(name="other"), signer=signer, seed=2
    ).bundle
    target = tmp_path_factory.mktemp("medium") / "m"
    for bundles in ((sealed.bundle,), (other,)):
        write_media(
            WriteRequest(
                sources=bundles, target=target, profile=PROFILES["usb"], capacity_bytes=None,
                number=None, parity_percent=20, have=None, signer=signer,
            )
        )  # fmt: skip
    return target


@pytest.mark.parametrize("repeat", [1, 2])
def test_stock_tar_restores_the_medium(medium: Path, tmp_path: Path, repeat: int) -> None:
    (tmp_path / "stream.tar").write_bytes(send(medium, repeat=repeat).data)
    target = tmp_path / "restored"
    target.mkdir()
    done = subprocess.run(
        ["tar", "-xf", tmp_path / "stream.tar", "-C", target], capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert tree(target) == tree(medium)
    sums = subprocess.run(["sha256sum", "-c", "--quiet", "SHA256SUMS"], cwd=target)
    assert sums.returncode == 0


def test_members_come_in_the_documented_order(medium: Path) -> None:
    sent = send(medium, repeat=2)
    with tarfile.open(fileobj=io.BytesIO(sent.data)) as archive:
        members = archive.getmembers()
    half = len(members) // 2
    names = [member.name for member in members]
    assert names[:half] == names[half:]
    custody = [custody_path(1), custody_path(2)]
    end = names.index("SHA256SUMS")
    assert names[:2] == ["oci-layout", "index.json"]
    assert names[end - 6 : end] == [*custody, "README.txt", "CONTENTS.txt", *custody]
    small = names[2 : end - 6]
    assert small == sorted(small)
    kinds = {
        f"blobs/sha256/{line.split()[0]}": line.split()[1]
        for line in (medium / "CONTENTS.txt").read_text().splitlines()
    }
    parts = [kinds[name] for name in names[end + 1 : half]]
    assert set(parts) == {"raw", "zstd", "repair"}
    assert parts == sorted(parts, key=lambda kind: kind == "repair")
    listed = [line.split()[0] for line in (medium / "CONTENTS.txt").read_text().splitlines()]
    order = [listed.index(name[13:]) for name in names[end + 1 : half] if kinds[name] != "repair"]
    assert order == sorted(order)
    for member in members:
        assert (member.mode, member.mtime, member.uid, member.type) == (0o644, 0, 0, b"0")


def test_the_end_mark_comes_once_at_the_very_end(sealed: Sealed) -> None:
    sent = send(sealed.bundle, repeat=3)
    assert len(sent.data) == 3 * sent.plan.round_bytes + len(ustar.TRAILER)
    rounds = [sent.data[n * sent.plan.round_bytes :][: sent.plan.round_bytes] for n in range(3)]
    assert rounds[0] == rounds[1] == rounds[2]
    assert sent.data.endswith(ustar.TRAILER)


def test_custody_and_repair_parts_arrive(medium: Path, signer: MemorySigner) -> None:
    sent = send(medium)
    with open_stream(io.BytesIO(sent.data)) as source:
        got = read_medium(source, TrustRoot.of([signer.public]))
        assert [record.custody.number for record in got.custody] == [1, 2]
        assert all(carried.parity is not None for carried in got.bundles)
        assert receive(source, sent.blobs).right == set(sent.blobs)


@pytest.mark.parametrize("copy", [0, 1])
def test_a_custody_record_that_was_damaged_comes_from_the_next_round(
    medium: Path, signer: MemorySigner, copy: int
) -> None:
    sent = send(medium, repeat=2)
    places = [content for path, _, content in sent.members if path == custody_path(1)]
    data = bytearray(sent.data)
    data[places[copy] + 400] ^= 1
    with open_stream(io.BytesIO(data)) as source:
        assert len(read_medium(source, TrustRoot.of([signer.public])).custody) == 2
    with pytest.raises(MediumError, match="custody"):
        with open_stream(io.BytesIO(data[: sent.plan.round_bytes])):
            pass


def test_a_volume_is_streamed_as_such(sealed: Sealed, signer: MemorySigner, tmp_path: Path) -> None:
    profile = replace(PROFILES["disc"], reserve_bytes=0)
    write_media(
        WriteRequest(
            sources=(sealed.bundle,), target=tmp_path, profile=profile, capacity_bytes=400_000,
            number=None, parity_percent=None, have=None, signer=None,
        )
    )  # fmt: skip
    folders = sorted(path for path in tmp_path.iterdir() if (path / "volume.json").exists())
    assert len(folders) > 1
    for folder in folders:
        sent = send(folder)
        with open_stream(io.BytesIO(sent.data)) as source:
            got = read_medium(source, TrustRoot.of([signer.public]))
            assert got.volume is not None
            assert {blob.hex for blob in sent.blobs} == set(got.volume.blobs)
            assert receive(source, sent.blobs).right == set(sent.blobs)


def _plan(bundle: Path) -> StreamPlan:
    with MediumFolder.open(bundle) as source:
        return plan_stream(source)


def test_a_damaged_part_stops_the_stream_before_its_first_byte(
    signer: MemorySigner, tmp_path: Path
) -> None:
    bundle = seal_files(tmp_path, signer=signer).bundle
    plan = _plan(bundle)
    victim = plan.blobs[3].digest.hex
    flip(bundle / "blobs/sha256" / victim)
    out = io.BytesIO()
    with MediumFolder.open(bundle) as source, pytest.raises(MediumError, match=victim):
        write_stream(source, plan, out, repeat=1, advance=lambda _: None)
    assert victim.encode() not in out.getvalue()[-ustar.BLOCK_BYTES * 2 :]
    with tarfile.open(fileobj=io.BytesIO(out.getvalue() + ustar.TRAILER)) as archive:
        for member in archive:
            if member.name.startswith("blobs/"):
                file = archive.extractfile(member)
                assert file is not None
                assert member.name.endswith(hashlib.sha256(file.read()).hexdigest())


@pytest.mark.parametrize("name", ["README.txt", "index.json", "CONTENTS.txt"])
def test_changed_metadata_are_not_sent(signer: MemorySigner, tmp_path: Path, name: str) -> None:
    bundle = seal_files(tmp_path, signer=signer).bundle
    flip(bundle / name)
    with pytest.raises(MediumError):
        _plan(bundle)


def test_a_missing_or_short_part_is_named_before_anything_is_sent(
    signer: MemorySigner, tmp_path: Path
) -> None:
    sealed = seal_files(tmp_path, signer=signer)
    first, *_ = sealed.part_blobs()
    first.unlink()
    with pytest.raises(MediumError, match=f"{first.name}.*missing"):
        _plan(sealed.bundle)
    first.write_bytes(b"x")
    with pytest.raises(MediumError, match=f"{first.name}.*got 1"):
        _plan(sealed.bundle)


class _Reader:
    """Takes so many bytes, at most 1000 at once, and then closes the pipe."""

    def __init__(self, wanted: int) -> None:
        self.left = wanted

    def write(self, data: memoryview, /) -> int:
        if not self.left:
            raise BrokenPipeError
        taken = min(len(data), 1000, self.left)
        self.left -= taken
        return taken


@pytest.mark.parametrize(("share", "rounds"), [(0.5, 0), (1.0, 1), (2.5, 2)])
def test_a_reader_that_goes_is_told_with_the_rounds_it_got(
    sealed: Sealed, share: float, rounds: int
) -> None:
    plan = _plan(sealed.bundle)
    reader = _Reader(int(plan.round_bytes * share))
    with MediumFolder.open(sealed.bundle) as source, pytest.raises(ReaderGoneError) as raised:
        write_stream(source, plan, reader, repeat=0, advance=lambda _: None)
    assert raised.value.rounds == rounds


def test_advance_counts_every_byte_of_every_round(sealed: Sealed) -> None:
    plan, counted = _plan(sealed.bundle), []
    with MediumFolder.open(sealed.bundle) as source:
        write_stream(source, plan, io.BytesIO(), repeat=2, advance=counted.append)
    assert sum(counted) == 2 * plan.round_bytes


class _Clock:
    """A clock that moves only when somebody sleeps, or is told to."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        assert seconds > 0
        self.now += seconds


def _pace(rate: int, size: int, stalls: Iterator[float]) -> tuple[list[tuple[float, int]], float]:
    """Write through a paced sink that stalls; returns time and size of each step, and the end."""
    clock, steps = _Clock(), []

    class Sink:
        def write(self, data: memoryview, /) -> int:
            steps.append((clock.now, len(data)))
            clock.now += next(stalls)
            return len(data)

    start, paced, view = clock.now, Paced(Sink(), rate, clock=clock, sleep=clock.sleep), bytes(size)
    rest = memoryview(view)
    while rest:
        rest = rest[paced.write(rest) :]
    return [(time - start, count) for time, count in steps], clock.now - start


@pytest.mark.parametrize("stall", [0.0, 2.0])
def test_a_rate_is_never_exceeded_not_even_after_a_stall(stall: float) -> None:
    rate, stalls = 1_000_000, iter([0.0, stall, *[0.0] * 1000])
    steps, end = _pace(rate, 3_000_000, stalls)
    # Within any second: what the rate gives, half a second to catch up, and a step.
    for place, (time, _) in enumerate(steps):
        within = sum(count for at, count in steps[place:] if at <= time + 1)
        assert within <= rate * 1.5 + rate / 50 + 1
    assert 2.9 <= end <= 3.1 + stall


def test_a_rate_below_one_step_still_goes_on() -> None:
    steps, end = _pace(10, 30, iter([0.0] * 100))
    assert sum(count for _, count in steps) == 30
    assert 2.8 <= end <= 3.0
