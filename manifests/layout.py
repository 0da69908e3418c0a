"""Every file of a medium that is not a blob of content, rendered from what was signed.

A medium's `index.json`, `README.txt` and the like carry no signature of their own. The writer
renders them from the seals; the reader renders them again from the verified seals and compares
bytes. So none of them is trusted, yet a changed byte in any of them is found and named.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from sealift.manifests import strict_json
from sealift.manifests.oci import (
    ARTIFACT_TYPE_MODEL,
    EMPTY_CONFIG,
    MEDIA_TYPE_EMPTY,
    MEDIA_TYPE_IMAGE_INDEX,
    MEDIA_TYPE_IMAGE_MANIFEST,
    MEDIA_TYPE_SIGSTORE_BUNDLE,
    Descriptor,
    blob_path,
)
from sealift.manifests.part import Part

__all__ = [
    "CONTENTS",
    "INDEX",
    "OCI_LAYOUT",
    "README",
    "SHA256SUMS",
    "Referrer",
    "SealedBundle",
    "content_blobs",
    "render",
]

INDEX = "index.json"
OCI_LAYOUT = "oci-layout"
README = "README.txt"
CONTENTS = "CONTENTS.txt"
SHA256SUMS = "SHA256SUMS"

_README = """\
This medium carries sealed model bundles:

{models}
It is an OCI image layout (https://github.com/opencontainers/image-spec) with CNCF ModelPack
manifests. With Sealift:

    sealift verify  THIS-FOLDER --key signer.pub
    sealift import  THIS-FOLDER

Without it, with stock tools only:

    sha256sum -c SHA256SUMS                        is every file as it was written?
    CONTENTS.txt                                   which blob is what
    zstd -dc blobs/sha256/BLOB | tar -xf -         restore a part stored as zstd
    tar -xf blobs/sha256/BLOB                      restore a part stored raw
    cat FILE.part* > FILE                          join the parts of a file

Each signature is a Sigstore bundle: a DSSE envelope over an in-toto statement that lists the
SHA-256 of every file (ECDSA P-384 with SHA-384 over "DSSEv1 LEN TYPE LEN PAYLOAD"; see `openssl
dgst -sha384 -verify`). SHA256SUMS finds accidents. Only the signature, checked with a public key
that did not come on this medium, finds an attacker.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Referrer:
    """A Sigstore bundle that speaks about a manifest: the seal, or an attestation."""

    kind: str
    blob: Descriptor

    def manifest(self, subject: Descriptor) -> bytes:
        """Write the OCI manifest that refers the blob to its subject."""
        return strict_json.canonical(
            {
                "schemaVersion": 2,
                "mediaType": MEDIA_TYPE_IMAGE_MANIFEST,
                "artifactType": MEDIA_TYPE_SIGSTORE_BUNDLE,
                "config": Descriptor.of(EMPTY_CONFIG, MEDIA_TYPE_EMPTY),
                "layers": [self.blob],
                "subject": subject,
                "annotations": {"sealift.referrer.kind": self.kind},
            }
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class SealedBundle:
    """What one bundle puts on a medium.

    Attributes:
        manifest: descriptor of the model manifest.
        config: descriptor of its config.
        referrers: the seal first, then the attestations in the seal's order.
    """

    name: str
    version: str
    manifest: Descriptor
    config: Descriptor
    parts: tuple[Part, ...]
    referrers: tuple[Referrer, ...]

    @property
    def reference(self) -> str:
        """The tag in `index.json`, as `purser-1.0.0`."""
        return f"{self.name}-{self.version}"


def content_blobs(bundle: SealedBundle) -> dict[str, int]:
    """Return path and size of every blob that `render` does not make."""
    descriptors = (bundle.manifest, bundle.config, *(ref.blob for ref in bundle.referrers))
    blobs = {blob_path(item.checked_digest): item.size for item in descriptors}
    blobs.update({blob_path(part.blob): part.blob_bytes for part in bundle.parts})
    return blobs


def render(bundles: Sequence[SealedBundle]) -> dict[str, bytes]:
    """Return path and bytes of every file of a medium except its content blobs."""
    ordered = sorted(bundles, key=lambda bundle: (bundle.name, bundle.version))
    files = {
        OCI_LAYOUT: strict_json.canonical({"imageLayoutVersion": "1.0.0"}),
        README: _README.format(models=_model_lines(ordered)).encode(),
        CONTENTS: _contents(ordered),
    }
    entries: list[Descriptor] = []
    for bundle in ordered:
        entries.append(_model_entry(bundle))
        for referrer in bundle.referrers:
            data = referrer.manifest(bundle.manifest)
            entry = Descriptor.of(data, MEDIA_TYPE_IMAGE_MANIFEST)
            entries.append(_with_type(entry, MEDIA_TYPE_SIGSTORE_BUNDLE))
            files[blob_path(entry.checked_digest)] = data
    empty = Descriptor.of(EMPTY_CONFIG, MEDIA_TYPE_EMPTY)
    files[blob_path(empty.checked_digest)] = EMPTY_CONFIG
    files[INDEX] = strict_json.canonical(
        {"schemaVersion": 2, "mediaType": MEDIA_TYPE_IMAGE_INDEX, "manifests": entries}
    )
    files[SHA256SUMS] = _sha256sums(ordered, files)
    return files


def _model_entry(bundle: SealedBundle) -> Descriptor:
    return Descriptor(
        mediaType=MEDIA_TYPE_IMAGE_MANIFEST,
        digest=bundle.manifest.digest,
        size=bundle.manifest.size,
        artifactType=ARTIFACT_TYPE_MODEL,
        annotations={"org.opencontainers.image.ref.name": bundle.reference},
    )


def _with_type(entry: Descriptor, artifact_type: str) -> Descriptor:
    return Descriptor(
        mediaType=entry.mediaType, digest=entry.digest, size=entry.size, artifactType=artifact_type
    )


def _model_lines(bundles: Sequence[SealedBundle]) -> str:
    return "".join(
        f"    {bundle.name} {bundle.version}  {len(bundle.parts)} parts, "
        f"{sum(part.length for part in bundle.parts)} bytes\n"
        for bundle in bundles
    )


def _contents(bundles: Sequence[SealedBundle]) -> bytes:
    lines = []
    for bundle in bundles:
        lines.append(f"{bundle.manifest.checked_digest.hex} manifest {bundle.reference}")
        lines.append(f"{bundle.config.checked_digest.hex} config {bundle.reference}")
        for referrer in bundle.referrers:
            lines.append(f"{referrer.blob.checked_digest.hex} {referrer.kind} {bundle.reference}")
        for part in bundle.parts:
            kind = "zstd" if part.compressed else "raw"
            lines.append(f"{part.blob.hex} {kind} {bundle.reference} {part.member}")
    return ("\n".join(lines) + "\n").encode()


def _sha256sums(bundles: Sequence[SealedBundle], files: dict[str, bytes]) -> bytes:
    sums = {path: Descriptor.of(data, "").checked_digest.hex for path, data in files.items()}
    for bundle in bundles:
        for path in content_blobs(bundle):
            sums[path] = path.rpartition("/")[2]
    return "".join(f"{hexa}  {path}\n" for path, hexa in sorted(sums.items())).encode()
