"""Read a file from the device itself, not from the memory it was just written through.

    check = check_device(Path("/media/usb"), {"README.txt": (1234, "9f86d0…")}, advance)
    check.wrong, check.method

A device that lost what it took in looks well until its file is no longer in memory: the reader
would be the first to see. So the page cache is passed by, with O_DIRECT where the file system takes
it; else it is asked to forget the file, and what was reached is said.
"""

import errno
import hashlib
import mmap
import os
import queue
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import TypeVar

from sealift.manifests.custody import ReadBackLabel
from sealift.manifests.progress import Advance
from sealift.media.errors import MediumReadError
from sealift.media.regular_file import NotRegularError, open_regular

__all__ = ["DeviceCheck", "Method", "ReadBack", "check_device", "in_parallel", "read_back"]

_Item = TypeVar("_Item")

_SCRATCH_BYTES = 4 << 20
_WORKERS = 2  # one waits for the device while the other hashes
_REFUSED = (errno.EINVAL, errno.EOPNOTSUPP)


class Method(IntEnum):
    """How a file was read, the surest way first."""

    DIRECT = 0
    UNCACHED = 1
    CACHED = 2

    @property
    def label(self) -> ReadBackLabel:
        """As reports and custody records say it."""
        match self:
            case Method.DIRECT:
                return "direct"
            case Method.UNCACHED:
                return "uncached"
            case Method.CACHED:
                return "cached"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadBack:
    """What the device gave."""

    sha256: str
    size_bytes: int
    method: Method


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceCheck:
    """What came of reading many files back.

    Attributes:
        wrong: what is wrong, by path.
        method: how they were read; of several ways the least sure.
    """

    wrong: Mapping[str, str]
    method: Method


def check_device(
    root: Path, expected: Mapping[str, tuple[int, str]], advance: Advance
) -> DeviceCheck:
    """Read files back and compare them.

    Args:
        expected: size and SHA-256 by path below `root`.

    Raises:
        MediumReadError: the device failed, for whatever file.
    """
    wrong: dict[str, str] = {}
    methods = {Method.DIRECT}

    def check(path: str, scratch: mmap.mmap) -> None:
        size, sha256 = expected[path]
        try:
            got = read_back(root / path, scratch)
        except FileNotFoundError:
            wrong[path] = "missing"
        except NotRegularError:
            wrong[path] = "expected a plain file"
        else:
            methods.add(got.method)
            if got.size_bytes != size:
                wrong[path] = f"expected {size} bytes, got {got.size_bytes}"
            elif got.sha256 != sha256:
                wrong[path] = f"expected sha256:{sha256}, got sha256:{got.sha256}"
        advance(size)

    in_parallel(expected, check)
    return DeviceCheck(wrong=dict(sorted(wrong.items())), method=max(methods))


def in_parallel(items: Iterable[_Item], work: Callable[[_Item, mmap.mmap], None]) -> None:
    """Do a piece of work for each item, a few at a time, each with a buffer of whole pages.

    The first error ends it: what has not begun is not begun.
    """
    buffers: queue.SimpleQueue[mmap.mmap] = queue.SimpleQueue()
    for _ in range(_WORKERS):
        buffers.put(mmap.mmap(-1, _SCRATCH_BYTES))

    def run(item: _Item) -> None:
        buffer = buffers.get()
        try:
            work(item, buffer)
        finally:
            buffers.put(buffer)

    with ThreadPoolExecutor(_WORKERS, thread_name_prefix="medium") as executor:
        tasks = [executor.submit(run, item) for item in items]
        try:
            for task in tasks:
                task.result()
        finally:
            executor.shutdown(wait=True, cancel_futures=True)


def read_back(path: Path, scratch: mmap.mmap) -> ReadBack:
    """Hash a file that is durable, from the device.

    Args:
        scratch: page-aligned memory of whole pages, for this call alone.

    Raises:
        NotRegularError, FileNotFoundError: no such plain file.
        MediumReadError: the device failed.
    """
    descriptor = open_regular(path)
    try:
        direct = _hash_direct(descriptor, memoryview(scratch))
        return direct or _hash_uncached(descriptor, memoryview(scratch))
    except OSError as error:
        raise MediumReadError(
            f"{path}: {error.strerror or error}", hint="is the medium still connected?"
        ) from error
    finally:
        os.close(descriptor)


def _hash_direct(descriptor: int, scratch: memoryview) -> ReadBack | None:
    """Hash with O_DIRECT, or say that the file system refuses."""
    try:
        # A second open, by the descriptor's own name: the flag of an open file may not be changed
        # on every file system, and a refusal must leave the first as it was.
        opened = os.open(f"/proc/self/fd/{descriptor}", os.O_RDONLY | os.O_DIRECT | os.O_CLOEXEC)
    except OSError as error:
        if error.errno in _REFUSED:
            return None
        raise
    try:
        return _hash(opened, scratch, Method.DIRECT)
    except OSError as error:
        if error.errno in _REFUSED:  # some take the flag, and then no read
            return None
        raise
    finally:
        os.close(opened)


def _hash_uncached(descriptor: int, scratch: memoryview) -> ReadBack:
    os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
    method = Method.CACHED if _is_cached(descriptor, scratch) else Method.UNCACHED
    return _hash(descriptor, scratch, method)


def _is_cached(descriptor: int, scratch: memoryview) -> bool:
    """Say whether the first page still comes from memory, or whether that cannot be known."""
    try:
        os.preadv(descriptor, [scratch[: mmap.PAGESIZE]], 0, os.RWF_NOWAIT)
    except OSError as error:
        return error.errno != errno.EAGAIN
    return True


def _hash(descriptor: int, scratch: memoryview, method: Method) -> ReadBack:
    digest, offset = hashlib.sha256(), 0
    while count := os.preadv(descriptor, [scratch], offset):
        digest.update(scratch[:count])
        offset += count
        if offset % mmap.PAGESIZE:
            break  # the end; a direct read from the middle of a page would be refused
    return ReadBack(sha256=digest.hexdigest(), size_bytes=offset, method=method)
