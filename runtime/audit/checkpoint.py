"""The log's signed head: a C2SP `tlog-checkpoint` in a `signed-note`, by the site's Ed25519 key.

    sealift/4be1c0ffee5eed00
    3
    pFdb…=

    — sealift/4be1c0ffee5eed00 Zm9v…

Bytes in, a `Checkpoint` out: it exists only if its signature is right.
"""

import base64
import hashlib
import re
from dataclasses import dataclass

from sealift.keys.errors import SignatureError
from sealift.keys.public_key import PublicKey
from sealift.keys.signer import Signer
from sealift.runtime.audit.errors import AuditError

__all__ = ["CHECKPOINT_BYTES_MAX", "Checkpoint", "encode", "origin_of", "parse"]

CHECKPOINT_BYTES_MAX = 4096

_PATH = "log/checkpoint"
_ED25519 = b"\x01"  # the signed-note signature type
_FORM = re.compile(
    r"(?P<body>(?P<origin>[^\n]+)\n(?P<size>0|[1-9]\d{0,15})\n(?P<root>[A-Za-z0-9+/=]{44})\n)"
    r"\n\u2014 (?P<name>[^ \n]+) (?P<signature>[A-Za-z0-9+/=]+)\n",
    re.ASCII,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """How many entries a log has, and the root of their tree."""

    origin: str
    size: int
    root: bytes

    @property
    def short(self) -> str:
        """What a person writes down, as `12 3fa1b2c4d5e6`: entries and the root's first digits."""
        return f"{self.size} {self.root.hex()[:12]}"


def origin_of(site_key: PublicKey) -> str:
    """Return the log's name in checkpoints; the key is the site's identity."""
    return f"sealift/{site_key.key_id[:16]}"


def encode(checkpoint: Checkpoint, signer: Signer) -> bytes:
    """Sign a head and return the file."""
    body = _body(checkpoint)
    signature = _key_hash(checkpoint.origin, signer.public) + signer.sign(body)
    line = f"\n\u2014 {checkpoint.origin} {base64.b64encode(signature).decode()}\n"
    return body + line.encode()


def parse(data: bytes, site_key: PublicKey, *, path: str = _PATH) -> Checkpoint:
    """Read and check a file.

    1. It has the one form that `encode` writes.
    2. It is this log's.
    3. The signature is by the site's key, over the exact body.

    Raises:
        AuditError: any of them fails.
    """
    try:
        match = _FORM.fullmatch(data.decode())
    except UnicodeDecodeError as error:
        raise AuditError("not a checkpoint", path=path) from error
    if match is None or len(data) > CHECKPOINT_BYTES_MAX:  # 1
        raise AuditError("not a checkpoint", path=path)
    origin = origin_of(site_key)
    if match["origin"] != origin or match["name"] != origin:  # 2
        raise AuditError(f"expected origin {origin}, got {match['origin'][:80]!r}", path=path)
    try:
        root = base64.b64decode(match["root"], validate=True)
        signature = base64.b64decode(match["signature"], validate=True)
        if signature[:4] != _key_hash(origin, site_key):
            raise AuditError("signed by another key than the site's", path=path)
        site_key.verify(signature[4:], match["body"].encode())  # 3
    except (ValueError, SignatureError) as error:
        raise AuditError("its signature by the site key does not fit", path=path) from error
    if base64.b64encode(signature).decode() != match["signature"]:  # 1: base64 has spare bits
        raise AuditError("not in the one form that this log writes", path=path)
    return Checkpoint(origin=origin, size=int(match["size"]), root=root)


def _body(checkpoint: Checkpoint) -> bytes:
    root = base64.b64encode(checkpoint.root).decode()
    return f"{checkpoint.origin}\n{checkpoint.size}\n{root}\n".encode()


def _key_hash(name: str, key: PublicKey) -> bytes:
    return hashlib.sha256(name.encode() + b"\n" + _ED25519 + key.raw).digest()[:4]
