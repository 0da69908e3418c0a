"""What to say when a medium did not have all that was needed."""

from collections.abc import Sequence

from sealift.manifests.errors import SealiftError
from sealift.manifests.part import Part
from sealift.media.errors import MediumError, MediumReadError
from sealift.runtime.importer.assembly import Shortfall
from sealift.runtime.importer.errors import BaseMissingError

__all__ = ["base_missing", "shortfall_error"]

_NAMED_MAX = 5


def shortfall_error(shortfall: Shortfall, kept_parts: int) -> SealiftError:
    """Return the error for parts that this medium should have given and did not.

    Args:
        kept_parts: verified parts that the next run need not read.
    """
    first = next(iter(shortfall.lost.values()))
    if shortfall.repair is not None:
        return shortfall.repair
    count = len(shortfall.lost)
    others = f"{count} parts could not be read: {_members(tuple(shortfall.lost))}; "
    hint = (
        f"{others if count > 1 else ''}{kept_parts} good parts are kept: "
        "import again from a good copy and only the rest is read"
    )
    if isinstance(first, MediumError):
        message = first.message.removeprefix(f"{first.path}: ")
        return MediumError(first.path, message, hint=hint)
    return MediumReadError(first.message, hint=f"is the medium still connected? {hint}")


def base_missing(reference: str, parts: Sequence[Part]) -> BaseMissingError:
    """Return the error for a delta whose base is not here."""
    return BaseMissingError(
        f"{reference}: this medium leaves out {len(parts)} parts that this host does not hold: "
        f"{_members(parts)}",
        hint="write the medium against a fresh `sealift have`, or without --base",
    )


def _members(parts: Sequence[Part]) -> str:
    named = ", ".join(part.member for part in parts[:_NAMED_MAX])
    more = len(parts) - _NAMED_MAX
    return f"{named} and {more} more" if more > 0 else named
