"""The counts of one request with several answers."""

import pytest

from sealift.runtime.api.tally import Tally
from sealift.runtime.engine.errors import EngineError
from sealift.runtime.engine.request import Delta


def delta(choice: int, completion: int, reason: str | None = None, **fields: int) -> Delta:
    return Delta(
        id=1, text="", prompt_tokens=7, completion_tokens=completion, choice=choice,
        finish_reason=reason, **fields,
    )  # fmt: skip


@pytest.mark.parametrize("choice", [-1, 2, 1000])
def test_an_answer_that_nobody_asked_for(choice: int) -> None:
    with pytest.raises(EngineError, match=f"answer {choice}, expected 0 to 1"):
        Tally(choices=2).add(delta(choice, 1))


def test_an_answer_without_an_end() -> None:
    tally = Tally(choices=2)
    tally.add(delta(1, 5, "stop"))
    with pytest.raises(EngineError, match="gave 1 answers, expected 2"):
        _ = tally.finish_reasons


def test_the_prompt_counts_once_and_every_answer_counts() -> None:
    tally = Tally(choices=3)
    for item in (
        delta(0, 1, cached_tokens=4), delta(1, 1), delta(0, 2), delta(2, 9, "length"),
        delta(0, 3, "stop"), delta(1, 6, "length"),
    ):  # fmt: skip
        tally.add(item)
    assert tally.finish_reasons == ("stop", "length", "length")
    assert tally.finish_reason == "stop,length"
    assert tally.usage() == {
        "prompt_tokens": 7,
        "completion_tokens": 18,
        "total_tokens": 25,
        "prompt_tokens_details": {"cached_tokens": 4, "audio_tokens": 0},
        "completion_tokens_details": {
            "reasoning_tokens": 0,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }


def test_nothing_came() -> None:
    assert Tally(choices=1).finish_reason is None
    assert Tally(choices=1).completion_tokens == 0
