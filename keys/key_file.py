"""Key files: a private key in PKCS#8 PEM (mode 0600) and beside it the public key to hand out."""

import os
import stat
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from sealift.keys.errors import KeyFileError
from sealift.keys.public_key import PublicKey
from sealift.keys.signer import MemorySigner

__all__ = ["KeyPair", "read_public", "read_signer", "write_pair"]

_KEY_BYTES_MAX = 64 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyPair:
    """Where a key pair lies."""

    private: Path
    public: Path


def write_pair(folder: Path, name: str, signer: MemorySigner, passphrase: bytes | None) -> KeyPair:
    """Write `NAME.key` and `NAME.pub`; nothing is ever overwritten.

    Raises:
        KeyFileError: one of them is there already.
        OSError: the folder cannot be written.
    """
    pair = KeyPair(private=folder / f"{name}.key", public=folder / f"{name}.pub")
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    for path in (pair.private, pair.public):
        if path.exists():
            raise KeyFileError(
                f"{path}: exists already", hint="keys are never overwritten: choose another --name"
            )
    _write_new(pair.private, signer.encode(passphrase), 0o600)
    _write_new(pair.public, signer.public.pem, 0o644)
    return pair


def read_signer(path: Path, ask_passphrase: Callable[[], bytes]) -> MemorySigner:
    """Read a private key; the passphrase is asked for only if the file is encrypted.

    Raises:
        KeyFileError: unusable, or readable by others.
    """
    pem = _read(path)
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode & 0o077:
        raise KeyFileError(
            f"{path}: private key is open to others (mode {mode:04o})", hint=f"chmod 600 {path}"
        )
    encrypted = b"ENCRYPTED" in pem
    return MemorySigner.parse(pem, ask_passphrase() if encrypted else None, what=str(path))


def read_public(path: Path) -> PublicKey:
    """Read a public key file.

    Raises:
        KeyFileError: unusable.
    """
    return PublicKey.parse(_read(path), what=str(path))


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(_KEY_BYTES_MAX + 1)
    except FileNotFoundError as error:
        raise KeyFileError(f"{path}: no such key file") from error
    except IsADirectoryError as error:
        raise KeyFileError(f"{path}: expected a key file, got a folder") from error
    if len(data) > _KEY_BYTES_MAX:
        raise KeyFileError(f"{path}: expected a key file, got more than {_KEY_BYTES_MAX} bytes")
    return data


def _write_new(path: Path, data: bytes, mode: int) -> None:
    descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_NOFOLLOW, mode)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
