"""The error of this room: a file that is what was signed, and still may not come in."""

from sealift.manifests.errors import Category, SealiftError

__all__ = ["ContentError"]

_HINT = "its signature is right: ask who sealed it why this is in a model"


class ContentError(SealiftError):
    """A file of a model holds something that it must not hold.

    Args:
        path: the file, relative to the model's folder; empty for the inspection as a whole.
        reason: what was expected and what was found.
    """

    category = Category.INTEGRITY
    code = "content_refused"

    def __init__(self, path: str, reason: str, *, hint: str | None = None) -> None:
        super().__init__(f"{path or 'content inspection'}: {reason}", hint=hint or _HINT)
        self.path = path
        self.reason = reason
        self.own_hint = hint
