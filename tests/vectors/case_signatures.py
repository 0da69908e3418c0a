"""Signatures that are missing, not enough, by somebody else, or of something else."""

import hashlib
import hmac
import json
from collections.abc import Callable, Iterator
from dataclasses import replace

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from sealift.keys import envelope
from sealift.keys.envelope import Envelope, pre_authentication_encoding
from sealift.manifests import strict_json
from sealift.manifests.digest import Digest
from sealift.manifests.layout import render
from sealift.manifests.statement import PAYLOAD_TYPE, PREDICATE_PROVENANCE, attestation
from tests.vectors.cases import (
    BASE,
    MEDIA,
    document_path,
    draft,
    invalid,
    on_base,
    signed,
    untrusted,
)
from tests.vectors.forge import SIGNER, STRANGER, key
from tests.vectors.vector import Change, Vector, difference

__all__ = ["vectors"]

_ID = SIGNER.public.key_id
_THEIRS = STRANGER.public.key_id
_ED25519 = key("test-only-ed25519")


def vectors() -> Iterator[Vector]:
    """Give every row about signatures."""
    yield from _stripped()
    yield from _two_keys()
    yield from _confusion()
    yield signed(
        "unknown-signer", "stranger", "sealed by a key that this host does not trust",
        draft(signer=STRANGER), untrusted("not_trusted", _THEIRS[:16]),
    )  # fmt: skip
    yield signed(
        "unknown-signer", "other-key-option", "a key is typed, and it is not the signer's",
        BASE, untrusted("not_trusted", _ID[:16]), "--key", "KEYS/test-only-second.pub",
    )  # fmt: skip
    for name, kind in {"json": "application/json", "none": "", "attestation": PAYLOAD_TYPE}.items():
        yield signed(
            "payload-type", name, "signed by our key for another purpose",
            draft(sign=_as_type(kind, is_attestation=name == "attestation")),
            invalid("manifest_invalid" if name == "attestation" else "signature_invalid", "seal"),
        )  # fmt: skip


def _as_type(kind: str, *, is_attestation: bool) -> Callable[[bytes], bytes]:
    def sign(payload: bytes) -> bytes:
        if is_attestation:
            payload = _attested(payload)
        return envelope.sign(kind, payload, SIGNER)

    return sign


def _attested(payload: bytes) -> bytes:
    manifest = Digest.parse(json.loads(payload)["predicate"]["sealift"]["manifest"])
    return attestation(
        name="demo", manifest=manifest, predicate_type=PREDICATE_PROVENANCE, predicate={}
    )


def _stripped() -> Iterator[Vector]:
    row, seal = "signature-stripped", document_path("signature")
    yield on_base(
        row, "signature-removed", "the signature's file is gone",
        [Change(path=seal, kind="remove")], invalid("medium_invalid", seal, "missing"),
    )  # fmt: skip
    index = json.loads(MEDIA["base"]["index.json"])
    index["manifests"] = index["manifests"][:1]
    yield on_base(
        row, "index-names-none", "index.json names a model and no signature",
        [Change.file("index.json", strict_json.canonical(index))],
        invalid("medium_invalid", "index.json", "names no signature"),
    )  # fmt: skip
    for name, signatures in {
        "no-signatures": [],
        "empty-signature": [{"keyid": _ID, "sig": ""}],
    }.items():
        yield signed(
            row, name, f"an envelope with {name.replace('-', ' ')}",
            draft(sign=_with_signatures(lambda _, s=signatures: s)), invalid("signature_invalid"),
        )  # fmt: skip
    yield signed(
        row, "attestation-removed", "the seal pins an attestation that is not there",
        draft(payload=_pin_one_more), invalid("medium_invalid", "a" * 64, "missing"),
    )  # fmt: skip


def _pin_one_more(payload: bytes) -> bytes:
    raw = json.loads(payload)
    raw["predicate"]["sealift"]["attestations"] = [
        {"digest": f"sha256:{'a' * 64}", "predicateType": PREDICATE_PROVENANCE, "size": 10}
    ]
    return strict_json.canonical(raw)


def _with_signatures(
    make: Callable[[list[dict[str, str]]], list[dict[str, str]]],
) -> Callable[[bytes], bytes]:
    def sign(payload: bytes) -> bytes:
        raw = json.loads(envelope.sign(PAYLOAD_TYPE, payload, SIGNER))
        raw["dsseEnvelope"]["signatures"] = make(raw["dsseEnvelope"]["signatures"])
        return strict_json.canonical(raw)

    return sign


def _two_keys() -> Iterator[Vector]:
    row = "one-key-of-two"

    def second(payload: bytes) -> dict[str, str]:
        raw = json.loads(envelope.sign(PAYLOAD_TYPE, payload, STRANGER))
        signature: dict[str, str] = raw["dsseEnvelope"]["signatures"][0]
        return signature

    def both(payload: bytes, *, stranger_first: bool) -> bytes:
        raw = json.loads(envelope.sign(PAYLOAD_TYPE, payload, SIGNER))
        pair = [*raw["dsseEnvelope"]["signatures"], second(payload)]
        raw["dsseEnvelope"]["signatures"] = pair[::-1] if stranger_first else pair
        return strict_json.canonical(raw)

    for name, first in {"two-signatures": False, "two-signatures-stranger-first": True}.items():
        yield signed(
            row, name, "one envelope, a trusted and an untrusted signature",
            draft(sign=lambda payload, first=first: both(payload, stranger_first=first)),
            invalid("signature_invalid"),
        )  # fmt: skip
    blobs: dict[str, bytes] = {}
    layout = BASE.layout(blobs)
    stranger = replace(BASE, signer=STRANGER).layout(blobs)
    pair = replace(layout, referrers=(*layout.referrers, *stranger.referrers))
    yield on_base(
        row, "second-seal-by-a-stranger", "one bundle, a trusted and an untrusted seal",
        difference(MEDIA["base"], blobs | render([pair])), untrusted("not_trusted", _THEIRS[:16]),
    )  # fmt: skip
    yield signed(
        row, "attestation-by-a-stranger", "a trusted seal pins an attestation by a stranger",
        draft(attested=_by_stranger), untrusted("not_trusted", _THEIRS[:16]),
    )  # fmt: skip


def _by_stranger(manifest: Digest) -> list[tuple[str, bytes]]:
    payload = attestation(
        name="demo", manifest=manifest, predicate_type=PREDICATE_PROVENANCE, predicate={}
    )
    return [(PREDICATE_PROVENANCE, envelope.sign(PAYLOAD_TYPE, payload, STRANGER))]


def _signed_by(sign: Callable[[bytes], bytes], key_id: str = _ID) -> Callable[[bytes], bytes]:
    def make(payload: bytes) -> bytes:
        return Envelope(
            payload_type=PAYLOAD_TYPE, payload=payload, key_id=key_id,
            signature=sign(pre_authentication_encoding(PAYLOAD_TYPE, payload)),
        ).encode()  # fmt: skip

    return make


def _confusion() -> Iterator[Vector]:
    fits = invalid("signature_invalid", "does not fit")
    yield signed(
        "key-confusion", "under-our-id", "signed by a stranger under the id of our key",
        draft(sign=_signed_by(STRANGER.sign)), fits,
    )  # fmt: skip
    raw = _signed_by(SIGNER.sign)

    def hint(payload: bytes) -> bytes:
        value = json.loads(raw(payload))
        value["verificationMaterial"]["publicKey"]["hint"] = _THEIRS
        return strict_json.canonical(value)

    yield signed(
        "key-confusion", "hint-names-another", "the hint names another key than the signature",
        draft(sign=hint), invalid("signature_invalid", "one form"),
    )  # fmt: skip

    def certificate(payload: bytes) -> bytes:
        value = json.loads(raw(payload))
        value["verificationMaterial"]["certificate"] = {"rawBytes": "AAAA"}
        return strict_json.canonical(value)

    yield signed(
        "key-confusion", "brings-its-own-key", "the envelope brings a certificate of its own",
        draft(sign=certificate), invalid("signature_invalid", "certificate"),
    )  # fmt: skip
    row = "algorithm-confusion"
    weaker: dict[str, tuple[str, Callable[[bytes], bytes]]] = {
        "hmac-with-the-public-key": (
            "an HMAC whose key is the public key's file",
            lambda data: hmac.digest(SIGNER.public.pem, data, hashlib.sha384),
        ),
        "ed25519": ("an Ed25519 signature under the id of our P-384 key", _ED25519.sign),
        "sha256": ("our key, over SHA-256 instead of SHA-384", _with_sha256),
        "zeros": ("r = s = 0", lambda data: bytes.fromhex("3006020100020100")),
        "payload-alone": (
            "our key, over the payload without its type",
            lambda data: SIGNER.sign(data.split(b" ", 4)[4]),
        ),
    }
    for name, (about, sign) in weaker.items():
        yield signed(row, name, about, draft(sign=_signed_by(sign)), fits)
    yield signed(
        row, "ed25519-key-option", "a key that may not sign bundles is typed by hand",
        draft(signer=_ED25519), untrusted("not_trusted", "rule `algorithms`"),
        "--key", "KEYS/test-only-ed25519.pub",
    )  # fmt: skip


def _with_sha256(data: bytes) -> bytes:
    return SIGNER._key.sign(data, ec.ECDSA(hashes.SHA256(), deterministic_signing=True))  # type: ignore[no-any-return, call-arg, union-attr]  # the test key is P-384
