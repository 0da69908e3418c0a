"""Volumes, repair parts and custody records that lie."""

from collections.abc import Iterator

from sealift.manifests.custody import custody_path
from sealift.manifests.digest import Digest
from sealift.manifests.volume import VOLUME, Volume, VolumePlan
from tests.vectors.cases import BASE, MEDIA, invalid, part_path, untrusted
from tests.vectors.forge import SECOND, SIGNER, STRANGER
from tests.vectors.sets import repairable, volume
from tests.vectors.vector import Change, Expected, Vector, difference

__all__ = ["vectors"]

_FIRST, _SECOND = custody_path(1), custody_path(2)


def vectors() -> Iterator[Vector]:
    """Give the rows volumes, repair-parts and custody."""
    yield from _volumes()
    yield from _repair_parts()
    yield from _custody()


def _on(
    row: str, name: str, about: str, base: str, changes: tuple[Change, ...], expected: Expected
) -> Vector:
    return Vector(row=row, name=name, about=about, base=base, changes=changes, expected=expected)


def _volumes() -> Iterator[Vector]:
    plan = Volume.parse(MEDIA["volume-1"][VOLUME]).plan
    first, second = plan.volumes
    none = Digest.of(b"no blob").hex
    wrong = invalid("medium_invalid", VOLUME, "does not share out")
    cases = {
        "names-a-foreign-blob": (
            "names a blob of no bundle", VolumePlan(volumes=(first, (*second, none))), wrong,
        ),
        "forgets-a-part": (
            "names one part on no volume", VolumePlan(volumes=(first, second[1:])), wrong,
        ),
        "leaves-parts-out": (
            "says that this host holds what it does not hold",
            VolumePlan(
                volumes=(first, tuple(blob for blob in second if blob not in _parts()[:40])),
                left_out=tuple(blob for blob in second if blob in _parts()[:40]),
                base=str(Digest.of(b"a have list")),
            ),
            invalid("base_missing", "demo-2.0.0"),
        ),
        "leaves-repair-parts-out": (
            "leaves out what no host could hold",
            VolumePlan(
                volumes=(first, tuple(blob for blob in second if blob in _parts())),
                left_out=tuple(blob for blob in second if blob not in _parts()),
                base=str(Digest.of(b"a have list")),
            ),
            wrong,
        ),
    }  # fmt: skip
    for name, (about, changed, expected) in cases.items():
        changes = difference(MEDIA["volume-1"], volume(BASE, 1, plan=changed))
        yield _on("volumes", name, f"volume.json {about}", "volume-1", changes, expected)
    for name, number in {"number-too-high": 3, "number-zero": 0}.items():
        data = Volume(number=number, plan=plan).encode()
        yield _on(
            "volumes", name, f"volume {number} of 2", "volume-1", (Change.file(VOLUME, data),),
            invalid("manifest_invalid", VOLUME, f"volume {number} of 2"),
        )  # fmt: skip
    other = MEDIA["volume-2"][VOLUME]
    yield _on(
        "volumes", "number-of-another", "the first volume says that it is the second", "volume-1",
        (Change.file(VOLUME, other),), invalid("medium_invalid", "README.txt"),
    )  # fmt: skip


def _parts() -> list[str]:
    lines = MEDIA["base"]["CONTENTS.txt"].decode().splitlines()
    return [line.split()[0] for line in lines if line.split()[1] in ("raw", "zstd")]


def _repair_parts() -> Iterator[Vector]:
    row, base = "repair-parts", MEDIA["repairable"]
    for name, signer in {"by-another-trusted-key": SECOND, "by-a-stranger": STRANGER}.items():
        yield _on(
            row, name, "the statement about repair parts is not by the seal's key", "repairable",
            difference(base, repairable(BASE, signer=signer)),
            untrusted("not_trusted", signer.public.key_id[:16]),
        )  # fmt: skip
    # The other parts are of files that the host has installed.
    own = [part_path(f"model.onnx.data.part0000{index}") for index in (0, 1)]
    lines = base["CONTENTS.txt"].decode().splitlines()
    repair = [f"blobs/sha256/{line.split()[0]}" for line in lines if line.split()[1] == "repair"]
    gone = [Change(path=path, kind="remove") for path in own]
    impossible = invalid("repair_impossible", own[0])
    yield _on(
        row, "more-lost-than-repair-parts", "two parts are gone, and one of two repair parts",
        "repairable", (*gone, Change(path=repair[0], kind="remove")), impossible,
    )  # fmt: skip
    zeros = [Change.file(path, bytes(len(base[path]))) for path in repair]
    yield _on(
        row, "damaged-repair-parts", "a part is gone, and the repair parts are zeros",
        "repairable", (gone[0], *zeros), impossible,
    )  # fmt: skip


def _custody() -> Iterator[Vector]:
    row, base = "custody", MEDIA["repairable"]
    yield _on(
        row, "first-record-removed", "a record is gone", "repairable",
        (Change(path=_FIRST, kind="remove"),), invalid("medium_invalid", _FIRST, "missing"),
    )  # fmt: skip
    yield _on(
        row, "records-swapped", "the records stand under each other's names", "repairable",
        (Change.file(_FIRST, base[_SECOND]), Change.file(_SECOND, base[_FIRST])),
        invalid("medium_invalid", _FIRST, "does not follow"),
    )  # fmt: skip
    stranger = repairable(BASE, custodians=(SIGNER, STRANGER))
    yield _on(
        row, "record-by-a-stranger", "a record by a key that is not trusted", "repairable",
        difference(base, stranger), untrusted("not_trusted", STRANGER.public.key_id[:16]),
    )  # fmt: skip
    other = MEDIA["volume-1"][_FIRST]
    yield _on(
        row, "record-of-another-medium", "a genuine record about another medium", "repairable",
        (Change.file(_FIRST, other), Change(path=_SECOND, kind="remove")),
        invalid("medium_invalid", _FIRST, "is about another"),
    )  # fmt: skip
    yield _on(
        row, "file-of-another-name", "a file that is no record", "repairable",
        (Change.file("custody/x", b"x"),), invalid("medium_invalid", "missing"),
    )  # fmt: skip
