"""Share out parts and repair parts over media of one capacity; no I/O.

    plan = plan_volumes(blobs, metadata, capacity_bytes=4_700_000_000, profile=DISC)
    plan.volumes[0]          # SHA-256 of what the first medium carries

Same input, same plan: whoever writes volume 3 tomorrow writes it to the plan of today. Parts keep
their order, so that one volume holds few files' parts. Repair parts go round the volumes in turn:
whichever volume is lost, most of them are left.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sealift.manifests.limits import LIMITS
from sealift.manifests.volume import VolumePlan
from sealift.media.errors import WriteRequestError
from sealift.media.profile import Profile

__all__ = ["PayloadBlob", "plan_volumes"]

_BLOBS = "blobs/sha256/"
# `volume.json` takes this much a blob and a volume; its line in SHA256SUMS and the README's note
# come on top of what a complete medium's metadata take.
_NAMED_BYTES = 68
_NOTE_BYTES = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class PayloadBlob:
    """A part or a repair part."""

    hexa: str
    size_bytes: int
    is_repair: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class _Room:
    """What one volume has for parts and repair parts."""

    size_bytes: int
    files: int


def plan_volumes(
    blobs: Sequence[PayloadBlob],
    metadata: Mapping[str, int],
    *,
    capacity_bytes: int,
    profile: Profile,
    left_out: Sequence[str] = (),
    base: str = "",
) -> VolumePlan:
    """Put every blob on exactly one volume, with as few volumes as keeping their order allows.

    Args:
        blobs: each once, parts in the order in which they should lie.
        metadata: path and size of all else that a medium with all these blobs carries: every volume
            carries it too.
        left_out, base: as `VolumePlan` has them.

    Raises:
        WriteRequestError: the metadata and one part do not fit, or it would be too many volumes.
    """
    room = _room(blobs, metadata, capacity_bytes, profile, len(left_out))
    taken = [profile.taken_bytes(blob.size_bytes) for blob in blobs]
    largest = max(taken, default=0)
    if room.size_bytes < largest or room.files < 1:
        needed = capacity_bytes - room.size_bytes + largest
        raise WriteRequestError(
            f"capacity: expected at least {needed} bytes for the signatures and one part, "
            f"got {capacity_bytes}",
            hint="use larger media",
        )
    first = max(1, -(-sum(taken) // max(room.size_bytes, 1)), -(-len(blobs) // room.files))
    for count in range(first, LIMITS.volumes + 1):
        volumes = _share_out(blobs, taken, room, count)
        if volumes is not None:
            return VolumePlan(volumes=volumes, left_out=tuple(left_out), base=base)
    raise WriteRequestError(
        f"capacity: {capacity_bytes} bytes ask for more than {LIMITS.volumes} volumes",
        hint="use larger media",
    )


def _room(
    blobs: Sequence[PayloadBlob],
    metadata: Mapping[str, int],
    capacity_bytes: int,
    profile: Profile,
    left_out_count: int,
) -> _Room:
    named = len(blobs) + left_out_count + LIMITS.volumes
    sizes = [*metadata.values(), _NAMED_BYTES * named, _NOTE_BYTES]
    carried = sum(profile.taken_bytes(size) for size in sizes)
    others = sum(path.startswith(_BLOBS) for path in metadata)
    return _Room(
        size_bytes=profile.usable_bytes(capacity_bytes) - carried,
        files=LIMITS.folder_entries - others,
    )


def _share_out(
    blobs: Sequence[PayloadBlob], taken: Sequence[int], room: _Room, count: int
) -> tuple[tuple[str, ...], ...] | None:
    """Share out over `count` volumes, or say that they do not suffice."""
    volumes: list[list[str]] = [[] for _ in range(count)]
    used = [0] * count
    repair = [index for index, blob in enumerate(blobs) if blob.is_repair]
    for turn, index in enumerate(repair):
        volumes[turn % count].append(blobs[index].hexa)
        used[turn % count] += taken[index]
    if any(size > room.size_bytes for size in used) or -(-len(repair) // count) > room.files:
        return None
    current = 0
    parts: list[list[str]] = [[] for _ in range(count)]
    for index, blob in enumerate(blobs):
        if blob.is_repair:
            continue
        while (
            used[current] + taken[index] > room.size_bytes
            or len(parts[current]) + len(volumes[current]) >= room.files
        ):
            current += 1
            if current == count:
                return None
        parts[current].append(blob.hexa)
        used[current] += taken[index]
    return tuple(tuple(first + second) for first, second in zip(parts, volumes, strict=True))
