"""Checkpoints: one form, signed by the site's key; every other byte string is refused."""

import base64
import hashlib

import pytest

from sealift.keys.signer import generate_site_key
from sealift.runtime.audit.checkpoint import Checkpoint, encode, origin_of, parse
from sealift.runtime.audit.errors import AuditError

SIGNER = generate_site_key()
HEAD = Checkpoint(origin=origin_of(SIGNER.public), size=12, root=hashlib.sha256(b"").digest())
GOOD = encode(HEAD, SIGNER)


def test_what_is_written_is_read() -> None:
    assert parse(GOOD, SIGNER.public) == HEAD
    assert HEAD.short == "12 e3b0c44298fc"


def test_the_form_is_that_of_c2sp() -> None:
    origin, size, root, blank, signature, end = GOOD.decode().split("\n")
    assert (size, blank, end) == ("12", "", "")
    assert base64.b64decode(root) == HEAD.root
    dash, name, blob = signature.split(" ")
    assert (dash, name) == ("\u2014", origin)
    raw = base64.b64decode(blob)
    key_hash = hashlib.sha256(origin.encode() + b"\n\x01" + SIGNER.public.raw).digest()[:4]
    assert raw[:4] == key_hash
    SIGNER.public.verify(raw[4:], GOOD.partition(b"\n\n")[0] + b"\n")


def test_every_single_byte_flip_is_refused() -> None:
    for position in range(len(GOOD)):
        for bit in (1, 32, 128):
            bad = bytearray(GOOD)
            bad[position] ^= bit
            with pytest.raises(AuditError):
                parse(bytes(bad), SIGNER.public)


@pytest.mark.parametrize(
    "data",
    [
        b"", b"\n", GOOD + b"\n", GOOD[:-1], b"\n" + GOOD, GOOD.replace(b"\n12\n", b"\n012\n"),
        GOOD.replace(b"\n", b"\r\n"), GOOD + GOOD.rpartition(b"\n\n")[2], b"x" * 5000, b"\xff",
    ],
)  # fmt: skip
def test_other_forms_are_refused(data: bytes) -> None:
    with pytest.raises(AuditError):
        parse(data, SIGNER.public)


def test_another_site_is_refused() -> None:
    with pytest.raises(AuditError, match="origin"):
        parse(GOOD, generate_site_key().public)
