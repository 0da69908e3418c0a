"""Models as `/v1/models` shows them: OpenAI's fields, and what Sealift knows beside.

>>> model_card(entry, "chat", ModelStatus())["state"]       # doctest: +SKIP
'idle'
"""

from sealift.runtime.engine.fleet.model_status import ModelStatus
from sealift.runtime.engine.fleet.registry import CatalogueEntry

__all__ = ["model_card"]


def model_card(
    entry: CatalogueEntry, model_id: str, status: ModelStatus
) -> dict[str, str | int | bool | None]:
    """Return one model under one of its names.

    Args:
        model_id: `name`, `name:version` or an alias.
    """
    return {
        "id": model_id,
        "object": "model",
        "created": entry.created_s,
        "owned_by": "sealift",
        "name": entry.name,
        "version": entry.version,
        "task": entry.task.value,
        "digest": entry.digest,
        "is_current": entry.is_current,
        "state": status.state.value,
        "pinned": status.is_pinned,
        "estimated_bytes": status.estimated_bytes,
        "resident_bytes": status.resident_bytes,
        "isolation": status.isolation,
    }
