"""The report of an inspection: kept, signed by this site, in the log; whatever else is found."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from sealift.keys.envelope import sign
from sealift.keys.errors import SignatureError
from sealift.keys.signer import Signer, generate, generate_site_key
from sealift.manifests.digest import Digest
from sealift.manifests.errors import ManifestError, SealiftError
from sealift.manifests.statement import PAYLOAD_TYPE, attestation
from sealift.runtime.audit.site_key import read_site_key
from sealift.runtime.content.report import ContentReport
from sealift.runtime.store.audit_verify import audit_verify
from sealift.runtime.store.errors import StoreIntegrityError
from sealift.runtime.store.inspection_record import PREDICATE_INSPECTION, read_inspection
from sealift.runtime.store.state import ModelRecord
from sealift.runtime.store.store import Store
from tests.sealed import flip

FILE = "records/demo/1.0.0/inspection.sigstore.json"


def _record(store: Store) -> ModelRecord:
    record = store.state().find("demo", "1.0.0")
    assert record is not None
    return record


def _write(home: Path, data: bytes) -> None:
    path = home / FILE
    path.chmod(0o644)
    path.write_bytes(data)
    path.chmod(0o444)


def test_the_report_of_every_import_is_kept_and_logged(store: Store) -> None:
    record = _record(store)
    report = msgspec.convert(store.inspection("demo", "1.0.0"), ContentReport)
    assert report.verdict == "passed"
    files = store.resolve("demo", "1.0.0").files
    assert {file.path: file.sha256 for file in report.files} == {
        file.path: file.sha256 for file in files
    }
    assert record.inspection == Digest.of((store.home / FILE).read_bytes())
    (entry,) = (
        entry for entry in store.log.entries()
        if entry.fields.get("digest") == str(record.digest) and "inspection" in entry.fields
    )  # fmt: skip
    assert entry.fields["inspection"] == str(record.inspection)


def _gone(store: Store) -> None:
    (store.home / FILE).unlink()


def _changed(store: Store) -> None:
    flip(store.home / FILE)


def _signed_again(store: Store) -> None:
    """Another report, by this very site's key: only the log tells that it is not the one."""
    statement = attestation(
        name="demo", manifest=_record(store).digest, predicate_type=PREDICATE_INSPECTION,
        predicate={"verdict": "passed"},
    )  # fmt: skip
    _write(store.home, sign(PAYLOAD_TYPE, statement, read_site_key(store.home)))


def _of_another_version(store: Store) -> None:
    other = store.home / FILE.replace("1.0.0", "1.1.0")
    _write(store.home, other.read_bytes())


@pytest.mark.parametrize("spoil", [_gone, _changed, _signed_again, _of_another_version])
def test_a_report_that_is_not_the_one_is_found(
    spoil: Callable[[Store], None], store: Store
) -> None:
    spoil(store)
    assert FILE in {failure.path for failure in audit_verify(store.home).failures}
    with pytest.raises(StoreIntegrityError, match="inspection"):
        store.inspection("demo", "1.0.0")


def test_the_digest_counts_even_where_the_site_key_is_damaged(store: Store) -> None:
    _changed(store)
    (store.home / "site/key.pem").write_bytes(b"x")
    assert FILE in {failure.path for failure in audit_verify(store.home).failures}


FORGERIES: dict[str, tuple[Callable[[Signer, Digest], bytes], type[SealiftError]]] = {
    "another site's key": (
        lambda site, digest: sign(PAYLOAD_TYPE, _statement(digest), generate_site_key()),
        SignatureError,
    ),
    "a signer's key": (
        lambda site, digest: sign(PAYLOAD_TYPE, _statement(digest), generate()), SignatureError,
    ),
    "another payload type": (
        lambda site, digest: sign("text/plain", _statement(digest), site), SignatureError,
    ),
    "another manifest": (
        lambda site, digest: sign(PAYLOAD_TYPE, _statement(Digest.of(b"x")), site), ManifestError,
    ),
    "another predicate": (
        lambda site, digest: sign(PAYLOAD_TYPE, _statement(digest, "urn:other"), site),
        ManifestError,
    ),
    "no envelope": (lambda site, digest: b"{}", SignatureError),
    "payload changed": (
        lambda site, digest: sign(PAYLOAD_TYPE, _statement(digest), site).replace(
            b'"payload":"ey', b'"payload":"eA'
        ),
        SignatureError,
    ),
}  # fmt: skip


def _statement(manifest: Digest, kind: str = PREDICATE_INSPECTION) -> bytes:
    predicate = {"verdict": "passed"}
    return attestation(name="demo", manifest=manifest, predicate_type=kind, predicate=predicate)


@pytest.mark.parametrize("name", FORGERIES)
def test_a_report_that_the_log_names_must_still_be_this_sites(name: str, store: Store) -> None:
    forge, error = FORGERIES[name]
    record, site = _record(store), read_site_key(store.home)
    data = forge(site, record.digest)
    _write(store.home, data)
    with pytest.raises(error):
        read_inspection(store.home, replace(record, inspection=Digest.of(data)), site.public)
