"""Every file of a medium that is not a blob of content, rendered from what was signed.

    files = render([bundle.layout], volume)        # path -> bytes

A medium's `index.json`, `README.txt` and the like carry no signature of their own. The writer
renders them from the seals; the reader renders them again from the verified seals and compares
bytes. So none of them is trusted, yet a changed byte in any of them is found and named.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

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
from sealift.manifests.parity import Parity
from sealift.manifests.part import Part
from sealift.manifests.volume import VOLUME, Volume

__all__ = [
    "CONTENTS",
    "INDEX",
    "KIND_PARITY",
    "KIND_SIGNATURE",
    "OCI_LAYOUT",
    "README",
    "SHA256SUMS",
    "Referrer",
    "SealedBundle",
    "content_blobs",
    "metadata_blobs",
    "payload_blobs",
    "render",
]

INDEX = "index.json"
OCI_LAYOUT = "oci-layout"
README = "README.txt"
CONTENTS = "CONTENTS.txt"
SHA256SUMS = "SHA256SUMS"
#: What an OCI referrer of ours says that it is.
KIND_SIGNATURE = "signature"
KIND_PARITY = "parity"

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
{notes}
Each signature is a Sigstore bundle: a DSSE envelope over an in-toto statement that lists the
SHA-256 of every file (ECDSA P-384 with SHA-384 over "DSSEv1 LEN TYPE LEN PAYLOAD"; see `openssl
dgst -sha384 -verify`). SHA256SUMS finds accidents. Only the signature, checked with a public key
that did not come on this medium, finds an attacker.
"""


_VOLUME_NOTE = """
This is volume {number} of {count}: every volume carries all signatures, and some of the parts. To
restore with stock tools, first copy the blobs of all volumes into one folder. volume.json says
which part is on which volume; with Sealift, import the volumes one after the other, in any order.
"""
_LEFT_OUT_NOTE = """
{count} parts were left out, because the receiving host was said to hold them (volume.json: leftOut,
by the list {base}). Whoever does not hold them needs the whole bundle.
"""
_REPAIR_NOTE = """
Blobs of the kind `repair` in CONTENTS.txt are for Sealift: from them it computes parts that were
damaged or lost. Stock tools do not need them.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Referrer:
    """A Sigstore bundle that speaks about a manifest: the seal, an attestation, the parity."""

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
        referrers: the seal first, then the attestations in the seal's order, then the parity.
        repair: the repair blobs that the parity names.
    """

    name: str
    version: str
    manifest: Descriptor
    config: Descriptor
    parts: tuple[Part, ...]
    referrers: tuple[Referrer, ...]
    repair: tuple[Descriptor, ...] = ()

    def with_parity(self, parity: Parity, envelope: bytes) -> "SealedBundle":
        """Add repair parts, and the signed statement that names them."""
        statement = Descriptor.of(envelope, MEDIA_TYPE_SIGSTORE_BUNDLE)
        return replace(
            self,
            referrers=(*self.referrers, Referrer(kind=KIND_PARITY, blob=statement)),
            repair=tuple(
                Descriptor(mediaType="", digest=f"sha256:{hexa}", size=parity.shard_bytes)
                for hexa in parity.blobs
            ),
        )

    @property
    def reference(self) -> str:
        """The tag in `index.json`, as `purser-1.0.0`."""
        return f"{self.name}-{self.version}"


def metadata_blobs(bundle: SealedBundle) -> dict[str, int]:
    """Return path and size of the blobs that every medium with this bundle carries."""
    descriptors = (bundle.manifest, bundle.config, *(ref.blob for ref in bundle.referrers))
    return {blob_path(item.checked_digest): item.size for item in descriptors}


def payload_blobs(bundle: SealedBundle) -> dict[str, int]:
    """Return path and size of every part and repair blob; a volume carries some of them."""
    blobs = {blob_path(part.blob): part.blob_bytes for part in bundle.parts}
    blobs.update({blob_path(item.checked_digest): item.size for item in bundle.repair})
    return blobs


def content_blobs(bundle: SealedBundle) -> dict[str, int]:
    """Return path and size of every blob that `render` does not make."""
    return metadata_blobs(bundle) | payload_blobs(bundle)


def render(bundles: Sequence[SealedBundle], volume: Volume | None = None) -> dict[str, bytes]:
    """Return path and bytes of every file of a medium except its content blobs.

    Args:
        volume: which of the parts lie on it, where it does not carry all.
    """
    ordered = sorted(bundles, key=lambda bundle: (bundle.name, bundle.version))
    files = {
        OCI_LAYOUT: strict_json.canonical({"imageLayoutVersion": "1.0.0"}),
        README: _readme(ordered, volume).encode(),
        CONTENTS: _contents(ordered),
    }
    if volume is not None:
        files[VOLUME] = volume.encode()
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
    files[SHA256SUMS] = _sha256sums(ordered, volume, files)
    return files


def _readme(bundles: Sequence[SealedBundle], volume: Volume | None) -> str:
    notes = []
    if volume is not None and volume.count > 1:
        notes.append(_VOLUME_NOTE.format(number=volume.number, count=volume.count))
    if volume is not None and volume.plan.left_out:
        notes.append(_LEFT_OUT_NOTE.format(count=len(volume.plan.left_out), base=volume.plan.base))
    if any(bundle.repair for bundle in bundles):
        notes.append(_REPAIR_NOTE)
    return _README.format(models=_model_lines(bundles), notes="".join(notes))


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
        for number, item in enumerate(bundle.repair):
            lines.append(f"{item.checked_digest.hex} repair {bundle.reference} {number:05d}")
    return ("\n".join(lines) + "\n").encode()


def _sha256sums(
    bundles: Sequence[SealedBundle], volume: Volume | None, files: dict[str, bytes]
) -> bytes:
    sums = {path: Descriptor.of(data, "").checked_digest.hex for path, data in files.items()}
    here = None if volume is None else {f"blobs/sha256/{hexa}" for hexa in volume.blobs}
    for bundle in bundles:
        paths = set(payload_blobs(bundle))
        for path in (*metadata_blobs(bundle), *(paths if here is None else paths & here)):
            sums[path] = path.rpartition("/")[2]
    return "".join(f"{hexa}  {path}\n" for path, hexa in sorted(sums.items())).encode()
