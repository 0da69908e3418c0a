"""What a classify request may say, and what its answer is; bad first."""

import json

import msgspec
import pytest

from sealift.runtime.api.classify_request import ClassifyRequest, parse_classify
from sealift.runtime.api.config import ApiLimits
from sealift.runtime.api.errors import BadRequestError
from sealift.runtime.api.score_responses import classify_body
from sealift.runtime.engine.request import Scores

LIMITS = ApiLimits(inputs=3)


def parse(**fields: object) -> ClassifyRequest:
    return parse_classify(json.dumps({"model": "m", "input": "a"} | fields).encode(), LIMITS)


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"input": ""}, "input[0]"),
        ({"input": []}, "input"),
        ({"input": ["a", ""]}, "input[1]"),
        ({"input": ["a", 5]}, "input[1]"),
        ({"input": [[1]]}, "input[0]"),
        ({"input": ["a"] * 4}, "input"),
        ({"input": None}, "input"),
        ({"activation": False}, "activation"),
        ({"truncate_prompt_tokens": 5}, "truncate_prompt_tokens"),
        ({"softmax": True}, "softmax"),
        ({"user": 1}, "user"),
    ],
)
def test_refused_by_name(fields: dict[str, object], param: str) -> None:
    with pytest.raises(BadRequestError) as caught:
        parse(**fields)
    assert caught.value.param == param


def test_one_text_or_several() -> None:
    assert parse().inputs == ("a",)
    assert parse(input=["a", "b"], user="u", activation=True).inputs == ("a", "b")


def test_the_likeliest_label_is_named() -> None:
    scores = Scores(id=1, rows=((0.25, 0.75), (0.5, 0.5)), prompt_tokens=7)
    body = msgspec.json.decode(classify_body("c-1", "m", ("bad", "good"), scores, created_s=5))
    assert body == {
        "id": "c-1",
        "object": "list",
        "created": 5,
        "model": "m",
        "data": [
            {"index": 0, "label": "good", "probs": [0.25, 0.75], "num_classes": 2},
            {"index": 1, "label": "bad", "probs": [0.5, 0.5], "num_classes": 2},
        ],
        "usage": {"prompt_tokens": 7, "total_tokens": 7},
    }


def test_labels_without_names_are_numbered() -> None:
    scores = Scores(id=1, rows=((0.25, 0.75),), prompt_tokens=1)
    body = msgspec.json.decode(classify_body("c-1", "m", (), scores, created_s=5))
    assert body["data"][0]["label"] == "LABEL_1"
