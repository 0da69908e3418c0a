"""The fields of a chat request that say how tokens are chosen. Pure.

The OpenAI API's own, and `top_k`, `min_p` and `repetition_penalty` as vLLM names them.

>>> sampling_params(SamplingFields(top_k=-1), ApiLimits(), fallback_seed=7).top_k
0
"""

import re
from typing import Annotated

import msgspec

from sealift.runtime.api.config import ApiLimits
from sealift.runtime.api.errors import BadRequestError
from sealift.runtime.engine.request import SamplingParams

__all__ = ["SamplingFields", "sampling_params"]

_TOKEN_ID = re.compile(r"(?:0|[1-9][0-9]{0,9})")
_TOKEN_ID_MAX = (1 << 31) - 1

_Share = Annotated[float, msgspec.Meta(ge=0, le=1)]
_Penalty = Annotated[float, msgspec.Meta(ge=-2, le=2)]


class SamplingFields(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The fields as they are spelled; None: left out, or null."""

    temperature: Annotated[float, msgspec.Meta(ge=0, le=2)] | None = None
    top_p: _Share | None = None
    top_k: Annotated[int, msgspec.Meta(ge=-1, le=1 << 31)] | None = None
    min_p: _Share | None = None
    presence_penalty: _Penalty | None = None
    frequency_penalty: _Penalty | None = None
    repetition_penalty: Annotated[float, msgspec.Meta(gt=0, le=2)] | None = None
    logit_bias: dict[str, Annotated[float, msgspec.Meta(ge=-100, le=100)]] | None = None
    logprobs: bool | None = None
    top_logprobs: Annotated[int, msgspec.Meta(ge=0, le=20)] | None = None
    seed: Annotated[int, msgspec.Meta(ge=-(1 << 63), le=(1 << 63) - 1)] | None = None


def sampling_params(
    fields: SamplingFields, limits: ApiLimits, *, fallback_seed: int
) -> SamplingParams:
    """Return how to choose.

    Args:
        fallback_seed: what to draw from where the client gave no seed.

    Raises:
        BadRequestError: names the field.
    """
    return SamplingParams(
        temperature=_or(fields.temperature, 1.0),
        top_p=_or(fields.top_p, 1.0),
        top_k=max(0, fields.top_k or 0),  # vLLM's -1 means all tokens, as 0 does
        min_p=_or(fields.min_p, 0.0),
        presence_penalty=_or(fields.presence_penalty, 0.0),
        frequency_penalty=_or(fields.frequency_penalty, 0.0),
        repetition_penalty=_or(fields.repetition_penalty, 1.0),
        logit_bias=_logit_bias(fields.logit_bias or {}, limits),
        top_logprobs=_top_logprobs(fields),
        seed=fallback_seed if fields.seed is None else fields.seed,
    )


def _or(value: float | None, default: float) -> float:
    return default if value is None else value


def _top_logprobs(fields: SamplingFields) -> int | None:
    if fields.logprobs:
        return fields.top_logprobs or 0
    if fields.top_logprobs:
        raise BadRequestError("top_logprobs: only allowed with logprobs true", param="top_logprobs")
    return None


def _logit_bias(biases: dict[str, float], limits: ApiLimits) -> tuple[tuple[int, float], ...]:
    if len(biases) > limits.logit_biases:
        raise BadRequestError(
            f"logit_bias: expected at most {limits.logit_biases} tokens, got {len(biases)}",
            param="logit_bias",
        )
    return tuple((_token_id(key), bias) for key, bias in biases.items())


def _token_id(key: str) -> int:
    # One spelling a number: "7" and "07" would be one token with two biases.
    if _TOKEN_ID.fullmatch(key) is None or int(key) > _TOKEN_ID_MAX:
        raise BadRequestError(
            f"logit_bias: expected token ids as keys, got {key[:40]!r}", param="logit_bias"
        )
    return int(key)
