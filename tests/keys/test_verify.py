"""Seals and attestations: whatever is stripped, swapped, flipped or confused is refused."""

import base64
import json
from typing import Any

import pytest

from sealift.keys import envelope
from sealift.keys.envelope import Envelope
from sealift.keys.errors import SignatureError, UntrustedError
from sealift.keys.public_key import Algorithm, PublicKey
from sealift.keys.signer import MemorySigner, generate, generate_site_key
from sealift.keys.trust_root import TrustRoot
from sealift.keys.verify import verify_attestation, verify_bundle, verify_seal
from sealift.manifests import strict_json, ustar
from sealift.manifests.bundle import Manifest
from sealift.manifests.digest import Digest
from sealift.manifests.errors import ManifestError, SealiftError
from sealift.manifests.part import Part
from sealift.manifests.recipe import Task
from sealift.manifests.statement import (
    PAYLOAD_TYPE,
    PREDICATE_EVALUATION,
    PREDICATE_PROVENANCE,
    AttestationRef,
    FileDigest,
    SealFields,
    SealStatement,
    attestation,
)

SIGNER, OTHER = generate(), generate()
TRUST = TrustRoot.of([SIGNER.public])


def _part(file: str) -> Part:
    tar = Digest.of(file.encode())
    return Part(
        file=file, offset=0, length=3, index=0, count=1, tar=tar,
        blob=tar, blob_bytes=ustar.total_bytes(3), compressed=False,
    )  # fmt: skip


MANIFEST = Manifest(
    name="demo", version="1.0.0", created="2026-01-02T03:04:05Z", license="MIT",
    architecture="llama", parts=(_part("model.onnx"), _part("serving.json")),
)  # fmt: skip
MANIFEST_BYTES, CONFIG_BYTES = MANIFEST.encode()


def _attested(signer: MemorySigner = SIGNER, manifest: Digest | None = None) -> bytes:
    payload = attestation(
        name="demo", manifest=manifest or Digest.of(MANIFEST_BYTES),
        predicate_type=PREDICATE_PROVENANCE, predicate={"n": 1},
    )  # fmt: skip
    return envelope.sign(PAYLOAD_TYPE, payload, signer)


def _statement(attested: bytes = b"", **changes: Any) -> SealStatement:
    refs = [
        AttestationRef(
            predicate_type=PREDICATE_PROVENANCE, digest=str(Digest.of(data)), size=len(data)
        )
        for data in (attested,)
        if data
    ]
    fields: dict[str, Any] = {
        "manifest": str(Digest.of(MANIFEST_BYTES)), "manifest_size": len(MANIFEST_BYTES),
        "name": "demo", "version": "1.0.0", "task": Task.CHAT, "sequence": 1,
        "created": "2026-01-02T03:04:05Z", "audience": (), "attestations": tuple(refs), **changes,
    }  # fmt: skip
    files = tuple(FileDigest(path=path, digest=Digest.of(b"abc").hex) for path in MANIFEST.files)
    return SealStatement(files=files, fields=SealFields(**fields))


def _seal(signer: MemorySigner = SIGNER, **changes: Any) -> bytes:
    return envelope.sign(PAYLOAD_TYPE, _statement(**changes).encode(), signer)


GOOD = _seal()


def test_a_good_seal_and_bundle() -> None:
    seal = verify_seal(GOOD, TRUST)
    assert seal.key == SIGNER.public
    assert verify_bundle(seal, MANIFEST_BYTES, CONFIG_BYTES).manifest == MANIFEST


def test_the_same_statement_gives_the_same_signature() -> None:
    assert _seal() == GOOD


def test_every_single_byte_flip_of_a_seal_is_refused() -> None:
    for position in range(len(GOOD)):
        bad = GOOD[:position] + bytes([GOOD[position] ^ 1]) + GOOD[position + 1 :]
        with pytest.raises(SealiftError):
            verify_seal(bad, TRUST)


def _edited(**changes: Any) -> bytes:
    raw = json.loads(GOOD)
    for path, value in changes.items():
        *parents, last = path.split("__")
        target = raw
        for parent in parents:
            target = target[int(parent)] if parent.isdigit() else target[parent]
        if value is None:
            del target[last]
        else:
            target[last] = value
    return strict_json.canonical(raw)


_SIGNATURE = json.loads(GOOD)["dsseEnvelope"]["signatures"][0]

FORMS = {
    "no signature": _edited(dsseEnvelope__signatures=[]),
    "two signatures": _edited(dsseEnvelope__signatures=[_SIGNATURE, _SIGNATURE]),
    "stripped": _edited(dsseEnvelope__signatures=None),
    "unknown field": _edited(extra=1),
    "unknown field inside": _edited(dsseEnvelope__extra=1),
    "other hint": _edited(verificationMaterial__publicKey__hint=OTHER.public.key_id),
    "certificate": _edited(verificationMaterial__certificate={"rawBytes": ""}),
    "log entries": _edited(verificationMaterial__tlogEntries=[0]),
    "other media type": _edited(mediaType="application/vnd.dev.sigstore.bundle.v0.2+json"),
    "not base64": _edited(dsseEnvelope__payload="!"),
    "not ascii": _edited(dsseEnvelope__payload="\u00e9"),
    "loose base64": GOOD.replace(b'"payload":"', b'"payload":"\\n'),
    "half a surrogate": GOOD.replace(b'"payloadType":"application', b'"payloadType":"\\ud800'),
    "spaces": json.dumps(json.loads(GOOD)).encode(),
    "trailing newline": GOOD + b"\n",
    "duplicate key": b'{"mediaType":"x",' + GOOD[1:],
    "empty": b"",
    "too large": GOOD + b" " * (5 << 20),
}


@pytest.mark.parametrize("data", FORMS.values(), ids=FORMS.keys())
def test_other_forms_are_refused(data: bytes) -> None:
    with pytest.raises(SignatureError):
        verify_seal(data, TRUST)


def _signed(payload: bytes, kind: str = PAYLOAD_TYPE) -> bytes:
    return envelope.sign(kind, payload, SIGNER)


def test_another_payload_type_is_refused_though_well_signed() -> None:
    with pytest.raises(SignatureError, match="payload type"):
        verify_seal(_signed(_statement().encode(), "application/json"), TRUST)


def test_an_attestation_is_no_seal() -> None:
    with pytest.raises(ManifestError):
        verify_seal(_attested(), TRUST)


def test_key_confusion_is_refused() -> None:
    """Signed by another key, under the id of ours."""
    theirs = Envelope.parse(_seal(OTHER))
    forged = Envelope(
        payload_type=theirs.payload_type, payload=theirs.payload, key_id=SIGNER.public.key_id,
        signature=theirs.signature,
    )  # fmt: skip
    with pytest.raises(SignatureError, match="does not fit"):
        verify_seal(forged.encode(), TRUST)


def test_unknown_signers_and_weaker_algorithms_are_not_trusted() -> None:
    with pytest.raises(UntrustedError, match="not trusted here"):
        verify_seal(_seal(OTHER), TRUST)
    site = generate_site_key()
    with pytest.raises(UntrustedError, match="algorithms"):
        verify_seal(_seal(site), TrustRoot.of([site.public]))


def test_the_audience_is_checked_unless_the_bundle_only_travels_along() -> None:
    sealed = _seal(audience=("north", "south"))
    with pytest.raises(UntrustedError, match="this site is unnamed"):
        verify_seal(sealed, TRUST)
    with pytest.raises(UntrustedError, match="this site is west"):
        verify_seal(sealed, TrustRoot.of([SIGNER.public], site="west"))
    verify_seal(sealed, TrustRoot.of([SIGNER.public], site="south"))
    verify_seal(sealed, TRUST, for_this_site=False)


def _payload(**changes: Any) -> bytes:
    raw = json.loads(_statement().encode())
    for path, value in changes.items():
        *parents, last = path.split("__")
        target = raw
        for parent in parents:
            target = target[int(parent)] if parent.isdigit() else target[parent]
        target[int(last) if last.isdigit() else last] = value
    return strict_json.canonical(raw)


_FILE = {"algorithm": "sha256", "digest": "a" * 64}
STATEMENTS = {
    "path that climbs": _payload(predicate__resources=[{**_FILE, "name": "../../etc/passwd"}]),
    "absolute path": _payload(predicate__resources=[{**_FILE, "name": "/etc/passwd"}]),
    "file twice": _payload(predicate__resources=[{**_FILE, "name": "a"}] * 2),
    "file as folder": _payload(
        predicate__resources=[{**_FILE, "name": "a"}, {**_FILE, "name": "a/b"}]
    ),
    "case": _payload(predicate__resources=[{**_FILE, "name": "A"}, {**_FILE, "name": "a"}]),
    "no file": _payload(predicate__resources=[]),
    "weak digest": _payload(predicate__resources=[{**_FILE, "algorithm": "sha1", "name": "a"}]),
    "short digest": _payload(predicate__resources=[{**_FILE, "digest": "ab", "name": "a"}]),
    "upper case digest": _payload(predicate__sealift__manifest=f"sha256:{'A' * 64}"),
    "name that climbs": _payload(predicate__sealift__name=".."),
    "version that climbs": _payload(predicate__sealift__version="../1"),
    "no such date": _payload(predicate__sealift__created="2026-13-01T00:00:00Z"),
    "local time": _payload(predicate__sealift__created="2026-01-01T00:00:00+02:00"),
    "sequence zero": _payload(predicate__sealift__sequence=0),
    "huge sequence": _payload(predicate__sealift__sequence=2**60),
    "links allowed": _payload(predicate__serialization__allow_symlinks=True),
    "ignored files": _payload(predicate__serialization__ignore_paths=["model.onnx"]),
    "other method": _payload(predicate__serialization__method="shards"),
    "wrong root digest": _payload(subject__0__digest={"sha256": "b" * 64}),
    "other predicate": _payload(predicateType="https://model_signing/signature/v0.9"),
    "pretty": json.dumps(json.loads(_statement().encode()), indent=1).encode(),
}


@pytest.mark.parametrize("payload", STATEMENTS.values(), ids=STATEMENTS.keys())
def test_statements_in_another_form_are_refused_though_well_signed(payload: bytes) -> None:
    with pytest.raises(ManifestError):
        verify_seal(_signed(payload), TRUST)


def test_two_attestations_of_one_type_are_refused() -> None:
    ref = AttestationRef(predicate_type=PREDICATE_EVALUATION, digest=f"sha256:{'a' * 64}", size=1)
    with pytest.raises(ManifestError, match="one a predicate type"):
        verify_seal(_seal(attestations=(ref, ref)), TRUST)


@pytest.mark.parametrize(
    "changes",
    [
        {"name": "other"}, {"version": "1.0.1"}, {"created": "2026-01-02T03:04:06Z"},
        {"manifest_size": 1}, {"manifest": f"sha256:{'a' * 64}"},
    ],
)  # fmt: skip
def test_mix_and_match_is_refused(changes: dict[str, Any]) -> None:
    seal = verify_seal(_seal(**changes), TRUST)
    with pytest.raises(ManifestError):
        verify_bundle(seal, MANIFEST_BYTES, CONFIG_BYTES)


def test_a_manifest_with_other_files_than_the_seal_is_refused() -> None:
    statement = _statement()
    fewer = SealStatement(files=statement.files[:1], fields=statement.fields)
    seal = verify_seal(_signed(fewer.encode()), TRUST)
    with pytest.raises(ManifestError, match=r"serving\.json: only in"):
        verify_bundle(seal, MANIFEST_BYTES, CONFIG_BYTES)


def test_attestations_must_be_the_pinned_ones() -> None:
    data = _attested()
    seal = verify_seal(_seal(attested=data), TRUST)
    (ref,) = seal.statement.fields.attestations
    assert verify_attestation(data, ref, seal, TRUST) == {"n": 1}
    with pytest.raises(SignatureError, match="expected sha256"):
        verify_attestation(_attested(manifest=Digest.of(b"")), ref, seal, TRUST)


@pytest.mark.parametrize("wrong", ["signer", "subject"])
def test_a_pinned_attestation_still_needs_its_own_signature_and_subject(wrong: str) -> None:
    data = _attested(OTHER) if wrong == "signer" else _attested(manifest=Digest.of(b"other"))
    seal = verify_seal(_seal(attested=data), TRUST)
    (ref,) = seal.statement.fields.attestations
    with pytest.raises((UntrustedError, ManifestError)):
        verify_attestation(data, ref, seal, TRUST)


def test_the_key_decides_the_algorithm() -> None:
    key = PublicKey.parse(SIGNER.public.pem)
    assert (key, key.algorithm) == (SIGNER.public, Algorithm.ECDSA_P384)
    assert base64.b64encode(key.raw)
