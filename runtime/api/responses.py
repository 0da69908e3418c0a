"""Build the bodies that the OpenAI API promises. Pure.

The digest of the model's manifest is the `system_fingerprint`: the same fingerprint means the same
bytes answered.
"""

import base64
import struct
from dataclasses import dataclass

import msgspec

from sealift.manifests.strict_json import JsonValue
from sealift.runtime.engine.registry import CatalogueEntry
from sealift.runtime.engine.request import Delta, Vectors

__all__ = ["ChatAnswer", "embeddings", "model_card", "model_list"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatAnswer:
    """What all bodies of one chat answer have in common.

    Args:
        model: the name as the client asked for it.
        includes_usage: the client asked for a usage chunk at the end of its stream.
    """

    id: str
    created_s: int
    model: str
    digest: str
    includes_usage: bool = False

    def whole(self, text: str, last: Delta) -> bytes:
        """Return the body of an answer that is not streamed."""
        message: JsonValue = {"role": "assistant", "content": text, "refusal": None}
        choice: dict[str, JsonValue] = {"message": message, "finish_reason": last.finish_reason}
        return self._encode("chat.completion", choice, usage=_usage(last))

    def opening(self) -> bytes:
        """Return the first chunk of a stream."""
        delta: JsonValue = {"role": "assistant", "content": "", "refusal": None}
        return self._chunk({"delta": delta, "finish_reason": None})

    def piece(self, text: str) -> bytes:
        """Return a chunk with more text."""
        return self._chunk({"delta": {"content": text}, "finish_reason": None})

    def ending(self, last: Delta) -> bytes:
        """Return the chunk that says why the answer ended."""
        return self._chunk({"delta": {}, "finish_reason": last.finish_reason})

    def usage(self, last: Delta) -> bytes:
        """Return the chunk with the counts."""
        return self._encode("chat.completion.chunk", None, usage=_usage(last))

    def _chunk(self, choice: dict[str, JsonValue]) -> bytes:
        if self.includes_usage:
            return self._encode("chat.completion.chunk", choice, usage=None)
        return self._encode("chat.completion.chunk", choice)

    def _encode(self, kind: str, choice: dict[str, JsonValue] | None, **more: JsonValue) -> bytes:
        choices = [] if choice is None else [{"index": 0, "logprobs": None, **choice}]
        return msgspec.json.encode(
            {
                "id": self.id,
                "object": kind,
                "created": self.created_s,
                "model": self.model,
                "system_fingerprint": self.digest,
                "choices": choices,
                **more,
            }
        )


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


def _usage(last: Delta) -> dict[str, JsonValue]:
    return {
        "prompt_tokens": last.prompt_tokens,
        "completion_tokens": last.completion_tokens,
        "total_tokens": last.prompt_tokens + last.completion_tokens,
    }


def _vector(row: bytes, *, is_base64: bool) -> str | list[float]:
    if is_base64:
        return base64.b64encode(row).decode("ascii")
    return list(struct.unpack(f"<{len(row) // 4}f", row))
