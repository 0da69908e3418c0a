"""Write one medium: copy what is missing, read it back from the device, and name it last.

    written = MediumWriter(Path("/media/usb"), USB, progress).write(files, find, recorder)

Guaranteed: no byte is put under its name before its digest was compared; `index.json` comes last:
a medium that was pulled too early is visibly incomplete, and the next run completes it; whatever is
reported as written was read back from the device. Memory: a few buffers of 4 MiB.
"""

import hashlib
import mmap
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from sealift.keys.judge import ClaimJudge
from sealift.manifests.custody import CUSTODY, custody_path
from sealift.manifests.layout import INDEX, SHA256SUMS
from sealift.manifests.progress import Progress
from sealift.media.blob_copy import copy_blob
from sealift.media.custody import CustodyRecord, read_custody
from sealift.media.errors import (
    MediumError,
    MediumWriteError,
    ReadBackError,
    WriteRequestError,
)
from sealift.media.file_writer import FileWriter, is_partial
from sealift.media.folder import MediumFolder, is_of_the_system
from sealift.media.medium_files import Find, MediumFiles, Recorder, Written
from sealift.media.profile import Profile
from sealift.media.readback import Method, check_device, in_parallel

__all__ = ["MediumWriter"]

_BLOBS = "blobs/sha256"
_ROOT_FOLDERS = ("blobs", CUSTODY)
_NAMED_MAX = 3


class MediumWriter:
    """Writes to one folder. Two at once on one folder are refused by neither: do not."""

    def __init__(self, root: Path, profile: Profile, progress: Progress) -> None:
        self._root = root
        self._profile = profile
        self._progress = progress
        self._files = FileWriter(root, profile)

    def write(self, files: MediumFiles, find: Find, recorder: Recorder | None) -> Written:
        """Write a medium, or complete or heal one.

        1. Nothing lies there that is not to be there.
        2. Parts that are there are read back; the damaged ones count as missing.
        3. All that is missing can be had, and there is room for it.
        4. Missing parts are copied, and read back.
        5. Metadata are written and read back, then a custody record, then `index.json`.

        Args:
            recorder: none makes no record.

        Raises:
            WriteRequestError: steps 1 and 3; nothing was changed.
            MediumError: a source has other bytes than it should.
            MediumWriteError, MediumReadError: a device failed or is full.
            ReadBackError: what was written is not what the device gives back.
        """
        sizes, records = self._survey(files, recorder)  # 1
        there = [path for path, size in files.payload.items() if sizes.get(path) == size]
        method, damaged = self._read_back("check", files, there)  # 2
        damaged |= {path for path in files.payload if path in sizes and path not in there}
        missing = {path for path in files.payload if path not in sizes}
        todo = [path for path in files.payload if path in damaged or path in missing]
        self._require_fetchable(files, todo, damaged, find)  # 3
        self._require_room(files, todo, sizes)
        self._prepare(recorder)
        self._copy(files, todo, find)  # 4
        method = max(method, self._require_written(files, todo))
        method = max(method, self._write_metadata(files, [p for p in files.metadata if p != INDEX]))
        number = self._record(files, records, recorder, method)
        method = max(method, self._write_metadata(files, [INDEX]))  # 5
        return Written(
            path=self._root,
            written=len(missing),
            healed=len(damaged),
            kept=len(files.payload) - len(todo),
            copied_bytes=sum(files.payload[path] for path in todo),
            read_back=method,
            record=number,
        )

    def _survey(
        self, files: MediumFiles, recorder: Recorder | None
    ) -> tuple[dict[str, int], tuple[CustodyRecord, ...]]:
        names = [path.name for path in self._root.iterdir()] if self._root.exists() else []
        known = {path.partition("/")[0] for path in files.metadata} | set(_ROOT_FOLDERS)
        for name in sorted(names):
            if name not in known and not is_of_the_system(name) and not self._is_leftover(name):
                raise self._foreign(name)
        if not (self._root / _BLOBS).is_dir():
            return {}, ()
        with MediumFolder.open(self._root) as folder:
            sizes = folder.listing()
            for path in sorted(sizes):
                ours = path in files.metadata or path in files.payload
                if not (ours or path.startswith(f"{CUSTODY}/") or self._is_leftover(path)):
                    raise self._foreign(path)
            records = read_custody(folder, sizes, ClaimJudge())
        sums = hashlib.sha256(files.metadata[SHA256SUMS]).hexdigest()
        if records and recorder is None and records[-1].custody.sums != sums:
            raise WriteRequestError(
                f"{self._root}: has custody records, and its files are about to change",
                hint="give the signing key with --key, or write to another medium",
            )
        return sizes, records

    def _is_leftover(self, path: str) -> bool:
        return is_partial(path.rpartition("/")[2]) and not self._profile.is_write_once

    def _foreign(self, path: str) -> WriteRequestError:
        shown = path if path.isprintable() else ascii(path)
        return WriteRequestError(
            f"{self._root}: {shown} does not belong to what is to be written",
            hint="use an empty medium or folder",
        )

    def _require_fetchable(
        self, files: MediumFiles, todo: Sequence[str], damaged: set[str], find: Find
    ) -> None:
        if damaged and self._profile.is_write_once:
            raise MediumWriteError(
                f"{self._root}: {_some(sorted(damaged))} damaged, on a write-once medium",
                hint="use a new medium",
            )
        for path in todo:
            blob = files.blob(path)
            if not find(blob.digest, blob.size_bytes):
                raise MediumError(
                    path,
                    f"on none of the media given (for {blob.label})",
                    hint="give all volumes of the set",
                )

    def _require_room(
        self, files: MediumFiles, todo: Sequence[str], sizes: Mapping[str, int]
    ) -> None:
        above = next(path for path in (self._root, *self._root.parents) if path.exists())
        disk = os.statvfs(above)
        new = [files.payload[path] for path in todo]
        new += [len(data) for path, data in files.metadata.items() if path not in sizes]
        needed = sum(size + -size % disk.f_frsize for size in new)
        free = disk.f_bavail * disk.f_frsize
        if disk.f_blocks and free < needed:  # no blocks at all: the file system does not say
            raise MediumWriteError(
                f"{self._root}: expected {needed} free bytes, got {free}",
                hint="use a larger medium, or --volume to use several",
            )

    def _prepare(self, recorder: Recorder | None) -> None:
        self._files.make_folder(_BLOBS)
        if recorder is not None:
            self._files.make_folder(CUSTODY)
        self._files.remove_partials()

    def _copy(self, files: MediumFiles, todo: Sequence[str], find: Find) -> None:
        total = sum(files.payload[path] for path in todo)
        if not todo:
            return
        with self._progress.step(f"write {self._root.name}", total) as advance:

            def copy(path: str, scratch: mmap.mmap) -> None:
                blob = files.blob(path)
                sources = find(blob.digest, blob.size_bytes)
                copy_blob(self._files, path, blob, sources, scratch)
                advance(blob.size_bytes)

            in_parallel(todo, copy)
        self._files.sync()

    def _write_metadata(self, files: MediumFiles, paths: Sequence[str]) -> Method:
        """Write those that differ from what the device gives; read those back."""
        _, differing = self._read_back("", files, paths)
        for path in paths:
            if path in differing:
                self._files.write(path, [files.metadata[path]])
        self._files.sync()
        return self._require_written(files, paths)

    def _record(
        self,
        files: MediumFiles,
        before: tuple[CustodyRecord, ...],
        recorder: Recorder | None,
        method: Method,
    ) -> int | None:
        if recorder is None:
            return None
        sums = hashlib.sha256(files.metadata[SHA256SUMS]).hexdigest()
        data = recorder.record(self._root, before, sums, method.label)
        path = custody_path(len(before) + 1)
        record = MediumFiles(metadata={path: data}, payload={})
        self._write_metadata(record, [path])
        return len(before) + 1

    def _require_written(self, files: MediumFiles, paths: Sequence[str]) -> Method:
        """Read files back; where one is wrong, nothing is left that says the medium is complete."""
        is_payload = any(path in files.payload for path in paths)
        method, wrong = self._read_back("read back" if is_payload else "", files, paths)
        if not wrong:
            return method
        if INDEX in wrong and not self._profile.is_write_once:
            (self._root / INDEX).unlink(missing_ok=True)
        raise ReadBackError(
            f"{self._root}: {_some(sorted(wrong))} not what was written",
            hint="the device loses data: try once more, then use another one",
        )

    def _read_back(
        self, title: str, files: MediumFiles, paths: Sequence[str]
    ) -> tuple[Method, set[str]]:
        expected = files.expected(paths)
        if not title or not paths:
            check = check_device(self._root, expected, lambda count: None)
            return check.method, set(check.wrong)
        total = sum(size for size, _ in expected.values())
        with self._progress.step(f"{title} {self._root.name}", total) as advance:
            check = check_device(self._root, expected, advance)
        return check.method, set(check.wrong)


def _some(paths: Sequence[str]) -> str:
    more = f" and {len(paths) - _NAMED_MAX} more are" if len(paths) > _NAMED_MAX else " is"
    if 1 < len(paths) <= _NAMED_MAX:
        more = " are"
    return f"{', '.join(paths[:_NAMED_MAX])}{more}"
