"""What an unfinished import is of, and what of it is still to come.

    for unfinished in unfinished_imports(home): print(unfinished.reference, unfinished.missing)

Said from files that imports left in the staging folder; nothing here is verified, nothing is
believed because of it: the import itself asks the seal again.
"""

from dataclasses import dataclass
from pathlib import Path

from sealift.manifests import strict_json
from sealift.manifests.errors import ManifestError
from sealift.manifests.limits import LIMITS
from sealift.manifests.record import Record
from sealift.manifests.volume import Volume
from sealift.media.durable import replace_file
from sealift.media.medium import CarriedBundle
from sealift.media.regular_file import read_regular
from sealift.runtime.importer.errors import ImporterError
from sealift.runtime.importer.journal import Journal
from sealift.runtime.importer.staging import ABOUT_FILE, JOURNAL_FILE, Staging
from sealift.runtime.store import paths

__all__ = [
    "MissingVolume",
    "Unfinished",
    "note_import",
    "unfinished_import",
    "unfinished_imports",
]


class _Part(Record, frozen=True, kw_only=True):
    tar: str
    blob: str
    file: str
    offset: int
    size_bytes: int


class _About(Record, frozen=True, kw_only=True):
    name: str
    version: str
    parts: tuple[_Part, ...]
    volumes: tuple[tuple[str, ...], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class MissingVolume:
    """A volume that holds parts that are still needed, and how many."""

    number: int
    parts: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Unfinished:
    """An import that is waiting for more.

    Attributes:
        manifest: hex of the bundle's manifest, which names its staging folder.
        volume_count: of the set that was seen last; 1 if it was a single medium.
        missing: the volumes to bring, if there are several.
    """

    name: str
    version: str
    manifest: str
    part_count: int
    held_parts: int
    missing_bytes: int
    volume_count: int
    missing: tuple[MissingVolume, ...]

    @property
    def reference(self) -> str:
        """Name and version, as on the command line."""
        return f"{self.name}-{self.version}"


def note_import(staging: Staging, carried: CarriedBundle, volume: Volume | None) -> None:
    """Write down what an import is of, before it takes its first part."""
    digests = {file.path: file.digest for file in carried.bundle.seal.statement.files}
    manifest = carried.bundle.manifest
    about = _About(
        name=manifest.name,
        version=manifest.version,
        parts=tuple(
            _Part(
                tar=part.tar.hex, blob=part.blob.hex, file=digests[part.file],
                offset=part.offset, size_bytes=part.blob_bytes,
            )
            for part in manifest.parts
        ),
        volumes=volume.plan.volumes if volume is not None else (),
    )  # fmt: skip
    replace_file(staging.folder / ABOUT_FILE, strict_json.canonical(about))


def unfinished_import(home: Path, folder: Path) -> Unfinished:
    """Describe the import that has a staging folder.

    Raises:
        ImporterError: it has not noted itself there.
    """
    unfinished = _read(home, folder)
    if unfinished is None:
        raise ImporterError(f"{folder.name}/{ABOUT_FILE}: cannot be read")
    return unfinished


def unfinished_imports(home: Path) -> tuple[Unfinished, ...]:
    """List what is under way in a home, by name and version; also while an import runs."""
    found = [
        unfinished
        for folder in Staging.folders(home)
        if (unfinished := _read(home, folder)) is not None
    ]
    return tuple(sorted(found, key=lambda item: (item.name, item.version)))


def _read(home: Path, folder: Path) -> Unfinished | None:
    try:
        data = read_regular(folder / ABOUT_FILE, size_max=LIMITS.json_bytes)
        about = strict_json.decode(data, _About, what=ABOUT_FILE)
    except (OSError, ManifestError):
        return None  # just begun, or just ended
    journal = Journal.read(folder / JOURNAL_FILE)
    finished = {
        file
        for file in {part.file for part in about.parts}
        if (folder / file).exists() or (home / paths.blob(file)).exists()
    }
    # Equal files have equal parts: one of each is enough.
    held = {(part.file, part.offset) for part in about.parts if part.tar in journal}
    wanted = {(part.file, part.offset): part for part in about.parts if part.file not in finished}
    missing = [part for place, part in wanted.items() if place not in held]
    blobs = {part.blob for part in missing}
    counts = [len(blobs.intersection(volume)) for volume in about.volumes]
    return Unfinished(
        name=about.name,
        version=about.version,
        manifest=folder.name,
        part_count=len({(part.file, part.offset) for part in about.parts}),
        held_parts=len({(part.file, part.offset) for part in about.parts}) - len(missing),
        missing_bytes=sum(part.size_bytes for part in missing),
        volume_count=max(1, len(about.volumes)),
        missing=tuple(
            MissingVolume(number=number, parts=count)
            for number, count in enumerate(counts, 1)
            if count
        ),
    )
