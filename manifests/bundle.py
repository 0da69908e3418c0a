"""The model manifest: an OCI image manifest with a ModelPack config, one layer a part.

Parsing accepts exactly what `Manifest.encode` writes, byte for byte: a second spelling of the same
manifest would be a second digest for the same model.
"""

from collections import Counter
from dataclasses import dataclass

from sealift.manifests import strict_json
from sealift.manifests.digest import Digest
from sealift.manifests.errors import ManifestError
from sealift.manifests.limits import LIMITS
from sealift.manifests.names import check_name, check_paths, check_version
from sealift.manifests.oci import (
    ARTIFACT_TYPE_MODEL,
    MEDIA_TYPE_CONFIG,
    MEDIA_TYPE_IMAGE_MANIFEST,
    Descriptor,
)
from sealift.manifests.part import Part
from sealift.manifests.record import Record

__all__ = ["Manifest"]


class _ConfigDescriptor(Record, frozen=True, kw_only=True):
    name: str
    version: str
    createdAt: str  # noqa: N815  # the specification's name
    licenses: tuple[str, ...]


class _ConfigFormat(Record, frozen=True, kw_only=True):
    architecture: str
    format: str


class _ConfigFiles(Record, frozen=True, kw_only=True):
    type: str
    diffIds: tuple[str, ...]  # noqa: N815


class _Config(Record, frozen=True, kw_only=True):
    descriptor: _ConfigDescriptor
    config: _ConfigFormat
    modelfs: _ConfigFiles


class _ImageManifest(Record, frozen=True, kw_only=True):
    schemaVersion: int  # noqa: N815
    mediaType: str  # noqa: N815
    artifactType: str  # noqa: N815
    config: Descriptor
    layers: tuple[Descriptor, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """What a bundle carries: the parts of every file, in the order they are written.

    Attributes:
        created: RFC 3339, UTC, whole seconds.
    """

    name: str
    version: str
    created: str
    license: str
    architecture: str
    parts: tuple[Part, ...]

    def __post_init__(self) -> None:
        check_name(self.name)
        check_version(self.version)
        if not 0 < len(self.parts) <= LIMITS.parts:
            raise ManifestError(f"parts: expected 1 to {LIMITS.parts}, got {len(self.parts)}")
        _check_cover(self.parts)
        # Stock tools restore members under their names: none may meet another file's.
        members = (part.member for part in self.parts if part.count > 1)
        check_paths([*dict.fromkeys(part.file for part in self.parts), *members])

    @property
    def files(self) -> dict[str, int]:
        """Size in bytes of every file, by path."""
        sizes: dict[str, int] = {}
        for part in self.parts:
            sizes[part.file] = part.offset + part.length
        return sizes

    @property
    def blob_bytes(self) -> int:
        """Bytes of all distinct part blobs."""
        return sum({part.blob: part.blob_bytes for part in self.parts}.values())

    def encode(self) -> tuple[bytes, bytes]:
        """Return the manifest's and the config's bytes."""
        config = strict_json.canonical(
            _Config(
                descriptor=_ConfigDescriptor(
                    name=self.name,
                    version=self.version,
                    createdAt=self.created,
                    licenses=(self.license,),
                ),
                config=_ConfigFormat(architecture=self.architecture, format="onnx"),
                modelfs=_ConfigFiles(type="layers", diffIds=tuple(str(p.tar) for p in self.parts)),
            )
        )
        manifest = strict_json.canonical(
            _ImageManifest(
                schemaVersion=2,
                mediaType=MEDIA_TYPE_IMAGE_MANIFEST,
                artifactType=ARTIFACT_TYPE_MODEL,
                config=Descriptor.of(config, MEDIA_TYPE_CONFIG),
                layers=tuple(part.layer() for part in self.parts),
            )
        )
        return manifest, config

    @classmethod
    def config_descriptor(cls, manifest: bytes) -> Descriptor:
        """Read which config a manifest (whose digest was checked) names, to fetch it by digest."""
        return strict_json.decode(manifest, _ImageManifest, what="manifest").config

    @classmethod
    def parse(cls, manifest: bytes, config: bytes) -> "Manifest":
        """Read both documents, after the manifest's digest was checked.

        Raises:
            ManifestError: a digest that differs, or anything `encode` would not have written.
        """
        image = strict_json.decode(manifest, _ImageManifest, what="manifest")
        if image.config != Descriptor.of(config, MEDIA_TYPE_CONFIG):
            raise ManifestError(
                f"manifest: config: expected {image.config.digest}, got {Digest.of(config)}"
            )
        meta = strict_json.decode(config, _Config, what="config")
        if len(image.layers) != len(meta.modelfs.diffIds) or len(meta.descriptor.licenses) != 1:
            raise ManifestError("config: expected one license, and one diff ID a layer")
        parsed = cls(
            name=meta.descriptor.name,
            version=meta.descriptor.version,
            created=meta.descriptor.createdAt,
            license=meta.descriptor.licenses[0],
            architecture=meta.config.architecture,
            parts=_parts(image.layers, meta.modelfs.diffIds),
        )
        if parsed.encode() != (manifest, config):
            raise ManifestError("manifest: not in the one form that this format writes")
        return parsed


def _parts(layers: tuple[Descriptor, ...], diff_ids: tuple[str, ...]) -> tuple[Part, ...]:
    counts = Counter(layer.annotations.get("sealift.part.file", "") for layer in layers)
    seen: Counter[str] = Counter()
    parts = []
    for number, (layer, diff_id) in enumerate(zip(layers, diff_ids, strict=True)):
        file = layer.annotations.get("sealift.part.file", "")
        try:
            part = Part.of_layer(
                layer, tar=Digest.parse(diff_id), index=seen[file], count=counts[file]
            )
        except ManifestError as error:
            raise ManifestError(f"manifest: layers[{number}]: {error.message}") from error
        seen[file] += 1
        parts.append(part)
    return tuple(parts)


def _check_cover(parts: tuple[Part, ...]) -> None:
    # A gap would leave old bytes in a preallocated file; an overlap would let the later part win.
    expected: dict[str, int] = {}
    for part in parts:
        offset = expected.get(part.file, 0)
        if part.offset != offset or (part.index > 0 and part.length == 0):
            raise ManifestError(
                f"part {part.index} of {part.file}: expected offset {offset}, got {part.offset}"
            )
        expected[part.file] = offset + part.length
    if len(expected) > LIMITS.files:
        raise ManifestError(f"files: expected at most {LIMITS.files}, got {len(expected)}")
