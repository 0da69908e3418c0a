"""Names that mean one file on every file system a medium may meet (FAT, NTFS, APFS, ext4).

Refused: `..`, absolute paths, drives, backslashes, NUL and bidirectional controls, device names,
trailing dots, names that fold together by case, and a file used as a directory.
"""

import re
from collections.abc import Iterable

from sealift.manifests.errors import ManifestError
from sealift.manifests.limits import LIMITS

__all__ = ["check_name", "check_path", "check_paths", "check_version"]

_COMPONENT = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._+-]*")
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
_VERSION = re.compile(r"[0-9A-Za-z][0-9A-Za-z._+-]{0,63}")
_DEVICES = {"con", "prn", "aux", "nul", *(f"{d}{n}" for d in ("com", "lpt") for n in range(10))}


def check_path(path: str) -> str:
    """Return a relative path of plain components joined by `/`.

    Raises:
        ManifestError: any name that two systems could read differently.
    """
    if not 0 < len(path) <= LIMITS.path_chars:
        raise ManifestError(
            f"path {path[:40]!r}: expected 1 to {LIMITS.path_chars} characters, got {len(path)}"
        )
    for component in path.split("/"):
        _check_component(component, path)
    return path


def check_paths(paths: Iterable[str]) -> None:
    """Check each path, and that no two of them can collide.

    Raises:
        ManifestError: a bad name, two names equal but for case, or a file used as a directory.
    """
    folded: dict[str, str] = {}
    for path in paths:
        key = check_path(path).casefold()
        if key in folded:
            raise ManifestError(f"paths {folded[key]!r} and {path!r} collide")
        folded[key] = path
    for key, path in folded.items():
        parent = key.rpartition("/")[0]
        while parent:
            if parent in folded:
                raise ManifestError(f"path {path!r}: {folded[parent]!r} is a file")
            parent = parent.rpartition("/")[0]


def check_name(name: str) -> str:
    """Return a model name: lower case, digits, `.`, `_`, `-`; no device name.

    Raises:
        ManifestError: anything else.
    """
    if not _NAME.fullmatch(name) or name.endswith(".") or _stem(name) in _DEVICES:
        raise ManifestError(
            f"model name: expected up to 64 of a-z 0-9 . _ - starting with a letter or digit, "
            f"got {name[:80]!r}"
        )
    return name


def check_version(version: str) -> str:
    """Return a version that is also a safe directory name.

    Raises:
        ManifestError: anything else.
    """
    if not _VERSION.fullmatch(version) or version.endswith(".") or _stem(version) in _DEVICES:
        raise ManifestError(
            f"version: expected up to 64 of 0-9 A-Z a-z . _ + -, got {version[:80]!r}"
        )
    return version


def _check_component(component: str, path: str) -> None:
    if (
        not _COMPONENT.fullmatch(component)
        or len(component) > LIMITS.component_chars
        or component.endswith(".")
        or _stem(component) in _DEVICES
    ):
        raise ManifestError(f"path {path!r}: component {component!r} is not allowed")


def _stem(component: str) -> str:
    return component.partition(".")[0].lower()
