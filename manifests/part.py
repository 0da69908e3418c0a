"""A part: up to 64 MiB of one file, the unit of verification, transfer and reuse."""

import posixpath
from dataclasses import dataclass

from sealift.manifests import ustar
from sealift.manifests.digest import Digest
from sealift.manifests.errors import ManifestError
from sealift.manifests.limits import LIMITS
from sealift.manifests.names import check_path
from sealift.manifests.oci import Descriptor

__all__ = ["Part"]

_LAYER = "application/vnd.cncf.model.{role}.v1.tar"
_FILEPATH = "org.cncf.model.filepath"
_FILE = "sealift.part.file"
_OFFSET = "sealift.part.offset"
_LENGTH = "sealift.part.length"
_ANNOTATIONS = {_FILEPATH, _FILE, _OFFSET, _LENGTH}
_WEIGHT_SUFFIXES = (".onnx", ".data", ".safetensors", ".bin")
_DOC_SUFFIXES = (".md", ".txt")


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """Bytes `offset` to `offset + length` of one file, and the blob that carries them.

    Attributes:
        file: path of the file in the model's folder.
        index, count: this part's place among the file's parts.
        tar: digest of the one-member archive around them (OCI's diff ID).
        blob: digest of what is stored: the archive itself, or its zstd frame.
    """

    file: str
    offset: int
    length: int
    index: int
    count: int
    tar: Digest
    blob: Digest
    blob_bytes: int
    compressed: bool

    def __post_init__(self) -> None:
        check_path(self.file)
        if not 0 <= self.length <= LIMITS.part_bytes or self.offset < 0:
            raise ManifestError(
                f"part of {self.file}: expected 0 to {LIMITS.part_bytes} bytes, got {self.length} "
                f"at {self.offset}"
            )
        if self.compressed:
            if not 0 < self.blob_bytes <= LIMITS.blob_bytes:
                raise ManifestError(f"part of {self.file}: blob of {self.blob_bytes} bytes")
        elif self.blob_bytes != ustar.total_bytes(self.length) or self.blob != self.tar:
            raise ManifestError(f"part of {self.file}: a raw blob must be its archive")

    @property
    def member(self) -> str:
        """The archive member's name: the file's, with the part's number where there are several."""
        return self.file if self.count == 1 else f"{self.file}.part{self.index:05d}"

    @property
    def tar_header(self) -> bytes:
        """The 512 bytes before the content."""
        return ustar.header(self.member, self.length)

    @property
    def tar_bytes(self) -> int:
        """Length of the archive before compression."""
        return ustar.total_bytes(self.length)

    def layer(self) -> Descriptor:
        """Write the part as a ModelPack layer."""
        media_type = _LAYER.format(role=_role(self.file)) + ("+zstd" if self.compressed else "")
        return Descriptor(
            mediaType=media_type,
            digest=str(self.blob),
            size=self.blob_bytes,
            annotations={
                _FILEPATH: self.member,
                _FILE: self.file,
                _OFFSET: str(self.offset),
                _LENGTH: str(self.length),
            },
        )

    @classmethod
    def of_layer(cls, layer: Descriptor, *, tar: Digest, index: int, count: int) -> "Part":
        """Read a layer of a manifest whose digest was checked.

        Raises:
            ManifestError: any field that `layer` would not have written.
        """
        if set(layer.annotations) != _ANNOTATIONS:
            raise ManifestError(f"annotations: expected {sorted(_ANNOTATIONS)}")
        part = cls(
            file=layer.annotations[_FILE],
            offset=_decimal(layer.annotations[_OFFSET]),
            length=_decimal(layer.annotations[_LENGTH]),
            index=index,
            count=count,
            tar=tar,
            blob=layer.checked_digest,
            blob_bytes=layer.size,
            compressed=layer.mediaType.endswith("+zstd"),
        )
        if part.layer() != layer:
            raise ManifestError(f"layer of {part.file}: not the form this format writes")
        return part


def _role(file: str) -> str:
    if file.endswith(_WEIGHT_SUFFIXES):
        return "weight"
    if posixpath.basename(file).startswith("LICENSE") or file.endswith(_DOC_SUFFIXES):
        return "doc"
    return "weight.config"


def _decimal(text: str) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > 15 or str(int(text)) != text:
        raise ManifestError(f"expected a decimal number, got {text[:20]!r}")
    return int(text)
