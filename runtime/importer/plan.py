"""What an import has to read and write, decided before it does either. No I/O."""

from collections.abc import Iterable, Set
from dataclasses import dataclass

from sealift.keys.verify import VerifiedBundle
from sealift.manifests.errors import ManifestError
from sealift.manifests.part import Part

__all__ = ["FilePlan", "ImportPlan", "plan_import"]

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
        spare: parts that are not needed; their bytes are checked all the same.
    """

    files: tuple[FilePlan, ...]
    present: tuple[tuple[str, int], ...]
    spare: tuple[Part, ...]

    @property
    def read_bytes(self) -> int:
        """Bytes to read from the medium."""
        needed = sum(part.blob_bytes for file in self.files for part in file.parts)
        return needed + sum(part.blob_bytes for part in self.spare)

    @property
    def space_bytes(self) -> int:
        """Free bytes that the disk must have."""
        blocks = sum(-(-file.size_bytes // _FILE_SYSTEM_BLOCK_BYTES) + 1 for file in self.files)
        return blocks * _FILE_SYSTEM_BLOCK_BYTES + _MARGIN_BYTES


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
    for path, pieces in parts.items():
        sha256, size = digests[path], sizes[path]
        if sha256 in held or sha256 in files:
            spare.update({part.blob.hex: part for part in pieces})
        if sha256 in held:
            present[sha256] = size
        elif sha256 not in files:
            files[sha256] = FilePlan(path=path, sha256=sha256, size_bytes=size, parts=tuple(pieces))
    return ImportPlan(
        files=tuple(files.values()),
        present=tuple(sorted(present.items())),
        spare=tuple(spare.values()),
    )


def _check_sizes(files: Iterable[tuple[str, int, str]]) -> None:
    seen: dict[str, int] = {}
    for sha256, size, path in files:
        if seen.setdefault(sha256, size) != size:
            raise ManifestError(f"manifest: {path}: expected {seen[sha256]} bytes, got {size}")
