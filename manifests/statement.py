"""The statements that are signed: the seal over a bundle, and the attestations about it.

The seal is an in-toto Statement v1 with the OpenSSF model-signing predicate
(`https://model_signing/signature/v1.0`, method `files`), so `model_signing verify` accepts an
installed model; our own fields stand beside the predicate's, where its v1.0 tells verifiers to
ignore them. They pin the manifest and every attestation: nothing can be stripped or swapped.
"""

import hashlib
from pathlib import PurePosixPath
from typing import Annotated, Any

import msgspec

from sealift.manifests import strict_json
from sealift.manifests.digest import Digest
from sealift.manifests.errors import ManifestError
from sealift.manifests.limits import LIMITS
from sealift.manifests.names import check_name, check_paths, check_version
from sealift.manifests.recipe import Task
from sealift.manifests.record import Record
from sealift.manifests.timestamp import parse_time

__all__ = [
    "PAYLOAD_TYPE",
    "PREDICATE_EVALUATION",
    "PREDICATE_PROVENANCE",
    "AttestationRef",
    "FileDigest",
    "SealFields",
    "SealStatement",
    "attestation",
    "parse_attestation",
]

PAYLOAD_TYPE = "application/vnd.in-toto+json"
PREDICATE_PROVENANCE = "https://slsa.dev/provenance/v1"
PREDICATE_EVALUATION = "https://in-toto.io/attestation/test-result/v0.1"

_STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
_PREDICATE_SEAL = "https://model_signing/signature/v1.0"


class FileDigest(Record, frozen=True, kw_only=True, rename={"path": "name"}):
    """A file of the model and the digest of all its bytes (model-signing's resource)."""

    path: str
    digest: str
    algorithm: str = "sha256"


class AttestationRef(Record, frozen=True, kw_only=True, rename="camel"):
    """An attestation that the seal pins: its predicate type, and its envelope's digest and size."""

    predicate_type: str
    digest: str
    size: Annotated[int, msgspec.Meta(ge=1, le=1 << 32)]


class SealFields(Record, frozen=True, kw_only=True, rename="camel"):
    """What Sealift adds to the model-signing predicate.

    Attributes:
        manifest: digest of the model manifest, and with it of every compressed part.
        manifest_size: its bytes.
        sequence: rises with each release of a name; a lower one is a downgrade.
        created: RFC 3339, UTC, whole seconds.
        audience: sites it is meant for; empty means any.
    """

    manifest: str
    manifest_size: Annotated[int, msgspec.Meta(ge=1, le=1 << 32)]
    name: str
    version: str
    task: Task
    sequence: Annotated[int, msgspec.Meta(ge=1, le=2**53)]
    created: str
    audience: tuple[str, ...]
    attestations: tuple[AttestationRef, ...]


class _Subject(Record, frozen=True, kw_only=True):
    name: str
    digest: dict[str, str]


class _Serialization(Record, frozen=True, kw_only=True):
    method: str = "files"
    hash_type: str = "sha256"
    allow_symlinks: bool = False
    ignore_paths: tuple[str, ...] = ()


class _Predicate(Record, frozen=True, kw_only=True):
    serialization: _Serialization
    resources: tuple[FileDigest, ...]
    sealift: SealFields


class _Statement(
    Record, frozen=True, kw_only=True, rename={"type_": "_type", "predicate_type": "predicateType"}
):
    type_: str
    subject: tuple[_Subject, ...]
    predicate_type: str
    predicate: _Predicate


class SealStatement(Record, frozen=True, kw_only=True):
    """Every file of a model by digest, and the fields of the seal."""

    files: tuple[FileDigest, ...]
    fields: SealFields

    def encode(self) -> bytes:
        """Return the payload that is signed, in its one form."""
        files = tuple(sorted(self.files, key=lambda file: PurePosixPath(file.path)))
        root = hashlib.sha256(b"".join(bytes.fromhex(file.digest) for file in files)).hexdigest()
        return strict_json.canonical(
            _Statement(
                type_=_STATEMENT_TYPE,
                subject=(_Subject(name=self.fields.name, digest={"sha256": root}),),
                predicate_type=_PREDICATE_SEAL,
                predicate=_Predicate(
                    serialization=_Serialization(), resources=files, sealift=self.fields
                ),
            )
        )

    @classmethod
    def parse(cls, payload: bytes) -> "SealStatement":
        """Read a payload whose signature was checked.

        Raises:
            ManifestError: anything that `encode` would not have written.
        """
        raw = strict_json.decode(payload, _Statement, what="seal")
        statement = cls(files=raw.predicate.resources, fields=raw.predicate.sealift)
        fields = statement.fields
        check_name(fields.name)
        check_version(fields.version)
        Digest.parse(fields.manifest)
        parse_time(fields.created, what="seal: created")
        if not 0 < len(statement.files) <= LIMITS.files:
            raise ManifestError(f"seal: expected 1 to {LIMITS.files} files")
        check_paths(file.path for file in statement.files)
        for file in statement.files:
            if Digest(file.algorithm, file.digest).algorithm != "sha256":
                raise ManifestError(f"seal: {file.path}: expected sha256, got {file.algorithm}")
        for ref in fields.attestations:
            Digest.parse(ref.digest)
        if len({ref.predicate_type for ref in fields.attestations}) < len(fields.attestations):
            raise ManifestError("seal: attestations: expected one a predicate type")
        if statement.encode() != payload:
            raise ManifestError("seal: not in the one form that this format writes")
        return statement


def attestation(*, name: str, manifest: Digest, predicate_type: str, predicate: Any) -> bytes:
    """Write an in-toto statement about a model manifest, in canonical JSON."""
    return strict_json.canonical(
        {
            "_type": _STATEMENT_TYPE,
            "subject": [{"name": name, "digest": {manifest.algorithm: manifest.hex}}],
            "predicateType": predicate_type,
            "predicate": predicate,
        }
    )


def parse_attestation(payload: bytes, *, manifest: Digest, predicate_type: str) -> Any:
    """Read an attestation whose signature was checked and return its predicate.

    Raises:
        ManifestError: it is about another manifest, or of another type than the seal says.
    """
    raw = strict_json.loads(payload, what="attestation")
    if not isinstance(raw, dict) or raw.get("_type") != _STATEMENT_TYPE:
        raise ManifestError(f"attestation: expected {_STATEMENT_TYPE}")
    if raw.get("predicateType") != predicate_type:
        raise ManifestError(
            f"attestation: expected type {predicate_type}, got {raw.get('predicateType')!r}"
        )
    subject = raw.get("subject")
    match subject:
        case [{"digest": {**digests}}] if digests == {manifest.algorithm: manifest.hex}:
            return raw.get("predicate")
        case _:
            raise ManifestError(f"attestation: expected subject {manifest}, got {subject!r}")
