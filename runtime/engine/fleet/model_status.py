"""How a model does, as `/v1/models` shows it."""

from dataclasses import dataclass
from enum import Enum

__all__ = ["ModelState", "ModelStatus"]


class ModelState(Enum):
    """Where a model is between the disk and its requests."""

    IDLE = "idle"
    LOADING = "loading"
    READY = "ready"
    DRAINING = "draining"
    RESTARTING = "restarting"


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelStatus:
    """One moment of one model.

    Args:
        estimated_bytes: what is reserved for it; None: never asked for.
        resident_bytes: memory of its own that its worker holds; None: it has none.
        isolation: how its worker is cut off.
    """

    state: ModelState = ModelState.IDLE
    is_pinned: bool = False
    estimated_bytes: int | None = None
    resident_bytes: int | None = None
    isolation: str | None = None
