"""Open what must be a plain file of a known size, and nothing else.

A link could lead anywhere, a FIFO would block, a device could do both: none is ever opened as data.
"""

import os
import stat

__all__ = ["NotRegularError", "open_regular", "read_regular"]

_CHUNK_BYTES = 1 << 20


class NotRegularError(OSError):
    """It is there, and it is not a plain file."""


def open_regular(path: str | os.PathLike[str], *, folder: int | None = None) -> int:
    """Open a plain file for reading and return its descriptor.

    Args:
        folder: descriptor of the folder that `path` is in.

    Raises:
        NotRegularError: a link, folder, FIFO, socket or device.
        OSError: missing, or unreadable.
    """
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY
    try:
        before = os.stat(path, dir_fd=folder, follow_symlinks=False)
        if not stat.S_ISREG(before.st_mode):  # opening a device can already have effects
            raise NotRegularError(f"{os.fspath(path)}: not a plain file")
        descriptor = os.open(path, flags, dir_fd=folder)
    except NotADirectoryError as error:
        raise NotRegularError(f"{os.fspath(path)}: not a plain file") from error
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise NotRegularError(f"{os.fspath(path)}: not a plain file")
    return descriptor


def read_regular(
    path: str | os.PathLike[str], *, size_max: int, folder: int | None = None
) -> bytes:
    """Read a whole plain file, at most `size_max` bytes and one more.

    A longer file gives `size_max + 1` bytes: no digest of at most `size_max` bytes fits them.
    """
    descriptor = open_regular(path, folder=folder)
    try:
        chunks, left = [], size_max + 1
        while left and (chunk := os.read(descriptor, min(left, _CHUNK_BYTES))):
            chunks.append(chunk)
            left -= len(chunk)
        return b"".join(chunks)
    finally:
        os.close(descriptor)
