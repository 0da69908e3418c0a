"""What an embeddings request may say; bad first."""

import json

import pytest

from sealift.runtime.api.config import ApiLimits
from sealift.runtime.api.embedding_request import EmbeddingRequest, parse_embedding
from sealift.runtime.api.errors import BadRequestError

LIMITS = ApiLimits(inputs=3)


def parse(**fields: object) -> EmbeddingRequest:
    return parse_embedding(json.dumps({"model": "m", "input": "a"} | fields).encode(), LIMITS)


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"input": ""}, "input[0]"),
        ({"input": []}, "input"),
        ({"input": ["a", ""]}, "input[1]"),
        ({"input": ["a", 5]}, "input[1]"),
        ({"input": [[1], "a", []]}, "input[2]"),
        ({"input": [True]}, "input[0]"),
        ({"input": [[-1]]}, "input[0]"),
        ({"input": [[1.5]]}, "input[0]"),
        ({"input": ["a"] * 4}, "input"),
        ({"input": None}, "input"),
        ({"encoding_format": "int8"}, "encoding_format"),
        ({"dimensions": 0}, "dimensions"),
        ({"input_type": "query"}, "input_type"),
        ({"truncate": True}, "truncate"),
        ({"user": 1}, "user"),
    ],
)
def test_refused_by_name(fields: dict[str, object], param: str) -> None:
    with pytest.raises(BadRequestError) as caught:
        parse(**fields)
    assert caught.value.param == param


@pytest.mark.parametrize(
    ("value", "inputs"),
    [
        ("a", ("a",)),
        (["a", "b"], ("a", "b")),
        ([1, 2], ((1, 2),)),
        ([[1, 2], [3]], ((1, 2), (3,))),
    ],
)
def test_four_forms_of_input(value: object, inputs: tuple[object, ...]) -> None:
    assert parse(input=value).inputs == inputs


def test_form_of_the_vectors() -> None:
    assert not parse().is_base64
    assert parse(encoding_format="base64").is_base64
    assert parse(dimensions=16).dimensions == 16
