"""Media with repair parts, of several volumes, and with custody records, as a writer makes them."""

import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from sealift.keys import envelope
from sealift.keys.signer import MemorySigner
from sealift.manifests.custody import Custody, DeviceFacts, custody_path
from sealift.manifests.digest import Digest
from sealift.manifests.layout import SHA256SUMS, SealedBundle, metadata_blobs, render
from sealift.manifests.oci import blob_path
from sealift.manifests.parity import PREDICATE_PARITY, Parity
from sealift.manifests.statement import PAYLOAD_TYPE, attestation
from sealift.manifests.volume import Volume, VolumePlan
from sealift.media.parity_codec import write_parity
from sealift.media.shards import MemoryReader
from tests.vectors.forge import SIGNER, Draft

__all__ = ["custody", "parity_envelope", "repairable", "volume"]

_REPAIR_PARTS = 2
_PREDICATE = "https://example.org/note/v1"


def attested(draft: Draft) -> Draft:
    """Pin an attestation."""

    def note(manifest: Digest) -> list[tuple[str, bytes]]:
        payload = attestation(
            name="demo", manifest=manifest, predicate_type=_PREDICATE, predicate={"n": 1}
        )
        return [(_PREDICATE, envelope.sign(PAYLOAD_TYPE, payload, draft.signer))]

    return replace(draft, attested=note)


def repairable(
    draft: Draft,
    *,
    signer: MemorySigner = SIGNER,
    custodians: Sequence[MemorySigner] = (SIGNER,) * 2,
) -> dict[str, bytes]:
    """Return a whole medium with repair parts and custody records.

    Args:
        signer: who states what the repair parts are.
        custodians: who signs each record.
    """
    layout, blobs = _with_parity(draft, signer)
    files = blobs | render([layout])
    return files | custody(files, custodians)


def volume(draft: Draft, number: int, *, plan: VolumePlan | None = None) -> dict[str, bytes]:
    """Return one of two volumes, with repair parts on both."""
    layout, blobs = _with_parity(draft, SIGNER)
    named = dict.fromkeys(part.blob.hex for part in layout.parts)
    shared = [*named, *(item.checked_digest.hex for item in layout.repair)]
    plan = plan or VolumePlan(volumes=(tuple(shared[::2]), tuple(shared[1::2])))
    this = Volume(number=number, plan=plan)
    here = {f"blobs/sha256/{hexa}" for hexa in this.blobs} | set(metadata_blobs(layout))
    files = {path: data for path, data in blobs.items() if path in here} | render([layout], this)
    return files | custody(files, [SIGNER], volume=number, volumes=2)


def custody(
    files: dict[str, bytes],
    custodians: Sequence[MemorySigner],
    *,
    volume: int = 1,
    volumes: int = 1,
) -> dict[str, bytes]:
    """Return a medium's custody records, one a custodian."""
    records: dict[str, bytes] = {}
    previous: str | None = None
    for number, signer in enumerate(custodians, 1):
        record = Custody(
            number=number, user="courier", host="north", time="2026-01-03T00:00:00Z",
            tool="sealift 0.1.0", device=DeviceFacts(file_system="vfat"), volume=volume,
            volumes=volumes, manifests=(), read_back="direct",
            sums=Digest.of(files[SHA256SUMS]).hex, previous=previous,
        )  # fmt: skip
        data = envelope.sign(PAYLOAD_TYPE, record.statement(), signer)
        records[custody_path(number)] = data
        previous = Digest.of(data).hex
    return records


def parity_envelope(parity: Parity, manifest: Digest, signer: MemorySigner) -> bytes:
    """Sign what the repair parts are."""
    payload = attestation(
        name="demo",
        manifest=manifest,
        predicate_type=PREDICATE_PARITY,
        predicate=parity.predicate(),
    )
    return envelope.sign(PAYLOAD_TYPE, payload, signer)


def _with_parity(draft: Draft, signer: MemorySigner) -> tuple[SealedBundle, dict[str, bytes]]:
    blobs: dict[str, bytes] = {}
    layout = attested(draft).layout(blobs)
    parity, repair = _repair_parts([blobs[blob_path(part.blob)] for part in layout.parts])
    stated = parity_envelope(parity, layout.manifest.checked_digest, signer)
    blobs |= {blob_path(Digest.of(data)): data for data in (stated, *repair)}
    return layout.with_parity(parity, stated), blobs


def _repair_parts(shards: list[bytes]) -> tuple[Parity, list[bytes]]:
    size = max(map(len, shards))
    with tempfile.TemporaryDirectory() as folder:
        digests = write_parity(
            [MemoryReader(shard) for shard in shards], shard_bytes=size, count=_REPAIR_PARTS,
            folder=Path(folder), advance=lambda count: None,
        )  # fmt: skip
        blobs = [(Path(folder) / digest.hex).read_bytes() for digest in digests]
    hexes = tuple(digest.hex for digest in digests)
    return Parity(code="leopard-rs16", shard_bytes=size, blobs=hexes), blobs
