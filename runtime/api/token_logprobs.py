"""Write probabilities of tokens down as the OpenAI API does. Pure.

A token is some bytes and may be half of a character: `bytes` has them as they are, `token` as text
with U+FFFD in place of what is none.

>>> logprobs([TokenLogprob(token=b"hi", logprob=-0.5)])["content"]
[{'token': 'hi', 'bytes': [104, 105], 'logprob': -0.5, 'top_logprobs': []}]
"""

from collections.abc import Sequence

from sealift.manifests.strict_json import JsonValue
from sealift.runtime.engine.request import TokenLogprob, TopLogprob

__all__ = ["logprobs"]

# What OpenAI writes for "impossible": JSON has no minus infinity.
_LOGPROB_MIN = -9999.0


def logprobs(tokens: Sequence[TokenLogprob]) -> dict[str, JsonValue]:
    """Return the `logprobs` object of a choice."""
    return {
        "content": [
            {**_entry(item), "top_logprobs": [_entry(top) for top in item.top]} for item in tokens
        ],
        "refusal": None,
    }


def _entry(item: TokenLogprob | TopLogprob) -> dict[str, JsonValue]:
    return {
        "token": item.token.decode("utf-8", "replace"),
        "bytes": list(item.token),
        "logprob": max(_LOGPROB_MIN, item.logprob),
    }
