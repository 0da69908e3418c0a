"""What `index.json` leads to: the envelopes of seals, and of statements about repair parts.

Nothing that is found so is believed: each is a blob with the digest that names it, and no more.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from sealift.manifests import strict_json
from sealift.manifests.digest import Digest
from sealift.manifests.errors import ManifestError
from sealift.manifests.layout import INDEX
from sealift.manifests.limits import LIMITS
from sealift.manifests.oci import MEDIA_TYPE_SIGSTORE_BUNDLE, blob_path
from sealift.media.errors import MediumError
from sealift.media.source import MediumSource

__all__ = ["Referrers", "find_referrers"]

_REFERRER_BYTES_MAX = 64 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Referrers:
    """Digests of envelopes.

    Attributes:
        seals: in the order of `index.json`.
        parity: of a statement about repair parts, by the digest of the manifest that it is about.
    """

    seals: tuple[Digest, ...]
    parity: Mapping[Digest, Digest]


def find_referrers(source: MediumSource) -> Referrers:
    """Follow `index.json`; attestations are left out, because the seals name them.

    Raises:
        MediumError: it leads to no seal, to two statements about the repair parts of one bundle, or
            not to blobs of their digests.
    """
    seals: list[Digest] = []
    parity: dict[Digest, Digest] = {}
    for digest in _referrers(source.read(INDEX, size_max=LIMITS.index_bytes)):
        path = blob_path(digest)
        match _json(_follow(source, digest), path):
            case {
                "annotations": {"sealift.referrer.kind": "signature"},
                "layers": [{"digest": str(envelope)}],
            }:
                seals.append(_digest(envelope, path))
            case {
                "annotations": {"sealift.referrer.kind": "parity"},
                "layers": [{"digest": str(envelope)}],
                "subject": {"digest": str(subject)},
            }:
                about = _digest(subject, path)
                if about in parity:
                    raise MediumError(path, f"a second statement about repair parts of {about}")
                parity[about] = _digest(envelope, path)
            case _:
                continue  # an attestation: the seal names it
    if not seals:
        raise MediumError(INDEX, "names no signature")
    return Referrers(seals=tuple(seals), parity=parity)


def _referrers(index: bytes) -> list[Digest]:
    match _json(index, INDEX):
        case {"manifests": list(entries)} if len(entries) <= LIMITS.index_entries:
            pass
        case _:
            raise MediumError(INDEX, f"expected at most {LIMITS.index_entries} manifests")
    found = []
    for entry in entries:
        match entry:
            case {"artifactType": kind, "digest": str(text)} if kind == MEDIA_TYPE_SIGSTORE_BUNDLE:
                found.append(_digest(text, INDEX))
            case _:
                continue
    return found


def _follow(source: MediumSource, digest: Digest) -> bytes:
    try:
        return source.read_blob(digest, size_max=_REFERRER_BYTES_MAX)
    except MediumError as error:
        if error.__cause__ is None:
            raise
        # Which of the two is wrong cannot be known: name both.
        raise MediumError(INDEX, f"leads to {error.message}") from error


def _json(data: bytes, path: str) -> strict_json.JsonValue:
    try:
        return strict_json.loads(data, what=path)
    except ManifestError as error:
        raise MediumError(path, error.message.removeprefix(f"{path}: ")) from error


def _digest(text: str, path: str) -> Digest:
    try:
        digest = Digest.parse(text)
    except ManifestError as error:
        raise MediumError(path, error.message) from error
    if digest.algorithm != "sha256":
        raise MediumError(path, f"expected sha256, got {digest.algorithm}")
    return digest
