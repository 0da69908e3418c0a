"""Make media that our own writer would refuse to make: signed, complete, consistent, and hostile.

    medium = Draft(files=files()).medium()              # path -> bytes, as an honest writer's
    medium = replace(draft, parts=reversed_parts).medium()

Every hook stands where an attacker who holds a trusted key could reach in. What follows from the
forged thing (digests, the signature, `index.json`) is made to fit, so that one check alone is left.
"""

import tarfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from sealift.keys import envelope
from sealift.keys.signer import MemorySigner
from sealift.manifests import ustar
from sealift.manifests.bundle import Manifest
from sealift.manifests.digest import Digest
from sealift.manifests.layout import Referrer, SealedBundle, render
from sealift.manifests.oci import (
    MEDIA_TYPE_CONFIG,
    MEDIA_TYPE_IMAGE_MANIFEST,
    MEDIA_TYPE_SIGSTORE_BUNDLE,
    Descriptor,
    blob_path,
)
from sealift.manifests.part import Part
from sealift.manifests.recipe import Task
from sealift.manifests.statement import (
    PAYLOAD_TYPE,
    AttestationRef,
    FileDigest,
    SealFields,
    SealStatement,
)

__all__ = ["SECOND", "SIGNER", "STRANGER", "Draft", "forged", "key", "tar_header"]

_T = TypeVar("_T")
_NAME_CHARS_MAX = 100
_KEYS = Path(__file__).resolve().parent / "keys"


def key(name: str) -> MemorySigner:
    """Read one of the committed test keys."""
    return MemorySigner.parse((_KEYS / f"{name}.key").read_bytes(), None, what=name)


SIGNER, SECOND, STRANGER = (key(f"test-only-{name}") for name in ("signer", "second", "stranger"))


def forged(cls: type[_T], **fields: Any) -> _T:
    """Make a frozen record without its checks."""
    record = object.__new__(cls)
    for name, value in fields.items():
        object.__setattr__(record, name, value)
    return record


def tar_header(name: str, size: int, **fields: Any) -> bytes:
    """Write a header for any name at all, as tar itself would."""
    info = tarfile.TarInfo(name if len(name) <= _NAME_CHARS_MAX else name[:_NAME_CHARS_MAX])
    info.size, info.mode, info.mtime = size, 0o644, 0
    for attribute, value in fields.items():
        setattr(info, attribute, value)
    return info.tobuf(tarfile.USTAR_FORMAT, "utf-8", "surrogateescape")


def archive(member: str, content: bytes) -> bytes:
    """Write a one-member archive."""
    return tar_header(member, len(content)) + content + ustar.padding(len(content)) + ustar.TRAILER


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A bundle to be forged.

    Attributes:
        store: what is stored of a part (its member name, its content) instead of the raw archive.
        parts: changes the list of parts before the manifest is written.
        listed: changes the list of files before the seal is written.
        manifest, config: change these documents' bytes.
        payload: changes the statement's bytes before they are signed.
        sign: makes the envelope of a payload.
        attested: envelopes that the seal pins, made for a manifest's digest.
    """

    files: Mapping[str, bytes]
    name: str = "demo"
    version: str = "2.0.0"
    created: str = "2026-01-02T03:04:05Z"
    sequence: int = 6
    audience: tuple[str, ...] = ()
    task: Task = Task.EMBED
    part_bytes: int = 256
    signer: MemorySigner = SIGNER
    store: Callable[[str, bytes], bytes | None] = lambda member, content: None
    parts: Callable[[list[Part]], Sequence[Part]] = lambda parts: parts
    listed: Callable[[list[FileDigest]], Sequence[FileDigest]] = lambda files: files
    manifest: Callable[[bytes], bytes] = lambda data: data
    config: Callable[[bytes], bytes] = lambda data: data
    payload: Callable[[bytes], bytes] = lambda data: data
    sign: Callable[[bytes], bytes] | None = None
    attested: Callable[[Digest], Sequence[tuple[str, bytes]]] = lambda manifest: ()
    blobs: dict[str, bytes] = field(default_factory=dict)

    def medium(self) -> dict[str, bytes]:
        """Return path and bytes of every file."""
        blobs: dict[str, bytes] = {}
        layout = self.layout(blobs)
        return blobs | render([layout])

    def layout(self, blobs: dict[str, bytes]) -> SealedBundle:
        """Write the content blobs and return what the medium's other files follow from."""
        parts = self._parts(blobs)
        manifest, config = self._manifest(parts).encode()
        config = self.config(config)
        manifest = self.manifest(manifest)
        attested = self.attested(Digest.of(manifest))
        sealed = (self.sign or self._sign)(self.payload(self._statement(manifest, attested)))
        for data in (manifest, config, sealed, *(data for _, data in attested)):
            blobs[blob_path(Digest.of(data))] = data
        referrers = [("signature", sealed), *(("attestation", data) for _, data in attested)]
        return SealedBundle(
            name=self.name,
            version=self.version,
            manifest=Descriptor.of(manifest, MEDIA_TYPE_IMAGE_MANIFEST),
            config=Descriptor.of(config, MEDIA_TYPE_CONFIG),
            parts=tuple(parts),
            referrers=tuple(
                Referrer(kind=kind, blob=Descriptor.of(data, MEDIA_TYPE_SIGSTORE_BUNDLE))
                for kind, data in referrers
            ),
        )

    def _sign(self, payload: bytes) -> bytes:
        return envelope.sign(PAYLOAD_TYPE, payload, self.signer)

    def _parts(self, blobs: dict[str, bytes]) -> list[Part]:
        parts = []
        for file, data in self.files.items():
            count = max(1, -(-len(data) // self.part_bytes))
            for index in range(count):
                content = data[index * self.part_bytes : (index + 1) * self.part_bytes]
                parts.append(self._part(file, content, index, count, blobs))
        return list(self.parts(parts))

    def _part(
        self, file: str, content: bytes, index: int, count: int, blobs: dict[str, bytes]
    ) -> Part:
        member = file if count == 1 else f"{file}.part{index:05d}"
        tar = archive(member, content)
        stored = self.store(member, content)
        blob = tar if stored is None else stored
        blobs[blob_path(Digest.of(blob))] = blob
        return forged(
            Part, file=file, offset=index * self.part_bytes, length=len(content), index=index,
            count=count, tar=Digest.of(tar), blob=Digest.of(blob), blob_bytes=len(blob),
            compressed=stored is not None,
        )  # fmt: skip

    def _manifest(self, parts: Sequence[Part]) -> Manifest:
        return forged(
            Manifest, name=self.name, version=self.version, created=self.created,
            license="Apache-2.0", architecture="encoder", parts=tuple(parts),
        )  # fmt: skip

    def _statement(self, manifest: bytes, attested: Sequence[tuple[str, bytes]]) -> bytes:
        files = [FileDigest(path=p, digest=Digest.of(d).hex) for p, d in self.files.items()]
        return SealStatement(
            files=tuple(self.listed(files)),
            fields=SealFields(
                manifest=str(Digest.of(manifest)), manifest_size=len(manifest), name=self.name,
                version=self.version, task=self.task, sequence=self.sequence, created=self.created,
                audience=self.audience,
                attestations=tuple(
                    AttestationRef(predicate_type=kind, digest=str(Digest.of(d)), size=len(d))
                    for kind, d in attested
                ),
            ),
        ).encode()  # fmt: skip
