"""Parse the body of `POST /v1/classify`, vLLM's form. Pure.

>>> parse_classify(b'{"model": "sentiment", "input": ["a", "b"]}', ApiLimits()).inputs
('a', 'b')
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

import msgspec

from sealift.runtime.api.body import IsDefault, read_body
from sealift.runtime.api.config import ApiLimits
from sealift.runtime.api.errors import BadRequestError

__all__ = ["ClassifyRequest", "parse_classify"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassifyRequest:
    """Texts to classify, each alone."""

    model: str
    inputs: tuple[str, ...]


# One would cut texts, the other would return something else than probabilities.
_UNSUPPORTED: Mapping[str, IsDefault] = {
    "activation": lambda value: value in (None, True),
    "truncate_prompt_tokens": lambda value: value is None,
}


class _Body(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    model: Annotated[str, msgspec.Meta(min_length=1, max_length=256)]
    input: str | Annotated[list[str], msgspec.Meta(min_length=1)]
    user: Annotated[str, msgspec.Meta(max_length=512)] | None = None


def parse_classify(data: bytes, limits: ApiLimits) -> ClassifyRequest:
    """Return the request.

    Raises:
        BadRequestError: names the field.
    """
    body = read_body(data, _Body, unsupported=_UNSUPPORTED, body_bytes=limits.body_bytes)
    inputs = (body.input,) if isinstance(body.input, str) else tuple(body.input)
    if len(inputs) > limits.inputs:
        raise BadRequestError(
            f"input: expected at most {limits.inputs}, got {len(inputs)}", param="input"
        )
    for index, text in enumerate(inputs):
        if not text:
            name = f"input[{index}]"
            raise BadRequestError(f"{name}: expected a text, not empty", param=name)
    return ClassifyRequest(model=body.model, inputs=inputs)
