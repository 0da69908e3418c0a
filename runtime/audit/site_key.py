"""The site's own key, which signs the head of its log: made on first use, never leaves the host."""

import os
import stat
from pathlib import Path

from sealift.keys.errors import KeyFileError
from sealift.keys.public_key import Algorithm
from sealift.keys.signer import MemorySigner, generate_site_key
from sealift.media.durable import replace_file
from sealift.runtime.audit.errors import AuditError

__all__ = ["SITE_KEY", "SITE_PUBLIC", "create_site_key", "read_private", "read_site_key"]

SITE_KEY = "site/key.pem"
SITE_PUBLIC = "site/key.pub"

_KEY_BYTES_MAX = 4096


def create_site_key(home: Path) -> None:
    """Write a new key pair, private part 0600; a pair that is there is left alone."""
    if (home / SITE_KEY).exists():
        return
    signer = generate_site_key()
    (home / SITE_KEY).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    # The private part last: it is what says that the pair is complete.
    replace_file(home / SITE_PUBLIC, signer.public.pem)
    replace_file(home / SITE_KEY, signer.encode(None), mode=0o600)


def read_site_key(home: Path) -> MemorySigner:
    """Read the pair and check it byte for byte.

    Raises:
        AuditError: missing, changed, or open to others.
    """
    signer = read_private(home)
    if _read(home, SITE_PUBLIC) != signer.public.pem:
        raise AuditError(f"does not belong to {SITE_KEY}", path=SITE_PUBLIC)
    return signer


def read_private(home: Path) -> MemorySigner:
    """Read the private part alone.

    Raises:
        AuditError: missing, not in the form in which it was written, or open to others.
    """
    pem = _read(home, SITE_KEY)
    try:
        signer = MemorySigner.parse(pem, None, what=SITE_KEY)
    except KeyFileError as error:
        raise AuditError("not the site's private key any more", path=SITE_KEY) from error
    if signer.public.algorithm is not Algorithm.ED25519 or signer.encode(None) != pem:
        raise AuditError("not in the form in which it was written", path=SITE_KEY)
    mode = stat.S_IMODE((home / SITE_KEY).stat().st_mode)
    if mode & 0o077:
        raise AuditError(f"expected mode 0600, got {mode:04o}", path=SITE_KEY, hint="chmod 600 it")
    return signer


def _read(home: Path, name: str) -> bytes:
    try:
        descriptor = os.open(home / name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError as error:
        raise AuditError(f"cannot be read: {error.strerror}", path=name) from error
    with os.fdopen(descriptor, "rb") as file:
        return file.read(_KEY_BYTES_MAX)
