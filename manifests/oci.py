"""The words of the OCI image layout 1.1 and the CNCF ModelPack specification that Sealift uses."""

from typing import Annotated

import msgspec

from sealift.manifests.digest import Digest

__all__ = [
    "ARTIFACT_TYPE_MODEL",
    "EMPTY_CONFIG",
    "MEDIA_TYPE_CONFIG",
    "MEDIA_TYPE_EMPTY",
    "MEDIA_TYPE_IMAGE_INDEX",
    "MEDIA_TYPE_IMAGE_MANIFEST",
    "MEDIA_TYPE_SIGSTORE_BUNDLE",
    "Descriptor",
    "blob_path",
]

MEDIA_TYPE_IMAGE_INDEX = "application/vnd.oci.image.index.v1+json"
MEDIA_TYPE_IMAGE_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
MEDIA_TYPE_EMPTY = "application/vnd.oci.empty.v1+json"
MEDIA_TYPE_CONFIG = "application/vnd.cncf.model.config.v1+json"
MEDIA_TYPE_SIGSTORE_BUNDLE = "application/vnd.dev.sigstore.bundle.v0.3+json"
ARTIFACT_TYPE_MODEL = "application/vnd.cncf.model.manifest.v1+json"
EMPTY_CONFIG = b"{}"


class Descriptor(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True
):
    """An OCI content descriptor: what a blob is, its digest and its size in bytes."""

    mediaType: str  # noqa: N815  # the specification's name
    digest: str
    size: Annotated[int, msgspec.Meta(ge=0, le=2**53)]
    artifactType: str | None = None  # noqa: N815
    annotations: dict[str, str] = {}

    @property
    def checked_digest(self) -> Digest:
        """The digest, parsed."""
        return Digest.parse(self.digest)

    @classmethod
    def of(cls, data: bytes, media_type: str) -> "Descriptor":
        """Describe bytes that are in memory."""
        return cls(mediaType=media_type, digest=str(Digest.of(data)), size=len(data))


def blob_path(digest: Digest) -> str:
    """Return where a layout keeps a blob: `blobs/sha256/<hex>`."""
    return f"blobs/{digest.algorithm}/{digest.hex}"
