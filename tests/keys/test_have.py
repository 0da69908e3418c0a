"""Have lists: one form, undamaged, by the site expected; nothing is trusted through them."""

import base64
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sealift.keys import envelope
from sealift.keys.errors import SignatureError, UntrustedError
from sealift.keys.have import read_have, sign_have
from sealift.keys.signer import MemorySigner, generate, generate_site_key
from sealift.manifests import strict_json
from sealift.manifests.digest import Digest
from sealift.manifests.errors import ManifestError, SealiftError
from sealift.manifests.have import HAVE_LIMITS, Have
from sealift.manifests.statement import PAYLOAD_TYPE

SITE, OTHER = generate_site_key(), generate_site_key()
FILES = tuple(sorted(Digest.of(bytes([n])).hex for n in range(3)))
PARTS = tuple(sorted(Digest.of(bytes([n, n])).hex for n in range(5)))


def _have(signer: MemorySigner = SITE, **changes: Any) -> Have:
    fields: dict[str, Any] = {
        "site_key": signer.public.pem.decode(),
        "time": "2026-01-02T03:04:05Z",
        "checkpoint": "12 3fa1b2c4d5e6",
        "files": FILES,
        "parts": PARTS,
    }
    return Have(**(fields | changes))


def test_a_list_reads_back_with_and_without_the_sites_key() -> None:
    data = sign_have(_have(), SITE)
    for key in (SITE.public, None):
        got = read_have(data, key)
        assert got == _have()
        assert got.site == SITE.public.key_id
        assert got.digest == Digest.of(_have().encode())


def test_another_sites_list_is_not_trusted_when_a_key_is_given() -> None:
    data = sign_have(_have(OTHER), OTHER)
    with pytest.raises(UntrustedError, match=OTHER.public.key_id[:16]):
        read_have(data, SITE.public)
    assert read_have(data, None).site == OTHER.public.key_id


def test_a_key_that_is_not_the_lists_own_cannot_sign_it() -> None:
    with pytest.raises(ManifestError):
        sign_have(_have(), OTHER)
    forged = envelope.sign(PAYLOAD_TYPE, _have().encode(), OTHER)
    for key in (SITE.public, OTHER.public, None):
        with pytest.raises(SealiftError):
            read_have(forged, key)


def test_a_signature_by_another_key_under_the_sites_id_does_not_fit() -> None:
    payload = _have().encode()
    message = envelope.pre_authentication_encoding(PAYLOAD_TYPE, payload)
    forged = envelope.Envelope(
        payload_type=PAYLOAD_TYPE, payload=payload, key_id=SITE.public.key_id,
        signature=OTHER.sign(message),
    ).encode()  # fmt: skip
    for key in (SITE.public, None):
        with pytest.raises(SignatureError):
            read_have(forged, key)


def test_an_embedded_key_of_another_kind_is_refused() -> None:
    signer = generate()  # P-384: signs bundles, is no site's key
    with pytest.raises(SignatureError, match="Ed25519"):
        read_have(sign_have(_have(signer), signer), None)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("time", "yesterday"),
        ("checkpoint", "12"),
        ("checkpoint", "12 3FA1B2C4D5E6"),
        ("checkpoint", "012 3fa1b2c4d5e6"),
        ("files", (FILES[0], FILES[0])),
        ("files", FILES[::-1]),
        ("parts", PARTS[::-1]),
        ("parts", ("A" * 64,)),
        ("parts", ("../../etc/passwd",)),
        ("site_key", ""),
        ("site_key", "x" * 5000),
    ],
)
def test_what_no_host_writes_is_refused(field: str, value: Any) -> None:
    with pytest.raises(ManifestError):
        Have.parse(_have(**{field: value}).encode())


@pytest.mark.parametrize(
    "change",
    [
        {"predicateType": "https://model_signing/signature/v1.0"},
        {"_type": "https://in-toto.io/Statement/v0.1"},
        {"subject": []},
        {"subject": [{"name": "sealift/0", "digest": {"sha256": "0" * 64}}]},
        {"more": 1},
    ],
)
def test_other_statements_are_refused(change: dict[str, Any]) -> None:
    value = json.loads(_have().encode())
    with pytest.raises(ManifestError):
        Have.parse(strict_json.canonical(value | change))


def test_another_payload_type_is_refused() -> None:
    with pytest.raises(SignatureError, match="payload type"):
        read_have(envelope.sign("text/plain", _have().encode(), SITE), None)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_any_flipped_byte_is_noticed(data: st.DataObject) -> None:
    signed = bytearray(sign_have(_have(), SITE))
    position = data.draw(st.integers(0, len(signed) - 1))
    signed[position] ^= data.draw(st.integers(1, 255))
    for key in (SITE.public, None):
        with pytest.raises(SealiftError):
            read_have(bytes(signed), key)


def test_forty_gigabytes_are_under_100_kB_and_eleven_terabytes_still_read() -> None:
    def parts(count: int) -> tuple[str, ...]:
        return tuple(sorted(Digest.of(n.to_bytes(4)).hex for n in range(count)))

    assert len(sign_have(_have(parts=parts(40_000 // 64)), SITE)) < 100_000
    large = sign_have(_have(parts=parts(180_000)), SITE)
    assert len(read_have(large, SITE.public).parts) == 180_000
    with pytest.raises(ManifestError, match="at most"):
        sign_have(_have(parts=parts(190_000)), SITE)
    too_long = base64.b64encode(bytes(HAVE_LIMITS.envelope_bytes))
    with pytest.raises(SignatureError, match="at most"):
        read_have(too_long, None)
