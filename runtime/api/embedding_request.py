"""Parse the body of `POST /v1/embeddings`. Pure.

>>> parse_embedding(b'{"model": "minilm", "input": ["a", "b"]}', ApiLimits()).inputs
('a', 'b')
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Literal

import msgspec

from sealift.runtime.api.body import IsDefault, read_body
from sealift.runtime.api.config import ApiLimits
from sealift.runtime.api.errors import BadRequestError

__all__ = ["EmbeddingRequest", "parse_embedding"]


@dataclass(frozen=True, slots=True, kw_only=True)
class EmbeddingRequest:
    """Inputs (text, or token ids) and how the client wants their vectors."""

    model: str
    inputs: tuple[str | tuple[int, ...], ...]
    is_base64: bool
    dimensions: int | None


_UNSUPPORTED: Mapping[str, IsDefault] = {
    "input_type": lambda value: value is None,
    "truncate_prompt_tokens": lambda value: value is None,
}


class _Body(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    model: Annotated[str, msgspec.Meta(min_length=1, max_length=256)]
    # Four forms that a union of arrays cannot tell apart: checked below.
    input: str | list[object]
    encoding_format: Literal["float", "base64"] | None = None
    dimensions: Annotated[int, msgspec.Meta(ge=1)] | None = None
    user: Annotated[str, msgspec.Meta(max_length=512)] | None = None


def parse_embedding(data: bytes, limits: ApiLimits) -> EmbeddingRequest:
    """Return the request.

    Raises:
        BadRequestError: names the field.
    """
    body = read_body(data, _Body, unsupported=_UNSUPPORTED, body_bytes=limits.body_bytes)
    inputs = _inputs(body.input)
    if len(inputs) > limits.inputs:
        raise BadRequestError(
            f"input: expected at most {limits.inputs}, got {len(inputs)}", param="input"
        )
    return EmbeddingRequest(
        model=body.model,
        inputs=inputs,
        is_base64=body.encoding_format == "base64",
        dimensions=body.dimensions,
    )


def _inputs(value: str | list[object]) -> tuple[str | tuple[int, ...], ...]:
    items: list[object] = [value] if isinstance(value, str) or _is_ids(value) else value
    if not items:
        raise BadRequestError("input: expected at least one text", param="input")
    return tuple(_input(item, index) for index, item in enumerate(items))


def _input(item: object, index: int) -> str | tuple[int, ...]:
    if isinstance(item, str) and item:
        return item
    if isinstance(item, list) and _is_ids(item):
        return tuple(number for number in item if isinstance(number, int))
    raise BadRequestError(
        f"input[{index}]: expected a text or token ids, not empty", param=f"input[{index}]"
    )


def _is_ids(value: list[object]) -> bool:
    return bool(value) and all(
        isinstance(item, int) and not isinstance(item, bool) and 0 <= item < 1 << 31
        for item in value
    )
