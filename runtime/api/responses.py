"""Build the bodies about vectors and models that the OpenAI API promises. Pure."""

import base64
import struct

import msgspec

from sealift.manifests.strict_json import JsonValue
from sealift.runtime.engine.registry import CatalogueEntry
from sealift.runtime.engine.request import Vectors

__all__ = ["embeddings", "model_card", "model_list"]


def embeddings(model: str, vectors: Vectors, *, is_base64: bool) -> bytes:
    """Return the body of an embeddings answer."""
    data = [
        {"object": "embedding", "index": index, "embedding": _vector(row, is_base64=is_base64)}
        for index, row in enumerate(vectors.rows)
    ]
    tokens = vectors.prompt_tokens
    return msgspec.json.encode(
        {
            "object": "list",
            "data": data,
            "model": model,
            "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
        }
    )


def model_card(entry: CatalogueEntry, model_id: str, state: str) -> dict[str, JsonValue]:
    """Return one model as `/v1/models` shows it, with what Sealift knows beside."""
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
        "state": state,
    }


def model_list(entries: tuple[CatalogueEntry, ...], states: dict[str, str]) -> bytes:
    """Return every id that a request may name: `name` and `name:version`."""
    cards = []
    for entry in entries:
        state = states.get(entry.label, "idle")
        if entry.is_current:
            cards.append(model_card(entry, entry.name, state))
        cards.append(model_card(entry, entry.label, state))
    return msgspec.json.encode({"object": "list", "data": cards})


def _vector(row: bytes, *, is_base64: bool) -> str | list[float]:
    if is_base64:
        return base64.b64encode(row).decode("ascii")
    return list(struct.unpack(f"<{len(row) // 4}f", row))
