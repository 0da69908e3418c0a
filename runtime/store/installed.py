"""An installed version: what a verified seal says of it, and where its files lie.

`read_seal` accepts only the envelope whose digest the log holds; `open_model` asks in addition that
its signature is by a key that this host accepts now.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from sealift.keys.public_key import PublicKey
from sealift.keys.trust_root import TrustRoot
from sealift.keys.verify import VerifiedBundle, verify_bundle, verify_seal
from sealift.manifests.bundle import Manifest
from sealift.manifests.digest import Digest
from sealift.manifests.layout import Referrer
from sealift.manifests.limits import LIMITS
from sealift.manifests.recipe import Task
from sealift.manifests.serving import SERVING_FILE
from sealift.media.regular_file import read_regular
from sealift.runtime.store import paths
from sealift.runtime.store.errors import StoreIntegrityError
from sealift.runtime.store.state import ModelRecord

__all__ = [
    "KEY_FILE",
    "InstalledFile",
    "InstalledModel",
    "open_bundle",
    "open_model",
    "read_record",
    "record_files",
]

KEY_FILE = "key.pem"
"""In a version's records, only where a key was typed for its import."""

_CONFIG_FILE = "config.json"
_MANIFEST_FILE = "manifest.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class InstalledFile:
    """A file of a model; `path` is relative to the model's folder."""

    path: str
    size_bytes: int
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class InstalledModel:
    """A version whose seal was just verified. Its files were not read: who loads them hashes them.

    Attributes:
        digest: of the manifest: the model's identity.
        path: folder that holds exactly `files`.
        signature: the file that covers exactly that folder.
        variants: folders that can be served.
        by_key_option: accepted under a key typed for its import.
    """

    name: str
    version: str
    task: Task
    digest: Digest
    path: Path
    signature: Path
    records: Path
    variants: tuple[str, ...]
    files: tuple[InstalledFile, ...]
    sequence: int
    created: str
    imported: str
    license: str
    architecture: str
    audience: tuple[str, ...]
    key_id: str
    by_key_option: bool
    is_current: bool
    size_bytes: int


def read_record(home: Path, record: ModelRecord, name: str, size_max: int) -> bytes:
    """Read a file of a version's records.

    Raises:
        StoreIntegrityError: missing, or no plain file.
    """
    path = f"{paths.record(record.name, record.version)}/{name}"
    try:
        return read_regular(home / path, size_max=size_max)
    except OSError as error:
        raise StoreIntegrityError(f"{path}: cannot be read: {error.strerror or error}") from error


def accepted_keys(home: Path, record: ModelRecord, trusted: TrustRoot) -> TrustRoot:
    """Return the keys that may have sealed a version: the trusted ones, or the one typed for it."""
    if record.key_id in trusted.keys or not record.is_key_accepted:
        return trusted
    pem = read_record(home, record, KEY_FILE, LIMITS.envelope_bytes)
    key = PublicKey.parse(pem, what=KEY_FILE)
    if key.key_id != record.key_id:
        raise StoreIntegrityError(
            f"{paths.record(record.name, record.version)}/{KEY_FILE}: "
            f"expected key {record.key_id[:16]}, got {key.key_id[:16]}"
        )
    return TrustRoot.of([key], site=trusted.site)


def open_bundle(home: Path, record: ModelRecord, trusted: TrustRoot) -> VerifiedBundle:
    """Verify a version's seal and manifest, from its records.

    Raises:
        StoreIntegrityError: they are not what was imported.
        UntrustedError, SignatureError, ManifestError: as `keys.verify` says.
    """
    sealed = read_record(home, record, paths.SEAL_FILE, LIMITS.envelope_bytes)
    _expect(record, paths.SEAL_FILE, sealed, record.seal)
    seal = verify_seal(sealed, accepted_keys(home, record, trusted), for_this_site=False)
    manifest = read_record(home, record, _MANIFEST_FILE, LIMITS.json_bytes)
    _expect(record, _MANIFEST_FILE, manifest, record.digest)
    config = read_record(home, record, _CONFIG_FILE, LIMITS.json_bytes)
    _expect(record, _CONFIG_FILE, config, Manifest.config_descriptor(manifest).checked_digest)
    return verify_bundle(seal, manifest, config)


def open_model(
    home: Path, record: ModelRecord, trusted: TrustRoot, *, is_current: bool
) -> InstalledModel:
    """Verify a version's seal under the keys accepted now, and describe it.

    Raises:
        StoreIntegrityError: its records are not what was imported.
        UntrustedError, SignatureError, ManifestError: as `keys.verify` says.
    """
    bundle = open_bundle(home, record, trusted)
    statement, manifest = bundle.seal.statement, bundle.manifest
    sizes = manifest.files
    files = tuple(
        InstalledFile(path=file.path, size_bytes=sizes[file.path], sha256=file.digest)
        for file in statement.files
    )
    folder = home / paths.record(record.name, record.version)
    return InstalledModel(
        name=record.name,
        version=record.version,
        task=statement.fields.task,
        digest=bundle.seal.manifest,
        path=home / paths.model(record.name, record.version),
        signature=folder / paths.SEAL_FILE,
        records=folder,
        variants=_variants(file.path for file in files),
        files=files,
        sequence=statement.fields.sequence,
        created=statement.fields.created,
        imported=record.imported,
        license=manifest.license,
        architecture=manifest.architecture,
        audience=statement.fields.audience,
        key_id=bundle.seal.key.key_id,
        by_key_option=record.by_key_option,
        is_current=is_current,
        size_bytes=sum(file.size_bytes for file in files),
    )


def record_files(bundle: VerifiedBundle) -> dict[str, tuple[Digest, int]]:
    """Return name, digest and size of every signed document that is kept beside a version."""
    layout = bundle.layout
    manifest, config = layout.manifest, layout.config
    files = {
        _MANIFEST_FILE: (manifest.checked_digest, manifest.size),
        _CONFIG_FILE: (config.checked_digest, config.size),
    }
    for referrer in layout.referrers:
        blob = referrer.blob
        files[_referrer_file(referrer)] = (blob.checked_digest, blob.size)
    return files


def _referrer_file(referrer: Referrer) -> str:
    match referrer.kind:
        case "signature":
            return paths.SEAL_FILE
        case "provenance" | "evaluation":
            return f"{referrer.kind}.sigstore.json"
        case kind:
            return f"{kind}-{referrer.blob.checked_digest.hex[:16]}.sigstore.json"


def _variants(files: Iterable[str]) -> tuple[str, ...]:
    return tuple(
        str(PurePosixPath(file).parent)
        for file in files
        if PurePosixPath(file).name == SERVING_FILE and "/" in file
    )


def _expect(record: ModelRecord, name: str, data: bytes, digest: Digest) -> None:
    got = Digest.of(data)
    if got != digest:
        raise StoreIntegrityError(
            f"{paths.record(record.name, record.version)}/{name}: expected {digest}, got {got}"
        )
