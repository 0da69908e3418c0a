"""What is said about the cache of prepacked weights between the processes of one server.

The weights of an entry are in the form in which this host's kernels read them. They are derived
data, and no one signed them: an entry is used where it carries a code made with a key that only the
server's user can read, and is bound to the signed bytes it was made from (`prepack/seal.py`).

>>> entry_name("sha256:00ff", "cpu-int4")
'00ff.cpu-int4'
"""

import re
from typing import Final

import msgspec

from sealift.runtime.engine.settings import EngineSettings
from sealift.runtime.engine.source import ModelSource

__all__ = [
    "PREPACK_SIZE_BYTES",
    "PrepackCacheSpec",
    "PrepackJob",
    "PrepackOutcome",
    "PrepackSettings",
    "entry_name",
    "is_entry_name",
    "is_partial_name",
    "partial_prefix",
]

PREPACK_SIZE_BYTES: Final = 20_000_000_000
# What else lies in the folder that a user names is none of ours, and never removed.
_ENTRY = re.compile(r"[0-9a-f]{64}\.[a-z0-9-]+")
_PARTIAL = re.compile(rf"\.partial-{_ENTRY.pattern}-\w+")


class PrepackCacheSpec(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The cache as a worker of one model sees it.

    Args:
        folder: the cache's root.
        key: of this model's entries alone.
    """

    folder: str
    key: bytes

    def __repr__(self) -> str:
        """Leave the key out: what is printed ends in a log."""
        return f"PrepackCacheSpec(folder={self.folder!r})"


class PrepackSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The cache as its owner, the API process, sees it.

    Args:
        folder: the cache's root; outside the home, whose every file the log accounts for.
        key: the host's secret, of which each model's key is made.
        size_bytes: of all entries together.
        free_bytes: left free on the disk.
    """

    folder: str
    key: bytes
    size_bytes: int = PREPACK_SIZE_BYTES
    free_bytes: int = 1 << 30

    def __repr__(self) -> str:
        """Leave the key out: what is printed ends in a log."""
        return f"PrepackSettings(folder={self.folder!r}, size_bytes={self.size_bytes})"


class PrepackJob(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the process that writes an entry is told, once."""

    source: ModelSource
    settings: EngineSettings
    cache: PrepackCacheSpec


class PrepackOutcome(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What it answers: the entry's size, or why there is none."""

    size_bytes: int = 0
    problem: str | None = None


def entry_name(model_digest: str, variant: str) -> str:
    """Return the name of an entry's folder."""
    return f"{model_digest.rpartition(':')[2]}.{variant}"


def partial_prefix(entry: str) -> str:
    """Return how the name of a folder begins in which an entry is being written."""
    return f".partial-{entry}-"


def is_entry_name(name: str) -> bool:
    """Tell whether a folder of this name is an entry."""
    return _ENTRY.fullmatch(name) is not None


def is_partial_name(name: str) -> bool:
    """Tell whether a folder of this name is an entry that is being written, or never was to end."""
    return _PARTIAL.fullmatch(name) is not None
