"""Say that prepacked weights were written by this host's server, for these signed bytes.

An entry has three files: the optimized graph, its data (original and prepacked weights), and the
seal. The seal is a message and its HMAC-SHA256; the message names everything the entry depends on
(`Binding`), the graph's sha256, and a code of the data. The data are hundreds of megabytes to
gigabytes and are checked at every load, so their code is built for speed: each chunk gets an
AES-256-GMAC tag (GCM with nothing to encrypt; the nonce is the chunk's number), and the HMAC of all
tags in order is the code. The GMAC key is made of the model's key and a random salt that is new
with each writing: no nonce is used twice with one key, and tags are never told to anyone.

What it guarantees: who can write to the cache's folder (a shared disk, a restored backup, another
host's cache, a fault of the disk) and cannot read the key cannot bring in one byte that is loaded;
neither changed bytes, nor an older entry of other weights, nor parts of two entries.
What it does not: code that runs as the server's user can read the key, and whoever can write to the
folder at the very moment an entry is written could have his bytes sealed. The folder is 0700.

>>> seal = parse_seal(encode_seal(seal, key), key)              # doctest: +SKIP
"""

import hmac
import os
import threading
from collections.abc import Iterator
from typing import Final

import msgspec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from sealift.runtime.engine.errors import EngineError
from sealift.runtime.engine.prepack.key import derive_key

__all__ = ["FORMAT", "SEAL_BYTES_MAX", "Binding", "BoundFile", "PrepackError", "Seal", "data_code",
           "encode_seal", "parse_seal"]  # fmt: skip

FORMAT: Final = 1
SEAL_BYTES_MAX: Final = 4 << 20
_CODE_BYTES: Final = 32
_CHUNK_BYTES: Final = 2 << 20
_NONCE_BYTES: Final = 12


class PrepackError(EngineError):
    """An entry of the cache is not used; the model is loaded from the store."""

    code = "prepack_unusable"


class BoundFile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A file of the store that an entry was made from.

    Args:
        mtime_ns: with the inode says that somebody touched the file since. The signed bytes are
            then hashed again, and tampering is refused as loudly as without a cache. This is a
            courtesy: times can be forged, but the entry's bytes remain the right ones.
    """

    path: str
    size_bytes: int
    sha256: str
    inode: int
    mtime_ns: int


class Binding(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything that an entry's bytes depend on."""

    format: int
    model_digest: str
    variant: str
    graph_sha256: str
    files: tuple[BoundFile, ...]
    runtime: str
    processor: str
    options: tuple[tuple[str, str], ...]


class Seal(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What an entry says of itself."""

    salt: bytes
    binding: Binding
    graph_sha256: str
    data_bytes: int
    data_code: bytes


def encode_seal(seal: Seal, key: bytes) -> bytes:
    """Return the seal's file."""
    message = msgspec.msgpack.encode(seal)
    return _code(key, message) + message


def parse_seal(data: bytes, key: bytes) -> Seal:
    """Check a seal and return it.

    Raises:
        PrepackError: not written with this key.
    """
    code, message = data[:_CODE_BYTES], data[_CODE_BYTES:]
    if len(data) > SEAL_BYTES_MAX or not hmac.compare_digest(code, _code(key, message)):
        raise PrepackError("seal: not written with this host's key, or changed since")
    try:
        return msgspec.msgpack.decode(message, type=Seal)
    except msgspec.MsgspecError as error:  # sealed by another version of ours
        raise PrepackError(f"seal: {error}") from error


def data_code(descriptor: int, size_bytes: int, *, key: bytes, salt: bytes, threads: int) -> bytes:
    """Return the code of an open file's bytes.

    Raises:
        PrepackError: it is shorter than it should be.
        OSError: it cannot be read.
    """
    chunk_key = derive_key(key, purpose=b"sealift prepack data chunks", salt=salt)
    work = _Chunks(descriptor, size_bytes, AESGCM(chunk_key))
    helpers = [threading.Thread(target=work.run, name="code") for _ in range(threads - 1)]
    for helper in helpers:
        helper.start()
    work.run()
    for helper in helpers:
        helper.join()
    code_key = derive_key(key, purpose=b"sealift prepack data", salt=salt)
    return hmac.digest(code_key, size_bytes.to_bytes(8, "big") + b"".join(work.tags()), "sha256")


class _Chunks:
    """A file's chunks, taken by several threads; AES runs without Python's lock."""

    def __init__(self, descriptor: int, size_bytes: int, cipher: AESGCM) -> None:
        self._descriptor = descriptor
        self._size_bytes = size_bytes
        self._cipher = cipher
        self._numbers = iter(range(-(-size_bytes // _CHUNK_BYTES)))
        self._lock = threading.Lock()
        self._tags: dict[int, bytes] = {}
        self._failure: OSError | PrepackError | None = None

    def run(self) -> None:
        """Work until no chunk is left."""
        buffer = memoryview(bytearray(min(_CHUNK_BYTES, self._size_bytes)))
        while self._failure is None:
            with self._lock:
                number = next(self._numbers, None)
            if number is None:
                return
            try:
                self._tags[number] = self._tag(number, buffer)
            except (OSError, PrepackError) as error:  # of a thread: told by `tags`
                self._failure = error

    def tags(self) -> Iterator[bytes]:
        """Yield all tags in order."""
        if self._failure is not None:
            raise self._failure
        return (self._tags[number] for number in range(len(self._tags)))

    def _tag(self, number: int, buffer: memoryview) -> bytes:
        offset = number * _CHUNK_BYTES
        wanted = min(_CHUNK_BYTES, self._size_bytes - offset)
        filled = 0
        while filled < wanted:
            count = os.preadv(self._descriptor, [buffer[filled:wanted]], offset + filled)
            if count == 0:
                raise PrepackError(f"data: expected {self._size_bytes} bytes, it ends before")
            filled += count
        return self._cipher.encrypt(number.to_bytes(_NONCE_BYTES, "big"), b"", buffer[:wanted])


def _code(key: bytes, message: bytes) -> bytes:
    return hmac.digest(derive_key(key, purpose=b"sealift prepack seal"), message, "sha256")
