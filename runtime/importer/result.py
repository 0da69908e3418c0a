"""How an import ended: installed, or waiting for the rest of its parts."""

from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from sealift.manifests.digest import Digest
from sealift.manifests.recipe import Task
from sealift.runtime.importer.about import Unfinished

__all__ = ["ImportResult", "Outcome", "Waiting"]


class Outcome(Enum):
    """How an import ended."""

    INSTALLED = "installed"
    ALREADY_INSTALLED = "already_installed"


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportResult:
    """What an import did.

    Attributes:
        read_bytes: read from the medium.
        reused_bytes: of content that was here already.
        by_key_option: accepted under a key typed for this import alone.
        checkpoint: size and short root of the log, to be written down.
    """

    outcome: Outcome
    name: str
    version: str
    task: Task
    digest: Digest
    key_id: str
    by_key_option: bool
    is_downgrade: bool
    path: Path
    size_bytes: int
    read_bytes: int
    reused_bytes: int
    seconds: float
    checkpoint: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """What a medium had was taken; the rest is on others.

    Attributes:
        volume: number of the one that was read.
        damaged: what is wrong with parts of it; repair parts of other volumes may help.
        read_bytes: read from the medium.
    """

    unfinished: Unfinished
    volume: int
    damaged: tuple[str, ...]
    read_bytes: int
    checkpoint: str
