"""Custody records: who wrote what onto which medium; forged, moved and missing ones are refused."""

import json
import shutil
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from sealift.keys.envelope import Envelope, sign
from sealift.keys.errors import SignatureError, UntrustedError
from sealift.keys.signer import MemorySigner, generate
from sealift.keys.trust_root import TrustRoot
from sealift.manifests import strict_json
from sealift.manifests.custody import PREDICATE_CUSTODY, Custody, DeviceFacts, custody_path
from sealift.manifests.digest import Digest
from sealift.manifests.errors import ManifestError
from sealift.manifests.statement import PAYLOAD_TYPE, attestation
from sealift.media.errors import MediumError, WriteRequestError
from sealift.media.inspector import SignatureState, inspect_medium
from sealift.media.verifier import verify_medium
from sealift.media.writer import WriteRequest, write_media
from tests.sealed import Sealed, meta, seal_files, tree

NOW = datetime(2026, 5, 6, 7, 8, 9, tzinfo=UTC)
FIRST, SECOND = custody_path(1), custody_path(2)


@pytest.fixture
def sealed(tmp_path: Path) -> Sealed:
    return seal_files(tmp_path / "sealed")


@pytest.fixture
def usb(sealed: Sealed, tmp_path: Path) -> Path:
    """A medium with two bundles, one brought after the other, and so with two records."""
    other = seal_files(tmp_path / "other", meta(version="2.0.0"), signer=sealed.signer)
    for bundle in (sealed.bundle, other.bundle):
        write_media(
            WriteRequest(sources=(bundle,), target=tmp_path / "usb", signer=sealed.signer),
            clock=lambda: NOW,
        )
    return tmp_path / "usb"


def _trust(sealed: Sealed) -> TrustRoot:
    return TrustRoot.of([sealed.signer.public])


def _said(path: Path) -> dict[str, Any]:
    payload = json.loads(Envelope.parse(path.read_bytes()).payload)
    predicate: dict[str, Any] = payload["predicate"]
    return predicate


def test_records_say_what_was_written_and_cover_all_of_it(sealed: Sealed, usb: Path) -> None:
    report = verify_medium(usb, _trust(sealed))
    first, second = (record.custody for record in report.custody)
    assert (first.number, second.number) == (1, 2)
    assert first.time == "2026-05-06T07:08:09Z"
    assert second.previous == Digest.of((usb / FIRST).read_bytes()).hex
    assert second.sums == Digest.of((usb / "SHA256SUMS").read_bytes()).hex
    assert (len(first.manifests), len(second.manifests)) == (1, 2)
    assert {record.key_id for record in report.custody} == {sealed.signer.public.key_id}
    assert second.read_back in ("direct", "uncached", "cached")


def _replace(path: Path, signer: MemorySigner, **changes: Any) -> None:
    predicate = {**_said(path), **changes}
    data = attestation(
        name="SHA256SUMS",
        manifest=Digest("sha256", predicate["sums"]),
        predicate_type=PREDICATE_CUSTODY,
        predicate=predicate,
    )
    path.write_bytes(sign(PAYLOAD_TYPE, data, signer))


def test_a_record_by_another_key_is_refused(sealed: Sealed, usb: Path) -> None:
    _replace(usb / SECOND, generate())
    with pytest.raises(UntrustedError, match=r"custody/00002.*not trusted"):
        verify_medium(usb, _trust(sealed))


def test_a_forged_record_is_refused(sealed: Sealed, usb: Path) -> None:
    envelope = Envelope.parse((usb / SECOND).read_bytes())
    forged = envelope.payload.replace(b"2026-05-06", b"2025-05-06")
    assert forged != envelope.payload
    (usb / SECOND).write_bytes(
        Envelope(
            payload_type=envelope.payload_type, payload=forged, key_id=envelope.key_id,
            signature=envelope.signature,
        ).encode()
    )  # fmt: skip
    with pytest.raises(SignatureError, match="does not fit"):
        verify_medium(usb, _trust(sealed))


def test_the_last_record_cannot_be_taken_away(sealed: Sealed, usb: Path) -> None:
    (usb / SECOND).unlink()
    with pytest.raises(MediumError, match="about another SHA256SUMS"):
        verify_medium(usb, _trust(sealed))


def test_a_first_record_cannot_be_taken_away(sealed: Sealed, usb: Path) -> None:
    (usb / FIRST).unlink()
    with pytest.raises(MediumError, match="00001"):
        verify_medium(usb, _trust(sealed))


def test_a_record_of_another_medium_does_not_count(sealed: Sealed, usb: Path) -> None:
    other = usb.parent / "elsewhere"
    write_media(WriteRequest(sources=(usb,), target=other, signer=sealed.signer))
    shutil.copyfile(other / FIRST, usb / FIRST)
    with pytest.raises(MediumError, match="does not follow record 1"):
        verify_medium(usb, _trust(sealed))


CHANGES: dict[str, dict[str, Any]] = {
    "number": {"number": 3},
    "previous": {"previous": "0" * 64},
    "no-previous": {"previous": None},
    "other-sums": {"sums": "0" * 64},
    "escape-sequence": {"user": "\x1b[2Jroot"},
    "bidi": {"host": "abc\u202edef"},
    "empty": {"host": ""},
    "long": {"host": "h" * 201},
    "time": {"time": "yesterday"},
    "volume": {"volume": 3, "volumes": 2},
    "unknown-field": {"note": "hello"},
    "method": {"readBack": "surely"},
    "manifest": {"manifests": ["sha256:zz"]},
    "size": {"device": {"sizeBytes": -1}},
}  # fmt: skip


@pytest.mark.parametrize("changes", CHANGES.values(), ids=CHANGES.keys())
def test_records_in_another_form_are_refused_though_well_signed(
    sealed: Sealed, usb: Path, changes: dict[str, Any]
) -> None:
    _replace(usb / SECOND, sealed.signer, **changes)
    with pytest.raises((ManifestError, MediumError)):
        verify_medium(usb, _trust(sealed))


def test_a_seal_is_no_record(sealed: Sealed, usb: Path) -> None:
    report = verify_medium(usb, _trust(sealed))
    (usb / SECOND).write_bytes(report.bundles[0].bundle.seal.envelope)
    with pytest.raises(ManifestError, match="custody"):
        verify_medium(usb, _trust(sealed))


def test_a_file_that_is_no_record_is_refused(sealed: Sealed, usb: Path) -> None:
    (usb / "custody" / "notes.txt").write_text("hello")
    with pytest.raises(MediumError, match=r"00003\.sigstore\.json: missing"):
        verify_medium(usb, _trust(sealed))


def test_a_medium_with_records_is_not_changed_without_a_key(sealed: Sealed, usb: Path) -> None:
    third = seal_files(usb.parent / "third", meta(version="3.0.0"), signer=sealed.signer)
    before = tree(usb)
    with pytest.raises(WriteRequestError, match="custody records") as caught:
        write_media(WriteRequest(sources=(third.bundle,), target=usb))
    assert "--key" in (caught.value.hint or "")
    assert tree(usb) == before
    # Reading it back, and healing it, changes nothing that a record is about.
    write_media(WriteRequest(sources=(usb,), target=usb))
    assert tree(usb) == before


def test_a_key_that_sealed_none_of_the_bundles_makes_no_record(
    sealed: Sealed, tmp_path: Path
) -> None:
    with pytest.raises(UntrustedError, match="sealed none of these"):
        write_media(
            WriteRequest(sources=(sealed.bundle,), target=tmp_path / "x", signer=generate())
        )
    assert not (tmp_path / "x").exists()


def test_inspect_shows_records_and_whose_they_are(sealed: Sealed, usb: Path) -> None:
    good = inspect_medium(usb, _trust(sealed))
    assert [claim.signature for claim in good.custody] == [SignatureState.GOOD] * 2
    unknown = inspect_medium(usb, TrustRoot.of([]))
    assert {claim.signature for claim in unknown.custody} == {SignatureState.SIGNER_NOT_TRUSTED}
    assert unknown.custody[1].record.custody == good.custody[1].record.custody


def _record(**changes: Any) -> Custody:
    fields: dict[str, Any] = {
        "number": 1, "user": "ops", "host": "h", "time": "2026-01-01T00:00:00Z", "tool": "t 1",
        "device": DeviceFacts(), "volume": 1, "volumes": 1, "manifests": (), "sums": "a" * 64,
        "read_back": "direct", "previous": None,
    }  # fmt: skip
    return Custody(**{**fields, **changes})


def test_facts_that_the_system_does_not_know_are_null() -> None:
    payload = _record().statement()
    assert Custody.parse(payload, what="record") == _record()
    device = strict_json.loads(payload)["predicate"]["device"]  # type: ignore[call-overload, index]  # a JSON value
    assert set(device) == {"fileSystem", "label", "uuid", "model", "serial", "sizeBytes"}
    assert set(device.values()) == {None}


BAD: dict[str, Callable[[bytes], bytes]] = {
    "other-type": lambda data: data.replace(b"custody:v1", b"custody:v2"),
    "second-subject": lambda data: data.replace(b'"subject":[{', b'"subject":[{},{'),
    "spaces": lambda data: data.replace(b",", b", "),
    "no-predicate": lambda data: b"{}",
    "a-list": lambda data: b"[]",
    "not-json": lambda data: b"\xff",
}


@pytest.mark.parametrize("change", BAD.values(), ids=BAD.keys())
def test_payloads_that_are_no_record(change: Callable[[bytes], bytes]) -> None:
    payload = _record().statement()
    with pytest.raises(ManifestError):
        Custody.parse(change(payload), what="record")
