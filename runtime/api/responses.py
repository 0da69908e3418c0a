"""Build the bodies about vectors and models that the OpenAI API promises. Pure."""

import base64
import struct

import msgspec

from sealift.runtime.engine.request import Vectors

__all__ = ["embeddings"]


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


def _vector(row: bytes, *, is_base64: bool) -> str | list[float]:
    if is_base64:
        return base64.b64encode(row).decode("ascii")
    return list(struct.unpack(f"<{len(row) // 4}f", row))
