"""The SHA-256 of a file on the disk, read through a small buffer."""

import hashlib
import os
from pathlib import Path

from sealift.media.regular_file import open_regular

__all__ = ["hash_file"]

_STEP_BYTES = 1 << 20


def hash_file(path: Path, *, size_max: int | None = None) -> str:
    """Return a plain file's SHA-256 in hex; beyond `size_max` bytes nothing more is read.

    Raises:
        OSError: missing, unreadable, or no plain file.
    """
    digest, buffer = hashlib.sha256(), memoryview(bytearray(_STEP_BYTES))
    left = size_max
    descriptor = open_regular(path)
    try:
        while count := os.readv(descriptor, [buffer]):
            digest.update(buffer[:count])
            if left is not None and (left := left - count) < 0:
                break
    finally:
        os.close(descriptor)
    return digest.hexdigest()
