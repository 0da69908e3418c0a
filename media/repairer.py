"""Repair a medium in place: what is damaged or missing is copied, or rebuilt from repair parts.

    report = repair_media([Path("/media/usb")], progress)

No key is needed: every file that is written has the digest that names it, and who may say which
digests count is asked by `verify` and `import`. Nothing on a medium is touched before all that will
be written is ready and was compared; each file is then replaced as a whole, and read back. Signed
documents, `index.json` and the like are not repaired: every volume of a set carries all of them.
"""

import mmap
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from sealift.manifests.digest import Digest
from sealift.manifests.progress import Progress, QuietProgress
from sealift.media.blob_check import BlobRef
from sealift.media.blob_copy import copy_blob
from sealift.media.blob_rebuilder import BlobRebuilder
from sealift.media.errors import MediumReadError, ReadBackError
from sealift.media.file_writer import FileWriter
from sealift.media.folder import MediumFolder
from sealift.media.library import Library, Shelf
from sealift.media.profile import USB
from sealift.media.readback import read_back
from sealift.media.regular_file import NotRegularError

__all__ = ["RepairReport", "Repaired", "repair_media"]

_BUFFER_BYTES = 4 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Repaired:
    """A file that was wrong, and is right now.

    Attributes:
        fault: what was wrong with it.
        rebuilt: computed from repair parts; else copied from another of the media.
    """

    medium: Path
    path: str
    label: str
    fault: str
    rebuilt: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class RepairReport:
    """What was read, and what was wrong."""

    checked: int
    repaired: tuple[Repaired, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Fault:
    shelf: Shelf
    path: str
    message: str

    @property
    def hexa(self) -> str:
        return self.path.rpartition("/")[2]


def repair_media(
    paths: Sequence[Path], progress: Progress | None = None, *, scratch: Path | None = None
) -> RepairReport:
    """Read all parts and repair parts of media, and repair what is wrong.

    Args:
        paths: media, or folders of volumes. What one lacks may be on another.
        scratch: a folder for unpacked parts: as large as all that are stored compressed. None: the
            system's folder for temporary files.

    Raises:
        RepairError: too much is lost; the media are as they were.
        MediumError, ManifestError, MediumNotFoundError: a medium's metadata are not in order.
        MediumWriteError: a medium cannot be written.
        ReadBackError: a medium does not keep what is written to it.
        OSError: the scratch disk failed.
    """
    progress = progress or QuietProgress()
    with ExitStack() as stack:
        library = stack.enter_context(Library.open(paths))
        buffer = stack.enter_context(mmap.mmap(-1, _BUFFER_BYTES))
        stock, faults = _take_stock(library, buffer, progress)
        if faults:
            folder = Path(stack.enter_context(_scratch(scratch)))
            ready = _rebuild(library, stock, faults, folder, progress)
            _write(faults, stock, ready, _blobs(library), buffer, progress)
        labels = _blobs(library)
    return RepairReport(
        checked=sum(len(shelf.medium.payload) for shelf in library.shelves),
        repaired=tuple(
            Repaired(
                medium=fault.shelf.folder.path, path=fault.path, fault=fault.message,
                label=labels[fault.hexa].label, rebuilt=fault.hexa not in stock,
            )
            for fault in faults
        ),
    )  # fmt: skip


def _scratch(folder: Path | None) -> "tempfile.TemporaryDirectory[str]":
    return tempfile.TemporaryDirectory(prefix=".sealift-repair-", dir=folder)


def _take_stock(
    library: Library, buffer: mmap.mmap, progress: Progress
) -> tuple[dict[str, MediumFolder], list[_Fault]]:
    """Read every blob from its device: which medium has it right, and where it is wrong."""
    stock: dict[str, MediumFolder] = {}
    faults = []
    total = sum(sum(shelf.medium.payload.values()) for shelf in library.shelves)
    with progress.step("read parts", total) as advance:
        for shelf in library.shelves:
            for path, size in sorted(shelf.medium.payload.items()):
                message = _fault(shelf.folder.path, path, size, buffer)
                if message is None:
                    stock.setdefault(path.rpartition("/")[2], shelf.folder)
                else:
                    faults.append(_Fault(shelf=shelf, path=path, message=message))
                advance(size)
    return stock, faults


def _fault(root: Path, path: str, size: int, buffer: mmap.mmap) -> str | None:
    """Say what is wrong with a blob; a sector that cannot be read is a damage like others."""
    try:
        got = read_back(root / path, buffer)
    except FileNotFoundError:
        return "missing"
    except NotRegularError:
        return "no plain file"
    except MediumReadError as error:
        return f"unreadable: {error.message}"
    if got.size_bytes != size:
        return f"expected {size} bytes, got {got.size_bytes}"
    if got.sha256 != path.rpartition("/")[2]:
        return f"other bytes: sha256:{got.sha256}"
    return None


def _rebuild(
    library: Library, stock: Mapping[str, MediumFolder], faults: Sequence[_Fault], scratch: Path,
    progress: Progress,
) -> dict[str, Path]:  # fmt: skip
    """Make what no medium has; the value is a file by SHA-256."""
    ready: dict[str, Path] = {}
    for number, carried in enumerate(library.bundles):
        wanted = {fault.hexa for fault in faults} - set(stock) - set(ready)
        folder = scratch / str(number)
        folder.mkdir()
        parts = carried.layout.parts
        rebuilder = BlobRebuilder(parts, carried.parity, stock, folder)
        ready |= rebuilder.rebuild(wanted, progress)
    return ready


def _write(
    faults: Sequence[_Fault], stock: Mapping[str, MediumFolder], ready: Mapping[str, Path],
    blobs: Mapping[str, BlobRef], buffer: mmap.mmap, progress: Progress,
) -> None:  # fmt: skip
    """Put every blob in its place, and read it back."""
    total = sum(blobs[fault.hexa].size_bytes for fault in faults)
    with progress.step("write parts", total) as advance:
        for fault in faults:
            root, blob = fault.shelf.folder.path, blobs[fault.hexa]
            writer = FileWriter(root, USB)
            if fault.hexa in stock:
                copy_blob(writer, fault.path, blob, [stock[fault.hexa]], buffer)
            else:
                writer.write(fault.path, _pieces(ready[fault.hexa]))
            writer.sync()
            message = _fault(root, fault.path, blob.size_bytes, buffer)
            if message is not None:
                raise ReadBackError(
                    f"{fault.path}: written and read back: {message}",
                    hint="this medium does not keep what is written to it: use another",
                )
            advance(blob.size_bytes)


def _pieces(path: Path) -> Iterator[bytes]:
    with path.open("rb", buffering=0) as file:
        while piece := file.read(_BUFFER_BYTES):
            yield piece


def _blobs(library: Library) -> dict[str, BlobRef]:
    """Return all parts and repair parts, by SHA-256."""
    blobs = {}
    for carried in library.bundles:
        for part in carried.layout.parts:
            blobs[part.blob.hex] = BlobRef(
                digest=part.blob, size_bytes=part.blob_bytes, label=part.member
            )
        for number, hexa in enumerate(carried.parity.blobs if carried.parity else ()):
            blobs[hexa] = BlobRef(
                digest=Digest("sha256", hexa),
                size_bytes=carried.layout.repair[number].size,
                label=f"repair part {number}",
            )
    return blobs
