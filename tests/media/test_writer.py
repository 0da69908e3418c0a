"""Writing media: nothing wrong is copied, all of it is read back, and no key is needed."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from sealift.keys.errors import UntrustedError
from sealift.keys.signer import generate
from sealift.keys.trust_root import TrustRoot
from sealift.manifests.errors import SealiftError
from sealift.manifests.have import Have
from sealift.manifests.progress import Advance
from sealift.manifests.volume import VOLUME, Volume
from sealift.media.errors import (
    MediumError,
    MediumWriteError,
    ReadBackError,
    WriteRequestError,
)
from sealift.media.profile import DISC, USB, WORM
from sealift.media.readback import Method
from sealift.media.verifier import verify_medium, verify_set
from sealift.media.writer import WriteRequest, write_media
from tests.media.mounts import memory_disk, stick
from tests.sealed import Sealed, flip, meta, seal_files, tree

VOLUME_BYTES = 5_200_000


@pytest.fixture
def sealed(tmp_path: Path) -> Sealed:
    return seal_files(tmp_path / "sealed")


def _trust(sealed: Sealed) -> TrustRoot:
    return TrustRoot.of([sealed.signer.public])


class _At:
    """Does something when a step begins, and perhaps at its first piece: a device's misfortune."""

    def __init__(
        self, title: str, do: Callable[[], None], *, first_piece: Callable[[], None] | None = None
    ) -> None:
        self._title = title
        self._do = do
        self._first_piece = first_piece

    @contextmanager
    def step(self, title: str, total: int | None = None) -> Iterator[Advance]:
        """Begin a step."""
        if not title.startswith(self._title):
            yield lambda count: None
            return
        self._do()
        yield lambda count: self._first_piece() if self._first_piece else None


class _PulledError(Exception):
    pass


def _pull() -> None:
    raise _PulledError


def test_a_copy_is_the_bundle_byte_for_byte(sealed: Sealed, tmp_path: Path) -> None:
    report = write_media(WriteRequest(sources=(sealed.bundle,), target=tmp_path / "usb"))
    assert tree(tmp_path / "usb") == tree(sealed.bundle)
    assert report.written[1].read_back in (Method.DIRECT, Method.UNCACHED)
    again = write_media(WriteRequest(sources=(sealed.bundle,), target=tmp_path / "usb"))
    assert (again.written[1].written, again.written[1].healed) == (0, 0)
    assert again.written[1].kept == report.written[1].written


def _split(
    sealed: Sealed, target: Path, *, capacity: int = VOLUME_BYTES, parity: float | None = None
) -> Path:
    write_media(
        WriteRequest(
            sources=(sealed.bundle,), target=target, capacity_bytes=capacity,
            parity_percent=parity, signer=sealed.signer if parity else None,
        )
    )  # fmt: skip
    return target


def test_a_set_is_split_joined_and_split_again_without_a_key(
    sealed: Sealed, tmp_path: Path
) -> None:
    first = _split(sealed, tmp_path / "set")
    assert len(list(first.iterdir())) > 2
    write_media(WriteRequest(sources=(first,), target=tmp_path / "joined"))
    assert tree(tmp_path / "joined") == tree(sealed.bundle)
    volumes = tuple(sorted(first.iterdir(), reverse=True))
    write_media(
        WriteRequest(
            sources=volumes, target=tmp_path / "other", capacity_bytes=4_650_000, profile=DISC
        )
    )
    write_media(
        WriteRequest(
            sources=(tmp_path / "other",), target=tmp_path / "again", capacity_bytes=VOLUME_BYTES
        )
    )
    assert tree(tmp_path / "again") == tree(first)


def test_repair_parts_travel_along_without_a_key(sealed: Sealed, tmp_path: Path) -> None:
    with_parity = tmp_path / "whole"
    write_media(
        WriteRequest(
            sources=(sealed.bundle,), target=with_parity, parity_percent=25, signer=sealed.signer
        )
    )
    report = verify_medium(with_parity, _trust(sealed))
    assert (report.part_count, report.repair_count) == (18, 6)
    shutil.rmtree(with_parity / "custody")
    write_media(
        WriteRequest(sources=(with_parity,), target=tmp_path / "set", capacity_bytes=VOLUME_BYTES)
    )
    whole = verify_set(tmp_path / "set", _trust(sealed))
    assert sum(volume.repair_count for volume in whole.volumes) == 6
    write_media(WriteRequest(sources=(tmp_path / "set",), target=tmp_path / "joined"))
    assert tree(tmp_path / "joined") == tree(with_parity)
    more = WriteRequest(
        sources=(with_parity,), target=tmp_path / "x", parity_percent=50, signer=sealed.signer
    )
    with pytest.raises(WriteRequestError, match="has 6 repair parts"):
        write_media(more)


def test_repair_parts_can_be_added_to_a_medium_in_place(sealed: Sealed) -> None:
    write_media(
        WriteRequest(
            sources=(sealed.bundle,), target=sealed.bundle, parity_percent=10, signer=sealed.signer
        )
    )
    assert verify_medium(sealed.bundle, _trust(sealed)).repair_count == 2


def test_each_volume_says_which_it_is_and_lists_its_own_files(
    sealed: Sealed, tmp_path: Path
) -> None:
    folders = sorted(_split(sealed, tmp_path / "set").iterdir())
    for number, folder in enumerate(folders, 1):
        volume = Volume.parse((folder / VOLUME).read_bytes())
        assert (volume.number, volume.count) == (number, len(folders))
        assert f"volume {number} of {len(folders)}" in (folder / "README.txt").read_text()
        listed = {line[66:] for line in (folder / "SHA256SUMS").read_text().splitlines()}
        assert listed | {"SHA256SUMS"} == set(tree(folder))
        contents = (folder / "CONTENTS.txt").read_text()
        assert contents == (sealed.bundle / "CONTENTS.txt").read_text()


def test_one_volume_at_a_time_gives_the_same_set(sealed: Sealed, tmp_path: Path) -> None:
    folders = sorted(_split(sealed, tmp_path / "set").iterdir())
    for number, folder in enumerate(folders, 1):
        stick = tmp_path / "stick"
        write_media(
            WriteRequest(
                sources=(sealed.bundle,), target=stick, capacity_bytes=VOLUME_BYTES, number=number
            )
        )
        assert tree(stick) == tree(folder)
        shutil.rmtree(stick)
    with pytest.raises(WriteRequestError, match="expected 1 to"):
        write_media(
            WriteRequest(
                sources=(sealed.bundle,), target=tmp_path / "stick", number=len(folders) + 1,
                capacity_bytes=VOLUME_BYTES,
            )
        )  # fmt: skip


def test_joining_with_a_volume_missing_names_a_part_and_writes_nothing(
    sealed: Sealed, tmp_path: Path
) -> None:
    folders = sorted(_split(sealed, tmp_path / "set").iterdir())
    with pytest.raises(MediumError, match="on none of the media given"):
        write_media(WriteRequest(sources=tuple(folders[1:]), target=tmp_path / "joined"))
    assert not (tmp_path / "joined").exists()


def test_bundles_on_one_medium_share_parts_and_are_added_one_after_the_other(
    sealed: Sealed, tmp_path: Path
) -> None:
    other = seal_files(tmp_path / "other", meta(version="2.0.0"), signer=sealed.signer, seed=1)
    usb = tmp_path / "usb"
    write_media(WriteRequest(sources=(sealed.bundle,), target=usb))
    report = write_media(WriteRequest(sources=(other.bundle,), target=usb))
    assert (report.written[1].written, report.written[1].kept) == (0, 18)
    assert len(verify_medium(usb, _trust(sealed)).bundles) == 2
    write_media(WriteRequest(sources=(sealed.bundle, other.bundle), target=tmp_path / "both"))
    assert tree(tmp_path / "both") == tree(usb)


def test_two_bundles_of_one_name_and_version_are_refused(sealed: Sealed, tmp_path: Path) -> None:
    other = seal_files(tmp_path / "other", signer=sealed.signer, seed=2)
    with pytest.raises(WriteRequestError, match="two different bundles"):
        write_media(WriteRequest(sources=(sealed.bundle, other.bundle), target=tmp_path / "usb"))


def test_a_wrong_byte_is_never_copied(sealed: Sealed, tmp_path: Path) -> None:
    victim = sealed.part_blobs()[3]
    flip(victim)
    with pytest.raises(MediumError, match=victim.name):
        write_media(WriteRequest(sources=(sealed.bundle,), target=tmp_path / "usb"))
    left = tree(tmp_path / "usb")
    assert f"blobs/sha256/{victim.name}" not in left
    assert "index.json" not in left
    assert not [path for path in left if path.endswith(".partial")]


def test_another_source_makes_up_for_a_damaged_one(sealed: Sealed, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(sealed.bundle, copy)
    flip(sealed.part_blobs()[3])
    write_media(WriteRequest(sources=(sealed.bundle, copy), target=tmp_path / "usb"))
    assert tree(tmp_path / "usb") == tree(copy)


def test_a_byte_that_changes_on_the_device_after_the_write_is_found(
    sealed: Sealed, tmp_path: Path
) -> None:
    usb = tmp_path / "usb"
    victims = [usb / "blobs/sha256" / blob.name for blob in sealed.part_blobs()[2:4]]
    lossy = _At("read back", lambda: [flip(victim) for victim in victims] and None)
    with pytest.raises(ReadBackError, match="are not what was written"):
        write_media(WriteRequest(sources=(sealed.bundle,), target=usb), lossy)
    assert not (usb / "index.json").exists()
    report = write_media(WriteRequest(sources=(sealed.bundle,), target=usb))
    assert report.written[1].healed == 2
    assert tree(usb) == tree(sealed.bundle)


@pytest.mark.parametrize("what", ["flip", "shorten", "empty"])
def test_damage_on_a_medium_is_found_and_written_again(
    sealed: Sealed, tmp_path: Path, what: str
) -> None:
    usb = tmp_path / "usb"
    write_media(WriteRequest(sources=(sealed.bundle,), target=usb))
    victim = usb / "blobs/sha256" / sealed.part_blobs()[5].name
    if what == "flip":
        flip(victim)
    else:
        victim.write_bytes(victim.read_bytes()[: 0 if what == "empty" else -1])
    flip(usb / "README.txt")
    report = write_media(WriteRequest(sources=(sealed.bundle,), target=usb))
    assert report.written[1].healed == 1
    assert tree(usb) == tree(sealed.bundle)


@pytest.mark.parametrize("path", ["index.json", "SHA256SUMS", "oci-layout"])
def test_damaged_metadata_are_written_again(sealed: Sealed, tmp_path: Path, path: str) -> None:
    usb = tmp_path / "usb"
    write_media(WriteRequest(sources=(sealed.bundle,), target=usb))
    flip(usb / path)
    write_media(WriteRequest(sources=(sealed.bundle,), target=usb))
    assert tree(usb) == tree(sealed.bundle)


@pytest.mark.parametrize("profile", [USB, DISC, WORM], ids=lambda profile: profile.name)
def test_a_write_that_was_interrupted_is_visibly_incomplete_and_the_next_completes_it(
    sealed: Sealed, tmp_path: Path, profile: object
) -> None:
    usb = tmp_path / "usb"
    request = WriteRequest(sources=(sealed.bundle,), target=usb, profile=profile)  # type: ignore[arg-type]  # parametrize gives objects
    with pytest.raises(_PulledError):
        write_media(request, _At("write", lambda: None, first_piece=_pull))
    assert not (usb / "index.json").exists()
    with pytest.raises(SealiftError):
        verify_medium(usb, _trust(sealed))
    done = write_media(request).written[1]
    assert done.kept > 0  # what was complete was not copied again
    assert tree(usb) == tree(sealed.bundle)


def test_what_a_killed_write_left_under_partial_names_is_cleared(
    sealed: Sealed, tmp_path: Path
) -> None:
    usb = tmp_path / "usb"
    (usb / "blobs/sha256").mkdir(parents=True)
    (usb / f"blobs/sha256/.{'a' * 64}.partial").write_bytes(b"half")
    (usb / ".index.json.partial").write_bytes(b"half")
    write_media(WriteRequest(sources=(sealed.bundle,), target=usb))
    assert tree(usb) == tree(sealed.bundle)


def _is_untouched(root: Path, before: dict[str, int]) -> bool:
    return before == {path: (root / path).stat().st_ino for path in before}


def test_write_once_media_are_written_once(sealed: Sealed, tmp_path: Path) -> None:
    worm = tmp_path / "worm"
    request = WriteRequest(sources=(sealed.bundle,), target=worm, profile=WORM)
    write_media(request)
    assert tree(worm) == tree(sealed.bundle)
    before = {path: (worm / path).stat().st_ino for path in tree(worm)}
    assert write_media(request).written[1].written == 0
    assert _is_untouched(worm, before)


@pytest.mark.parametrize("victim", ["blob", "README.txt", "index.json"])
def test_write_once_media_are_never_changed(sealed: Sealed, tmp_path: Path, victim: str) -> None:
    worm = tmp_path / "worm"
    request = WriteRequest(sources=(sealed.bundle,), target=worm, profile=WORM)
    write_media(request)
    path = f"blobs/sha256/{sealed.part_blobs()[1].name}" if victim == "blob" else victim
    flip(worm / path)
    damaged = tree(worm)
    with pytest.raises(MediumWriteError):
        write_media(request)
    assert tree(worm) == damaged


def test_a_damaged_source_leaves_no_file_on_a_write_once_medium(
    sealed: Sealed, tmp_path: Path
) -> None:
    victim = sealed.part_blobs()[3]
    flip(victim)
    with pytest.raises(MediumError, match=victim.name):
        write_media(WriteRequest(sources=(sealed.bundle,), target=tmp_path / "worm", profile=WORM))
    assert f"blobs/sha256/{victim.name}" not in tree(tmp_path / "worm")


@pytest.mark.parametrize("name", ["holiday.jpg", "blobs/sha256/extra", "blobs/notes.txt"])
def test_a_medium_with_other_peoples_files_is_left_as_it_is(
    sealed: Sealed, tmp_path: Path, name: str
) -> None:
    usb = tmp_path / "usb"
    (usb / "blobs/sha256").mkdir(parents=True)
    (usb / name).write_text("keep me")
    before = tree(usb)
    with pytest.raises(WriteRequestError, match="does not belong"):
        write_media(WriteRequest(sources=(sealed.bundle,), target=usb))
    assert tree(usb) == before


def test_what_systems_put_on_media_is_no_hindrance(sealed: Sealed, tmp_path: Path) -> None:
    usb = tmp_path / "usb"
    (usb / "System Volume Information").mkdir(parents=True)
    (usb / ".DS_Store").write_bytes(b"x")
    write_media(WriteRequest(sources=(sealed.bundle,), target=usb))
    verify_medium(usb, _trust(sealed))


def test_volumes_of_another_set_in_the_folder_are_refused(sealed: Sealed, tmp_path: Path) -> None:
    folder = _split(sealed, tmp_path / "set")
    before = tree(folder)
    with pytest.raises(WriteRequestError, match="another set"):
        _split(sealed, folder, capacity=6_500_000)
    assert tree(folder) == before


def test_parts_that_the_receiver_holds_are_left_out_and_said_so(
    sealed: Sealed, tmp_path: Path
) -> None:
    (carried,) = verify_medium(sealed.bundle, _trust(sealed)).bundles
    parts = carried.layout.parts
    files = carried.bundle.seal.statement.files
    file = files[0]
    like = {other.path for other in files if other.digest == file.digest}
    have = Have(
        site_key="key", time="2026-01-02T03:04:05Z", checkpoint="1 0123456789ab",
        files=(file.digest,), parts=tuple(sorted({parts[2].tar.hex, parts[5].tar.hex})),
    )  # fmt: skip
    expected = {parts[2].blob.hex, parts[5].blob.hex}
    expected |= {part.blob.hex for part in parts if part.file in like}
    delta = tmp_path / "delta"
    report = write_media(WriteRequest(sources=(sealed.bundle,), target=delta, have=have))
    assert set(report.plan.plan.left_out) == expected
    assert not expected & {Path(path).name for path in tree(delta)}
    assert "left out" in (delta / "README.txt").read_text()
    volume = verify_medium(delta, _trust(sealed)).volume
    assert volume is not None
    assert volume.plan.base == str(have.digest)
    # What is left out stays so when the medium is split, and comes back with the whole bundle.
    write_media(
        WriteRequest(sources=(delta,), target=tmp_path / "set", capacity_bytes=VOLUME_BYTES)
    )
    assert verify_set(tmp_path / "set", _trust(sealed)).missing == ()
    write_media(WriteRequest(sources=(tmp_path / "set",), target=tmp_path / "joined"))
    assert tree(tmp_path / "joined") == tree(delta)
    write_media(WriteRequest(sources=(delta, sealed.bundle), target=tmp_path / "whole"))
    assert tree(tmp_path / "whole") == tree(sealed.bundle)


def test_repair_parts_need_the_key_that_sealed_the_bundle(sealed: Sealed, tmp_path: Path) -> None:
    target = tmp_path / "usb"
    with pytest.raises(WriteRequestError, match="must be signed"):
        write_media(WriteRequest(sources=(sealed.bundle,), target=target, parity_percent=10))
    with pytest.raises(UntrustedError):
        write_media(
            WriteRequest(
                sources=(sealed.bundle,), target=target, parity_percent=10, signer=generate()
            )
        )
    assert not target.exists()


def test_the_free_space_is_looked_at_before_anything_is_copied(
    sealed: Sealed, tmp_path: Path
) -> None:
    with memory_disk(tmp_path / "small", size_bytes=64 << 10) as small:
        with pytest.raises(MediumWriteError, match="free bytes"):
            write_media(WriteRequest(sources=(sealed.bundle,), target=small))
        assert tree(small) == {}


def test_what_came_from_memory_is_not_said_to_come_from_a_device(
    sealed: Sealed, tmp_path: Path
) -> None:
    with memory_disk(tmp_path / "memory", size_bytes=16 << 20) as memory:
        report = write_media(WriteRequest(sources=(sealed.bundle,), target=memory))
        # A kernel that takes O_DIRECT for memory says so; no other answer but this would be true.
        assert report.written[1].read_back is not Method.UNCACHED
        assert tree(memory) == tree(sealed.bundle)


@pytest.mark.parametrize("kind", ["vfat", "exfat"])
def test_a_stick_takes_a_bundle_and_gives_it_back(
    sealed: Sealed, tmp_path: Path, kind: str
) -> None:
    # No permissions, no links, and whatever else such file systems do not have.
    with stick(tmp_path / "stick", kind) as root:
        request = WriteRequest(sources=(sealed.bundle,), target=root, signer=sealed.signer)
        write_media(request)
        with (root / "blobs/sha256" / sealed.part_blobs()[2].name).open("r+b") as file:
            file.write(b"other bytes")
        assert write_media(request).written[1].healed == 1
        report = verify_medium(root, _trust(sealed))
        assert [record.custody.number for record in report.custody] == [1, 2]
        file_system = report.custody[0].custody.device.file_system
        assert file_system in (kind, "fuseblk", "fuse.fusefat")
        written = {path: data for path, data in tree(root).items() if "custody" not in path}
        assert written == tree(sealed.bundle)
