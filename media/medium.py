"""What a medium carries, once all of its metadata is verified. Parts are not read here.

    with MediumFolder.open(path) as folder:
        medium = read_medium(folder, trust)
        bundle = medium.choose("purser")
        medium.check_files(folder.listing(), [bundle])

`index.json` is used for one thing: to find signatures. From the verified seals every other file of
the medium follows, and is compared, `index.json` included.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from sealift.keys.errors import SignatureError, UntrustedError
from sealift.keys.trust_root import TrustRoot
from sealift.keys.verify import VerifiedBundle, verify_attestation, verify_bundle, verify_seal
from sealift.manifests import strict_json
from sealift.manifests.bundle import Manifest
from sealift.manifests.digest import Digest
from sealift.manifests.errors import ManifestError
from sealift.manifests.layout import INDEX, content_blobs, render
from sealift.manifests.limits import LIMITS
from sealift.manifests.oci import MEDIA_TYPE_SIGSTORE_BUNDLE, blob_path
from sealift.media.errors import MediumError, NoSuchBundleError
from sealift.media.folder import MediumFolder

__all__ = ["CarriedBundle", "Medium", "find_seals", "read_medium"]

_REFERRER_BYTES_MAX = 64 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class CarriedBundle:
    """A verified bundle and the bytes of its signed documents.

    Attributes:
        documents: by digest: seal, manifest, config, attestations.
        predicates: what each attestation says, by predicate type.
    """

    bundle: VerifiedBundle
    documents: Mapping[Digest, bytes]
    predicates: Mapping[str, Any]

    @property
    def name(self) -> str:
        """The model's name."""
        return self.bundle.manifest.name

    @property
    def reference(self) -> str:
        """Name and version, as in `index.json`."""
        return self.bundle.layout.reference


@dataclass(frozen=True, slots=True, kw_only=True)
class Medium:
    """All that a medium carries, in the order of name and version."""

    bundles: tuple[CarriedBundle, ...]
    rendered: Mapping[str, bytes]

    def choose(self, name: str | None) -> CarriedBundle:
        """Return the bundle of a name, or of `name-version`, or the only one.

        Raises:
            NoSuchBundleError: none, or several.
        """
        found = [bundle for bundle in self.bundles if name in (None, bundle.name, bundle.reference)]
        if len(found) == 1:
            return found[0]
        known = ", ".join(bundle.reference for bundle in self.bundles)
        wanted = "a name" if name is None else repr(name[:80])
        raise NoSuchBundleError(
            f"medium: expected {wanted} to mean one of: {known}", hint="give one of these names"
        )

    def check_files(self, sizes: Mapping[str, int], wanted: Iterable[CarriedBundle]) -> None:
        """Compare the files that are there with those that must be.

        Args:
            sizes: of every file on the medium.
            wanted: the bundles that must be complete.

        Raises:
            MediumError: one too many, missing, or of another size.
        """
        expected = {path: len(data) for path, data in self.rendered.items()}
        required = set(expected)
        for carried in self.bundles:
            expected.update(content_blobs(carried.bundle.layout))
        for carried in wanted:
            required.update(content_blobs(carried.bundle.layout))
        for path in sorted(set(sizes) - set(expected)):
            raise MediumError(
                _printable(path), "not part of any bundle here",
                hint="nothing but the bundle's own files may be in its folder",
            )  # fmt: skip
        for path in sorted(required - set(sizes)):
            raise MediumError(path, "missing")
        for path in sorted(sizes):
            if sizes[path] != expected[path]:
                raise MediumError(path, f"expected {expected[path]} bytes, got {sizes[path]}")


def read_medium(folder: MediumFolder, trust: TrustRoot) -> Medium:
    """Read and verify all metadata of a medium.

    1. `index.json` names signatures; each is a blob with the digest that names it.
    2. Each is a seal by a trusted key (for whatever site: the one imported is checked for ours).
    3. Its manifest, config and attestations have the digests that it pins, and agree with it.
    4. Every other file is byte for byte what these give.

    Raises:
        MediumError: steps 1 and 4, or a file that is missing.
        UntrustedError: step 2.
        SignatureError, ManifestError: steps 2 and 3.
    """
    bundles = [_read_bundle(folder, digest, trust) for digest in find_seals(folder)]  # 1-3
    bundles.sort(key=lambda carried: (carried.name, carried.bundle.manifest.version))
    if len({carried.reference for carried in bundles}) < len(bundles):
        raise MediumError(INDEX, "names two bundles of one name and version")
    rendered = render([carried.bundle.layout for carried in bundles])
    for path, expected in rendered.items():  # 4
        got = folder.read(path, size_max=max(len(expected), 1) * 2)
        if got != expected:
            raise MediumError(path, f"expected {Digest.of(expected)}, got {Digest.of(got)}")
    return Medium(bundles=tuple(bundles), rendered=rendered)


def find_seals(folder: MediumFolder) -> list[Digest]:
    """Return the digests of the envelopes that `index.json` leads to; nothing is believed yet.

    Raises:
        MediumError: it leads to none, or not to blobs of their digests.
    """
    seals = []
    for digest in _referrers(folder.read(INDEX, size_max=LIMITS.index_bytes)):
        data = _follow(folder, digest, _REFERRER_BYTES_MAX)
        match _json(data, blob_path(digest)):
            case {
                "annotations": {"sealift.referrer.kind": "signature"},
                "layers": [{"digest": str(text)}],
            }:
                seals.append(_digest(text, blob_path(digest)))
            case _:
                continue  # an attestation: the seal names it
    if not seals:
        raise MediumError(INDEX, "names no signature")
    return seals


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


def _follow(folder: MediumFolder, digest: Digest, size_max: int) -> bytes:
    try:
        return folder.read_blob(digest, size_max=size_max)
    except MediumError as error:
        if error.__cause__ is None:
            raise
        # Which of the two is wrong cannot be known: name both.
        raise MediumError(INDEX, f"leads to {error.message}") from error


def _read_bundle(folder: MediumFolder, digest: Digest, trust: TrustRoot) -> CarriedBundle:
    envelope = folder.read_blob(digest, size_max=LIMITS.envelope_bytes)
    try:
        seal = verify_seal(envelope, trust, for_this_site=False)
    except (SignatureError, UntrustedError, ManifestError) as error:
        raise _named(error, blob_path(digest)) from error
    fields = seal.statement.fields
    manifest = folder.read_blob(
        seal.manifest, size_max=min(fields.manifest_size, LIMITS.json_bytes)
    )
    descriptor = Manifest.config_descriptor(manifest)
    config_size = min(descriptor.size, LIMITS.json_bytes)
    config = folder.read_blob(descriptor.checked_digest, size_max=config_size)
    bundle = verify_bundle(seal, manifest, config)
    documents = {digest: envelope, seal.manifest: manifest, descriptor.checked_digest: config}
    predicates = {}
    for ref in fields.attestations:
        pinned = Digest.parse(ref.digest)
        data = folder.read_blob(pinned, size_max=min(ref.size, LIMITS.envelope_bytes))
        predicates[ref.predicate_type] = verify_attestation(data, ref, seal, trust)
        documents[pinned] = data
    return CarriedBundle(bundle=bundle, documents=documents, predicates=predicates)


def _named(
    error: SignatureError | UntrustedError | ManifestError, path: str
) -> SignatureError | UntrustedError | ManifestError:
    return type(error)(f"{path}: {error.message}", hint=error.hint)


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


def _printable(path: str) -> str:
    return path if path.isprintable() and path.isascii() else ascii(path)
