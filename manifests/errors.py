"""The one root of every error that Sealift raises, and the family of this room.

Each room derives its own family. A class exists only where a caller treats it differently;
`category` decides the exit code (in `cli/` alone), `code` is the stable word programs match on.
"""

from enum import Enum
from typing import ClassVar

__all__ = ["Category", "ManifestError", "RecipeError", "SealiftError"]


class Category(Enum):
    """What kind of failure it was, as far as a caller's next step depends on it."""

    OTHER = "other"
    USAGE = "usage"
    INTEGRITY = "integrity"
    TRUST = "trust"
    IO = "io"


class SealiftError(Exception):
    """A failure that a user can read: what failed, on what, expected and got.

    Args:
        message: one line, lower case, no full stop; what is not printable in it is escaped.
        hint: what to do next, where there is something to do.
    """

    category: ClassVar[Category] = Category.OTHER
    code: ClassVar[str] = "error"

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        message = _printable(message)
        super().__init__(message)
        self.message = message
        self.hint = hint


def _printable(text: str) -> str:
    """Escape what a terminal would obey: messages quote documents and names from outside."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)


class ManifestError(SealiftError):
    """Data that claims to be a manifest, statement or config and is not."""

    category = Category.INTEGRITY
    code = "manifest_invalid"


class RecipeError(SealiftError):
    """A recipe that the user must correct."""

    category = Category.USAGE
    code = "recipe_invalid"
