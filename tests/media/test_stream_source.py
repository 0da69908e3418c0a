"""A stream gives its metadata and parts back; nothing but our own headers is a header."""

import io
import random
import tarfile
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from sealift.keys.trust_root import TrustRoot
from sealift.manifests import ustar
from sealift.manifests.digest import Digest
from sealift.manifests.limits import LIMITS
from sealift.media.errors import MediumError, MediumReadError
from sealift.media.folder import MediumFolder
from sealift.media.medium import read_medium
from sealift.media.stream_member import member_of
from sealift.media.stream_source import open_stream
from tests.media.streams import Sent, piped, receive, send
from tests.sealed import Sealed, seal_files


@pytest.fixture(scope="module")
def sealed(tmp_path_factory: pytest.TempPathFactory) -> Sealed:
    return seal_files(tmp_path_factory.mktemp("sealed"))


@pytest.fixture(scope="module")
def once(sealed: Sealed) -> Sent:
    return send(sealed.bundle)


@pytest.fixture(scope="module")
def twice(sealed: Sealed) -> Sent:
    return send(sealed.bundle, repeat=2)


def test_a_pipe_gives_what_the_folder_gives(sealed: Sealed, once: Sent) -> None:
    trust = TrustRoot.of([sealed.signer.public])
    with MediumFolder.open(sealed.bundle) as folder:
        expected = read_medium(folder, trust)
    with piped(once.data) as readable, open_stream(readable) as source:
        assert source.is_stream
        medium = read_medium(source, trust)
        assert medium.rendered == expected.rendered
        assert set(source.listing()) == set(expected.metadata)
        got = receive(source, once.blobs)
        assert got.right == set(once.blobs)
        assert not source.next_round()
        assert (source.gaps, source.rounds, got.rounds) == (0, 1, 1)


@pytest.mark.parametrize("workers", [1, 2, 5])
def test_threads_that_open_out_of_order_get_their_own_parts(once: Sent, workers: int) -> None:
    mixed = list(once.blobs)
    with open_stream(io.BytesIO(once.data)) as source:
        source.plan_reads(mixed)
        # Each waits for those before it: as many threads as parts, started in any order.
        random.Random(workers).shuffle(mixed)

        def take(blob: Digest) -> str:
            data = bytearray(once.blobs[blob])
            with source.open_part(blob, len(data)) as part:
                assert part.readinto(memoryview(data)) == len(data)
            return Digest.of(data).hex

        with ThreadPoolExecutor(len(mixed)) as executor:
            assert list(executor.map(take, mixed)) == [blob.hex for blob in mixed]


@pytest.mark.parametrize("step", [2, 3, 7])
def test_parts_that_were_not_planned_are_skipped(twice: Sent, step: int) -> None:
    wanted = dict(list(twice.blobs.items())[::step])
    rest = {blob: size for blob, size in twice.blobs.items() if blob not in wanted}
    with piped(twice.data) as readable, open_stream(readable) as source:
        assert receive(source, wanted).right == set(wanted)
        assert source.next_round()
        assert receive(source, rest).right == set(rest)
        assert source.rounds == 2


def test_a_part_that_has_passed_is_missing_until_the_next_round(twice: Sent) -> None:
    first, second, *_ = twice.blobs
    with open_stream(io.BytesIO(twice.data)) as source:
        assert receive(source, {second: twice.blobs[second]}).rounds == 1
        source.plan_reads([first])
        with pytest.raises(MediumError, match="missing"), source.open_part(first, 1):
            pass
        assert source.next_round()
        assert receive(source, {first: twice.blobs[first]}).right == {first}


def test_a_part_of_another_size_than_asked_for_is_not_given(once: Sent) -> None:
    first, second, *_ = once.blobs
    with open_stream(io.BytesIO(once.data)) as source:
        source.plan_reads([first, second])
        with pytest.raises(MediumError, match="missing"):
            with source.open_part(first, once.blobs[first] + 1):
                pass
        assert receive(source, {second: once.blobs[second]}).right == {second}


def test_a_part_that_no_round_carries_is_missing_at_once(once: Sent) -> None:
    absent, (first, size) = Digest.of(b"absent"), next(iter(once.blobs.items()))
    with open_stream(io.BytesIO(once.data)) as source:
        got = receive(source, {absent: 10, first: size})
        assert got.right == {first}
        assert "not on this medium" in got.wrong[absent].message


def test_a_part_that_nobody_planned_is_refused(once: Sent) -> None:
    first = next(iter(once.blobs))
    with open_stream(io.BytesIO(once.data)) as source, pytest.raises(MediumError, match="asked"):
        with source.open_part(first, once.blobs[first]):
            pass


def test_a_reader_that_fails_within_its_part_gives_the_turn_on(once: Sent) -> None:
    first, *rest = once.blobs
    with open_stream(io.BytesIO(once.data)) as source:
        source.plan_reads(list(once.blobs))

        def fail() -> None:
            with source.open_part(first, once.blobs[first]) as part:
                part.readinto(memoryview(bytearray(100)))
                raise OSError("disk full")

        with ThreadPoolExecutor(1) as executor, pytest.raises(OSError, match="disk full"):
            executor.submit(fail).result()
        got = receive(source, {blob: once.blobs[blob] for blob in rest})
        assert got.right == set(rest)
        assert source.gaps == 0


@pytest.mark.parametrize("end", ["close", "plan"])
def test_whoever_waits_is_woken_when_the_source_closes_or_plans_anew(once: Sent, end: str) -> None:
    second = list(once.blobs)[1]
    raised: list[Exception] = []
    with open_stream(io.BytesIO(once.data)) as source:
        source.plan_reads(list(once.blobs))

        def wait() -> None:
            try:
                with source.open_part(second, once.blobs[second]):
                    pass
            except (MediumError, MediumReadError) as error:
                raised.append(error)

        waiting = threading.Thread(target=wait)
        waiting.start()
        if end == "close":
            source.close()
        else:
            source.plan_reads([])
        waiting.join()
    assert len(raised) == 1


def test_small_files_are_bounded_and_compared(once: Sent) -> None:
    with open_stream(io.BytesIO(once.data)) as source:
        size = source.listing()["index.json"]
        assert len(source.read("index.json", size_max=size)) == size
        for path, size_max in (("index.json", size - 1), ("absent", 10)):
            with pytest.raises(MediumError):
                source.read(path, size_max=size_max)
        with pytest.raises(MediumError):
            source.read_blob(next(iter(once.blobs)), size_max=1 << 20)


def test_every_bit_of_a_header_counts() -> None:
    block = ustar.header(f"blobs/sha256/{'0' * 64}", 1234)
    assert member_of(block) is not None
    for place in range(len(block)):
        for bit in range(8):
            changed = bytearray(block)
            changed[place] ^= 1 << bit
            assert member_of(bytes(changed)) is None, (place, bit)


@pytest.mark.parametrize(
    "name",
    [
        "../x", "/etc/passwd", "x", "./index.json", "index.json/", "blobs/sha256/x",
        f"blobs/sha256/{'A' * 64}", f"blobs/sha256/{'0' * 65}", f"blobs/sha512/{'0' * 64}",
        "custody/1.sigstore.json", "custody/../../x", "blobs/sha256/../../index.json",
    ],
)  # fmt: skip
def test_other_names_are_no_headers(name: str) -> None:
    assert member_of(ustar.header(name, 10)) is None


def _tar_header(**fields: object) -> bytes:
    info = tarfile.TarInfo("index.json")
    info.mode, info.size = 0o644, 10
    for name, value in fields.items():
        setattr(info, name, value)
    return info.tobuf(tarfile.USTAR_FORMAT)[:512]


@pytest.mark.parametrize(
    "fields",
    [
        {"type": tarfile.SYMTYPE, "linkname": "/etc/passwd"},
        {"type": tarfile.LNKTYPE, "linkname": "x"},
        {"type": tarfile.DIRTYPE},
        {"type": tarfile.CHRTYPE},
        {"type": tarfile.FIFOTYPE},
        {"type": tarfile.XHDTYPE},
        {"type": tarfile.XGLTYPE},
        {"type": tarfile.GNUTYPE_LONGNAME},
        {"type": tarfile.AREGTYPE},
        {"mode": 0o4755},
        {"uid": 1},
        {"mtime": 1},
        {"uname": "root"},
        {"size": 1 << 31},
        {"size": 8**11 - 1},
    ],
)
def test_what_other_tars_can_say_is_no_header(fields: dict[str, object]) -> None:
    assert member_of(_tar_header()) is not None
    assert member_of(_tar_header(**fields)) is None


def test_hostile_members_between_ours_are_passed_over(once: Sent) -> None:
    hostile = b"".join(
        _tar_header(**fields) + bytes(512)
        for fields in (
            {"name": "../../etc/cron.d/x"},
            {"type": tarfile.SYMTYPE, "linkname": "/etc"},
            {"size": 8**11 - 1},
            {"name": f"blobs/sha256/{'f' * 64}", "size": 60 << 20},  # not in SHA256SUMS
        )
    )
    data, members = once.data, once.members
    for _, at, _ in reversed(members):
        data = data[:at] + hostile + data[at:]
    with piped(data) as readable, open_stream(readable) as source:
        assert receive(source, once.blobs).right == set(once.blobs)
        assert source.gaps > 0


@pytest.mark.parametrize("data", [b"", b"x" * 100_000, bytes(100_000)])
def test_what_is_no_stream_is_said_to_be_none(data: bytes) -> None:
    with pytest.raises(MediumError, match="carries no medium"), open_stream(io.BytesIO(data)):
        pass


def test_more_metadata_than_any_medium_has_are_not_kept() -> None:
    count = LIMITS.stream_metadata_files + 1
    members = [ustar.header("index.json", 8) + n.to_bytes(8) + bytes(504) for n in range(count)]
    with pytest.raises(MediumError, match="more metadata"):
        with open_stream(io.BytesIO(b"".join(members))):
            pass


def test_a_failing_device_is_named_as_such(once: Sent) -> None:
    class Failing(io.RawIOBase):
        def readable(self) -> bool:
            return True

        def readinto(self, _: object) -> int:
            raise OSError(5, "Input/output error")

    with pytest.raises(MediumReadError, match="Input/output"), open_stream(Failing()):
        pass


def test_files_are_read_straight_from_a_disk(once: Sent, tmp_path: Path) -> None:
    (tmp_path / "stream.tar").write_bytes(once.data)
    with (tmp_path / "stream.tar").open("rb", buffering=0) as file, open_stream(file) as source:
        assert receive(source, once.blobs).right == set(once.blobs)
