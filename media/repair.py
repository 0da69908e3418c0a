"""Decide whether lost parts can be rebuilt, and from what; no I/O.

plan = plan_repair(manifest.parts, parity, lost_data={3, 4}, lost_repair=set())
"""

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from sealift.manifests.digest import Digest
from sealift.manifests.oci import blob_path
from sealift.manifests.parity import Parity
from sealift.manifests.part import Part
from sealift.media.errors import RepairError

__all__ = ["RepairPlan", "plan_repair", "repair_path"]

_NAMED_MAX = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class RepairPlan:
    """What to compute, and from which shards; all by index, in order.

    Attributes:
        lost: parts to rebuild.
        data: parts to read: all others.
        repair: repair parts to read: as many as parts are lost.
    """

    lost: tuple[int, ...]
    data: tuple[int, ...]
    repair: tuple[int, ...]


def plan_repair(
    parts: Sequence[Part], parity: Parity | None, lost_data: AbstractSet[int],
    lost_repair: AbstractSet[int] = frozenset(),
) -> RepairPlan:  # fmt: skip
    """Choose what to read: any repair part makes up for any lost part.

    Args:
        parts: all of the bundle, in the manifest's order: the code's shards.
        parity: none if the bundle has no repair parts.
        lost_data, lost_repair: indices of what is missing or damaged.

    Raises:
        RepairError: more is lost than repair parts are left; names what is lost.
    """
    blobs = parity.blobs if parity else ()
    left = [index for index in range(len(blobs)) if index not in lost_repair]
    lost = sorted(lost_data)
    if len(lost) > len(left):
        raise RepairError(_message(parts, lost, len(blobs), len(left)), hint=_hint(parity))
    return RepairPlan(
        lost=tuple(lost),
        data=tuple(index for index in range(len(parts)) if index not in lost_data),
        repair=tuple(left[: len(lost)]),
    )


def repair_path(parity: Parity, index: int) -> str:
    """Return where a repair part lies on a medium."""
    return blob_path(Digest("sha256", parity.blobs[index]))


def _message(parts: Sequence[Part], lost: Sequence[int], made: int, left: int) -> str:
    are = "part is" if len(lost) == 1 else "parts are"
    named = [f"{parts[index].member} ({blob_path(parts[index].blob)})" for index in lost]
    more = f" and {len(named) - _NAMED_MAX} more" if len(named) > _NAMED_MAX else ""
    if not made:
        rest = "there are no repair parts"
    elif left < made:
        rest = f"{left} of {made} repair parts {'is' if left == 1 else 'are'} left"
    else:
        rest = f"there {'is' if made == 1 else 'are'} {made} repair part{'s'[: made != 1]}"
    return f"{len(lost)} {are} lost, {rest}: {', '.join(named[:_NAMED_MAX])}{more}"


def _hint(parity: Parity | None) -> str:
    if parity is None:
        return "take these parts from another copy, or write the medium again"
    return "bring another copy or a missing volume, or write the medium again"
