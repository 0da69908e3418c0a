"""Times as Sealift writes them: RFC 3339, UTC, whole seconds, one form.

>>> format_time(parse_time("2026-01-31T23:59:59Z"))
'2026-01-31T23:59:59Z'
"""

import re
from datetime import UTC, datetime

from sealift.manifests.errors import ManifestError

__all__ = ["format_time", "parse_time"]

_FORM = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", re.ASCII)


def parse_time(text: str, *, what: str = "time") -> datetime:
    """Read a time.

    Raises:
        ManifestError: another form, or no such date.
    """
    try:
        if _FORM.fullmatch(text):
            return datetime.fromisoformat(text)
    except ValueError as error:
        raise ManifestError(f"{what}: no such time: {text}") from error
    raise ManifestError(f"{what}: expected RFC 3339 UTC, got {text[:40]!r}")


def format_time(time: datetime) -> str:
    """Write a time, rounded down to its second."""
    return time.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
