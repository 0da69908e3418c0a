"""Tokens as text and as bytes, and numbers that JSON has."""

import math

import pytest

from sealift.runtime.api.token_logprobs import logprobs
from sealift.runtime.engine.request import TokenLogprob, TopLogprob


@pytest.mark.parametrize(
    ("token", "text"),
    [
        (b" the", " the"),
        ("\u20ac".encode(), "\u20ac"),
        ("\u20ac".encode()[:2], "\ufffd"),  # half of a character
        (b"\xff\xfe", "\ufffd\ufffd"),
        (b"", ""),
        (b"\x00", "\x00"),
    ],
)
def test_bytes_are_exact_and_text_is_text(token: bytes, text: str) -> None:
    (entry,) = logprobs([TokenLogprob(token=token, logprob=-0.25)])["content"]
    assert entry == {
        "token": text, "bytes": list(token), "logprob": -0.25, "top_logprobs": [],
    }  # fmt: skip


def test_the_likeliest_ones_keep_their_order() -> None:
    top = (TopLogprob(token=b"a", logprob=-0.1), TopLogprob(token=b"b", logprob=-2.5))
    told = logprobs([TokenLogprob(token=b"b", logprob=-2.5, top=top)])
    assert told == {
        "content": [
            {
                "token": "b", "bytes": [98], "logprob": -2.5,
                "top_logprobs": [
                    {"token": "a", "bytes": [97], "logprob": -0.1},
                    {"token": "b", "bytes": [98], "logprob": -2.5},
                ],
            }
        ],
        "refusal": None,
    }  # fmt: skip


@pytest.mark.parametrize("logprob", [-math.inf, math.nan, -1e30])
def test_the_impossible_is_a_number(logprob: float) -> None:
    (entry,) = logprobs([TokenLogprob(token=b"a", logprob=logprob)])["content"]
    assert entry["logprob"] == -9999.0


def test_no_token_is_an_empty_list() -> None:
    assert logprobs([]) == {"content": [], "refusal": None}
