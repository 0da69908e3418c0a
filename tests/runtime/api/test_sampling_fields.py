"""How tokens are chosen; bad first, and every refusal names its field."""

import json

import pytest

from sealift.runtime.api.chat_request import parse_chat
from sealift.runtime.api.config import ApiLimits
from sealift.runtime.api.errors import BadRequestError
from sealift.runtime.engine.request import SamplingParams

HELLO = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}
LIMITS = ApiLimits(logit_biases=3)


def parse(**fields: object) -> SamplingParams:
    body = json.dumps(HELLO | fields).encode()
    return parse_chat(body, LIMITS, fallback_seed=11).sampling


REFUSED = [
    ({"temperature": -0.1}, "temperature"),
    ({"temperature": 2.1}, "temperature"),
    ({"temperature": "1"}, "temperature"),
    ({"temperature": 10**400}, "temperature"),
    ({"top_p": -0.1}, "top_p"),
    ({"top_p": 1.1}, "top_p"),
    ({"top_p": True}, "top_p"),
    ({"top_k": -2}, "top_k"),
    ({"top_k": 1.5}, "top_k"),
    ({"top_k": 1 << 40}, "top_k"),
    ({"min_p": -0.1}, "min_p"),
    ({"min_p": 1.1}, "min_p"),
    ({"presence_penalty": -2.1}, "presence_penalty"),
    ({"presence_penalty": 2.1}, "presence_penalty"),
    ({"frequency_penalty": -2.1}, "frequency_penalty"),
    ({"frequency_penalty": 2.1}, "frequency_penalty"),
    ({"repetition_penalty": 0}, "repetition_penalty"),
    ({"repetition_penalty": -1}, "repetition_penalty"),
    ({"repetition_penalty": 2.1}, "repetition_penalty"),
    ({"logit_bias": [5]}, "logit_bias"),
    ({"logit_bias": {"5": 100.5}}, "logit_bias[...]"),
    ({"logit_bias": {"5": -101}}, "logit_bias[...]"),
    ({"logit_bias": {"5": "1"}}, "logit_bias[...]"),
    ({"logit_bias": {"5": None}}, "logit_bias[...]"),
    ({"logit_bias": {"a": 1}}, "logit_bias"),
    ({"logit_bias": {"": 1}}, "logit_bias"),
    ({"logit_bias": {"-1": 1}}, "logit_bias"),
    ({"logit_bias": {"05": 1}}, "logit_bias"),
    ({"logit_bias": {" 5": 1}}, "logit_bias"),
    ({"logit_bias": {"5\n": 1}}, "logit_bias"),
    ({"logit_bias": {"1_0": 1}}, "logit_bias"),
    ({"logit_bias": {"\u0665": 1}}, "logit_bias"),  # a digit to int(), not to JSON
    ({"logit_bias": {"2147483648": 1}}, "logit_bias"),
    ({"logit_bias": {str(token): 1 for token in range(4)}}, "logit_bias"),
    ({"logprobs": 3}, "logprobs"),
    ({"logprobs": "yes"}, "logprobs"),
    ({"top_logprobs": 3}, "top_logprobs"),
    ({"logprobs": False, "top_logprobs": 3}, "top_logprobs"),
    ({"logprobs": True, "top_logprobs": 21}, "top_logprobs"),
    ({"logprobs": True, "top_logprobs": -1}, "top_logprobs"),
    ({"seed": 1 << 63}, "seed"),
    ({"seed": "1"}, "seed"),
]


@pytest.mark.parametrize(("fields", "param"), REFUSED)
def test_refused_by_name(fields: dict[str, object], param: str) -> None:
    with pytest.raises(BadRequestError) as caught:
        parse(**fields)
    assert (caught.value.param, caught.value.request_code) == (param, "invalid_value")
    assert param in caught.value.message


def test_every_field_arrives() -> None:
    assert parse(
        temperature=0.5, top_p=0.25, top_k=40, min_p=0.05, presence_penalty=-2,
        frequency_penalty=1.5, repetition_penalty=1.1, logit_bias={"0": -100, "2147483647": 0.5},
        logprobs=True, top_logprobs=20, seed=-3,
    ) == SamplingParams(
        temperature=0.5, top_p=0.25, top_k=40, min_p=0.05, presence_penalty=-2.0,
        frequency_penalty=1.5, repetition_penalty=1.1,
        logit_bias=((0, -100.0), (2147483647, 0.5)), top_logprobs=20, seed=-3,
    )  # fmt: skip


def test_left_out_is_as_openai_has_it() -> None:
    assert parse() == SamplingParams(temperature=1.0, top_p=1.0, seed=11)


@pytest.mark.parametrize("top_k", [-1, 0])
def test_all_tokens_have_two_spellings(top_k: int) -> None:
    assert parse(top_k=top_k).top_k == 0


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, None),
        ({"logprobs": False}, None),
        ({"logprobs": True}, 0),
        ({"logprobs": True, "top_logprobs": None}, 0),
        ({"logprobs": True, "top_logprobs": 5}, 5),
    ],
)
def test_logprobs(fields: dict[str, object], expected: int | None) -> None:
    assert parse(**fields).top_logprobs == expected
