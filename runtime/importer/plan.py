"""What an import has to read and write, decided before it does either. No I/O."""

from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from sealift.keys.verify import VerifiedBundle
from sealift.manifests.errors import ManifestError
from sealift.manifests.part import Part

__all__ = ["FilePlan", "ImportPlan", "LocalPart", "Origin", "Take", "plan_import", "plan_takes"]

_FILE_SYSTEM_BLOCK_BYTES = 4096
_MARGIN_BYTES = 16 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class FilePlan:
    """A file to assemble; equal files of a model are assembled once."""

    path: str
    sha256: str
    size_bytes: int
    parts: tuple[Part, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportPlan:
    """Files to assemble, in the order of the manifest, and files that are here already.

    Attributes:
        present: SHA-256 and size of each file that is here already.
        spare: parts of files that equal one of these; their bytes are checked all the same.
        twins: for a part (hex of its archive), the parts of equal files with the same content.
    """

    files: tuple[FilePlan, ...]
    present: tuple[tuple[str, int], ...]
    spare: tuple[Part, ...]
    twins: Mapping[str, tuple[Part, ...]]

    @property
    def space_bytes(self) -> int:
        """Free bytes that the disk must have, if nothing of the files is there yet."""
        blocks = sum(-(-file.size_bytes // _FILE_SYSTEM_BLOCK_BYTES) + 1 for file in self.files)
        return blocks * _FILE_SYSTEM_BLOCK_BYTES + _MARGIN_BYTES


class Origin(Enum):
    """Where a part comes from."""

    MEDIUM = "medium"
    STAGED = "staged"
    INSTALLED = "installed"


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalPart:
    """The same content in a file that is installed."""

    path: Path
    offset: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Take:
    """A part that this run can get.

    Attributes:
        local: where it lies, if it is installed.
    """

    part: Part
    file: FilePlan
    origin: Origin
    local: LocalPart | None = None


def plan_import(bundle: VerifiedBundle, held: Set[str]) -> ImportPlan:
    """Plan an import.

    Args:
        held: SHA-256 of files that the store or an interrupted import holds.

    Raises:
        ManifestError: one digest for two files of different size.
    """
    digests = {file.path: file.digest for file in bundle.seal.statement.files}
    sizes = bundle.manifest.files
    _check_sizes((digests[path], size, path) for path, size in sizes.items())
    parts: dict[str, list[Part]] = {}
    for part in bundle.manifest.parts:
        parts.setdefault(part.file, []).append(part)
    files: dict[str, FilePlan] = {}
    present: dict[str, int] = {}
    spare: dict[str, Part] = {}
    twins: dict[str, tuple[Part, ...]] = {}
    for path, pieces in parts.items():
        sha256, size = digests[path], sizes[path]
        if sha256 in held:
            present[sha256] = size
        elif sha256 in files:
            spare.update({part.blob.hex: part for part in pieces})
            _pair(twins, files[sha256].parts, pieces)
        else:
            files[sha256] = FilePlan(path=path, sha256=sha256, size_bytes=size, parts=tuple(pieces))
    return ImportPlan(
        files=tuple(files.values()),
        present=tuple(sorted(present.items())),
        spare=tuple(spare.values()),
        twins=twins,
    )


def plan_takes(
    plan: ImportPlan,
    *,
    staged: Set[str],
    installed: Mapping[str, LocalPart],
    on_medium: Set[str],
) -> tuple[tuple[Take, ...], tuple[Part, ...]]:
    """Say where each part of the files comes from, and which parts come from nowhere in this run.

    What is here is not read from the medium again: the fastest byte is the one not transferred.

    Args:
        staged: parts that earlier runs verified and wrote, by the hex of their archive's digest.
        installed: parts of installed files, by the same.
        on_medium: blobs that the medium has, by hex.
    """
    takes: list[Take] = []
    absent: list[Part] = []
    for file, part in _parts_of(plan.files):
        equal = (part, *plan.twins.get(part.tar.hex, ()))
        if (found := next((p for p in equal if p.tar.hex in staged), None)) is not None:
            takes.append(Take(part=found, file=file, origin=Origin.STAGED))
        elif (found := next((p for p in equal if p.tar.hex in installed), None)) is not None:
            local = installed[found.tar.hex]
            takes.append(Take(part=found, file=file, origin=Origin.INSTALLED, local=local))
        elif (found := next((p for p in equal if p.blob.hex in on_medium), None)) is not None:
            takes.append(Take(part=found, file=file, origin=Origin.MEDIUM))
        else:
            absent.append(part)
    return tuple(takes), tuple(absent)


def _pair(twins: dict[str, tuple[Part, ...]], parts: Sequence[Part], equal: Sequence[Part]) -> None:
    """Note which parts of two equal files have the same content, if they are cut alike."""
    for part, twin in zip(parts, equal, strict=False):
        if (part.offset, part.length) == (twin.offset, twin.length):
            group = (part, *twins.get(part.tar.hex, ()), twin)
            for member in group:
                twins[member.tar.hex] = tuple(other for other in group if other is not member)


def _parts_of(files: Sequence[FilePlan]) -> Iterator[tuple[FilePlan, Part]]:
    for file in files:
        for part in file.parts:
            yield file, part


def _check_sizes(files: Iterable[tuple[str, int, str]]) -> None:
    seen: dict[str, int] = {}
    for sha256, size, path in files:
        if seen.setdefault(sha256, size) != size:
            raise ManifestError(f"manifest: {path}: expected {seen[sha256]} bytes, got {size}")
