"""The error family of the log."""

from sealift.manifests.errors import Category, SealiftError

__all__ = ["AuditError"]


class AuditError(SealiftError):
    """The log is shorter than, or inconsistent with, what this site signed.

    Nothing is imported or served from a host whose log is not in order.

    Args:
        path: the file of the home that is wrong, e.g. `log/entries.jsonl`.
    """

    category = Category.INTEGRITY
    code = "audit_log_invalid"

    def __init__(self, message: str, *, path: str, hint: str | None = None) -> None:
        super().__init__(f"{path}: {message}", hint=hint)
        self.path = path
