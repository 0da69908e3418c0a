"""Media that are copied from: which bundles they carry together, and where each blob lies.

    with Library.open([Path("bundle"), Path("/media/usb")]) as library:
        library.bundles
        library.find(blob)

A path is a medium, or a folder of volumes. Everything is checked by digest and form; signatures are
not judged, because they are copied as they are (`ClaimedMedium`).
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from sealift.keys.claim import ClaimedBundle
from sealift.manifests.digest import Digest
from sealift.manifests.layout import INDEX
from sealift.manifests.oci import blob_path
from sealift.media.errors import MediumNotFoundError, WriteRequestError
from sealift.media.folder import MediumFolder
from sealift.media.medium import Carried, ClaimedMedium, read_unverified

__all__ = ["Library", "Shelf", "merge_bundles", "volume_folders"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Shelf:
    """One medium of a library."""

    folder: MediumFolder
    medium: ClaimedMedium
    sizes: dict[str, int]

    def holds(self, digest: Digest, size_bytes: int) -> bool:
        """Say whether a blob of this name and size lies here; its bytes were not read."""
        return self.sizes.get(blob_path(digest)) == size_bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Library:
    """Several media, seen as one."""

    shelves: tuple[Shelf, ...]
    bundles: tuple[Carried[ClaimedBundle], ...]

    @classmethod
    @contextmanager
    def open(cls, paths: Sequence[Path]) -> Iterator["Library"]:
        """Open media, and folders of volumes.

        Raises:
            MediumNotFoundError: a path is neither.
            MediumError, SignatureError, ManifestError: a medium's metadata are not in order.
            WriteRequestError: they carry different bundles under one name and version.
        """
        with ExitStack() as stack:
            shelves = []
            for path in paths:
                for place in volume_folders(path) or (path,):
                    folder = stack.enter_context(MediumFolder.open(place))
                    medium = read_unverified(folder)
                    sizes = folder.listing()
                    medium.check_files(sizes)
                    shelves.append(Shelf(folder=folder, medium=medium, sizes=sizes))
            bundles = [bundle for shelf in shelves for bundle in shelf.medium.bundles]
            yield cls(shelves=tuple(shelves), bundles=merge_bundles(bundles))

    def find(self, digest: Digest, size_bytes: int) -> list[MediumFolder]:
        """Return the media that hold a blob, as far as names and sizes say."""
        return [shelf.folder for shelf in self.shelves if shelf.holds(digest, size_bytes)]

    def complete(self, carried: Carried[ClaimedBundle]) -> MediumFolder | None:
        """Return a medium that holds all parts of a bundle, if one does."""
        for shelf in self.shelves:
            if all(shelf.holds(part.blob, part.blob_bytes) for part in carried.layout.parts):
                return shelf.folder
        return None

    @property
    def left_out(self) -> dict[str, str]:
        """SHA-256 of the blobs that every medium here leaves out, and by which list."""
        bases: dict[str, str] = {}
        carried: set[str] = set()
        for shelf in self.shelves:
            carried |= {Path(path).name for path in shelf.medium.payload}
            if shelf.medium.volume is not None:
                plan = shelf.medium.volume.plan
                carried |= {hexa for volume in plan.volumes for hexa in volume}
                bases.update(dict.fromkeys(plan.left_out, plan.base))
        return {hexa: base for hexa, base in bases.items() if hexa not in carried}


def volume_folders(path: Path) -> tuple[Path, ...]:
    """Return the volumes in a folder that is no medium itself; none if it is one.

    Raises:
        MediumNotFoundError: there is neither a medium nor a volume.
    """
    # Whatever is in their place: that it is no plain file is for the medium's reader to say.
    if any(os.path.lexists(path / name) for name in (INDEX, "blobs")):
        return ()
    found = tuple(sorted(index.parent for index in path.glob(f"*/{INDEX}") if index.is_file()))
    if not found:
        raise MediumNotFoundError(
            f"{path}: no medium there, and no folder of volumes",
            hint="give a folder that holds index.json, or one whose sub-folders do",
        )
    return found


def merge_bundles(
    bundles: Sequence[Carried[ClaimedBundle]],
) -> tuple[Carried[ClaimedBundle], ...]:
    """Return each bundle once; one with repair parts stands for its like without.

    Raises:
        WriteRequestError: two differ in more than that.
    """
    merged: dict[str, Carried[ClaimedBundle]] = {}
    for bundle in bundles:
        known = merged.setdefault(bundle.reference, bundle)
        if known.bundle.seal.envelope != bundle.bundle.seal.envelope:
            raise WriteRequestError(
                f"{bundle.reference}: two different bundles of this name and version",
                hint="one medium carries one of them",
            )
        if known.parity is None:
            merged[bundle.reference] = bundle
        elif bundle.parity is not None and bundle.parity != known.parity:
            raise WriteRequestError(
                f"{bundle.reference}: two different sets of repair parts",
                hint="give the media of one set alone",
            )
    return tuple(merged[reference] for reference in sorted(merged))
