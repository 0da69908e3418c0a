"""A bundle on a medium: what was signed about it, and the bytes of those documents."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Generic

from sealift.keys.errors import SignatureError, UntrustedError
from sealift.keys.judge import AnyBundle, AnySeal, Judge
from sealift.keys.verify import VerifiedBundle
from sealift.manifests.bundle import Manifest
from sealift.manifests.digest import Digest
from sealift.manifests.errors import ManifestError
from sealift.manifests.layout import INDEX, SealedBundle
from sealift.manifests.limits import LIMITS
from sealift.manifests.oci import blob_path
from sealift.manifests.parity import Parity
from sealift.media.errors import MediumError
from sealift.media.referrers import find_referrers
from sealift.media.source import MediumSource

__all__ = ["Carried", "CarriedBundle", "read_bundles"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Carried(Generic[AnyBundle]):
    """A bundle and the bytes of its signed documents.

    Attributes:
        documents: by digest: seal, manifest, config, attestations, the statement about parity.
        predicates: what each attestation says, by predicate type.
        parity: its repair parts, where it has any.
        layout: what it puts on a medium, the repair parts included.
    """

    bundle: AnyBundle
    documents: Mapping[Digest, bytes]
    predicates: Mapping[str, Any]
    parity: Parity | None
    layout: SealedBundle

    @property
    def name(self) -> str:
        """The model's name."""
        return self.bundle.manifest.name

    @property
    def reference(self) -> str:
        """Name and version, as in `index.json`."""
        return self.layout.reference


CarriedBundle = Carried[VerifiedBundle]


def read_bundles(
    source: MediumSource, judge: Judge[AnySeal, AnyBundle]
) -> tuple[Carried[AnyBundle], ...]:
    """Read the bundles that `index.json` leads to, whatever else lies on the medium (steps 1 to 3).

    Raises:
        MediumError, UntrustedError, SignatureError, ManifestError: as `read_medium` says.
    """
    referrers = find_referrers(source)  # 1
    parity = dict(referrers.parity)
    bundles = [_read_bundle(source, digest, parity, judge) for digest in referrers.seals]  # 2, 3
    if parity:
        raise MediumError(INDEX, f"names repair parts of {min(parity)}, which is not here")
    bundles.sort(key=lambda carried: (carried.name, carried.bundle.manifest.version))
    if len({carried.reference for carried in bundles}) < len(bundles):
        raise MediumError(INDEX, "names two bundles of one name and version")
    return tuple(bundles)


def _read_bundle(
    source: MediumSource,
    digest: Digest,
    parity: dict[Digest, Digest],
    judge: Judge[AnySeal, AnyBundle],
) -> Carried[AnyBundle]:
    """Read a bundle; the statement about its repair parts is taken out of `parity`."""
    envelope = source.read_blob(digest, size_max=LIMITS.envelope_bytes)
    try:
        seal = judge.seal(envelope)
    except (SignatureError, UntrustedError, ManifestError) as error:
        raise _named(error, blob_path(digest)) from error
    fields = seal.statement.fields
    manifest = source.read_blob(
        seal.manifest, size_max=min(fields.manifest_size, LIMITS.json_bytes)
    )
    descriptor = Manifest.config_descriptor(manifest)
    config_size = min(descriptor.size, LIMITS.json_bytes)
    config = source.read_blob(descriptor.checked_digest, size_max=config_size)
    bundle = judge.bundle(seal, manifest, config)
    documents = {digest: envelope, seal.manifest: manifest, descriptor.checked_digest: config}
    predicates = {}
    for ref in fields.attestations:
        pinned = Digest.parse(ref.digest)
        data = source.read_blob(pinned, size_max=min(ref.size, LIMITS.envelope_bytes))
        predicates[ref.predicate_type] = judge.attestation(data, ref, seal)
        documents[pinned] = data
    stated, layout = None, bundle.layout
    named = parity.pop(seal.manifest, None)
    if named is not None:
        documents[named] = data = source.read_blob(named, size_max=LIMITS.envelope_bytes)
        stated = Parity.parse(judge.parity(data, seal), bundle.manifest)
        layout = layout.with_parity(stated, data)
    return Carried(
        bundle=bundle, documents=documents, predicates=predicates, parity=stated, layout=layout
    )


def _named(
    error: SignatureError | UntrustedError | ManifestError, path: str
) -> SignatureError | UntrustedError | ManifestError:
    return type(error)(f"{path}: {error.message}", hint=error.hint)
