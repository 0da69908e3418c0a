"""What a rerank request may say, and what its answer is; bad first."""

import json

import msgspec
import pytest

from sealift.runtime.api.config import ApiLimits
from sealift.runtime.api.errors import BadRequestError
from sealift.runtime.api.rerank_request import RerankRequest, parse_rerank
from sealift.runtime.api.score_responses import rerank_body
from sealift.runtime.engine.request import Scores

LIMITS = ApiLimits(documents=3, pair_chars=20)


def parse(**fields: object) -> RerankRequest:
    body = {"model": "m", "query": "q", "documents": ["a"]} | fields
    return parse_rerank(json.dumps(body).encode(), LIMITS)


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"query": ""}, "query"),
        ({"query": ["q"]}, "query"),
        ({"documents": []}, "documents"),
        ({"documents": "a"}, "documents"),
        ({"documents": ["a", ""]}, "documents[1]"),
        ({"documents": [{"text": ""}]}, "documents[0]"),
        ({"documents": [{"title": "a"}]}, "documents[0].title"),
        ({"documents": [{"text": "a", "title": "b"}]}, "documents[0].title"),
        ({"documents": [1]}, "documents[0]"),
        ({"documents": ["a"] * 4}, "documents"),
        ({"query": "q" * 7, "documents": ["a"] * 3}, "query"),
        ({"top_n": 0}, "top_n"),
        ({"top_n": "1"}, "top_n"),
        ({"return_documents": "yes"}, "return_documents"),
        ({"max_tokens_per_doc": 512}, "max_tokens_per_doc"),
        ({"max_chunks_per_doc": 2}, "max_chunks_per_doc"),
        ({"rank_fields": ["title"]}, "rank_fields"),
        ({"truncation": True}, "truncation"),
        ({"truncate_prompt_tokens": 5}, "truncate_prompt_tokens"),
        ({"return_embeddings": True}, "return_embeddings"),
        ({"topn": 1}, "topn"),
        ({"model": ""}, "model"),
    ],
)
def test_refused_by_name(fields: dict[str, object], param: str) -> None:
    with pytest.raises(BadRequestError) as caught:
        parse(**fields)
    assert caught.value.param == param


def test_texts_and_objects_are_documents() -> None:
    wanted = parse(documents=["a", {"text": "b"}], top_n=1, return_documents=True, user="u")
    assert wanted == RerankRequest(
        model="m", query="q", documents=("a", "b"), top_n=1, returns_documents=True
    )
    assert parse(return_documents=None, rank_fields=["text"], truncation=False) == parse()


def test_the_query_counts_once_for_each_document() -> None:
    assert parse(query="q" * 5, documents=["aa", "bb", "c"]).documents  # 15 + 5 characters


def body(wanted: RerankRequest, *scores: float) -> dict[str, object]:
    rows = tuple((score,) for score in scores)
    encoded = rerank_body("rerank-1", wanted, Scores(id=1, rows=rows, prompt_tokens=9))
    found: dict[str, object] = msgspec.json.decode(encoded)
    return found


def test_the_most_relevant_comes_first_and_the_first_of_equals() -> None:
    wanted = parse(documents=["a", "b", "c"])
    assert body(wanted, 0.5, 0.9, 0.5) == {
        "id": "rerank-1",
        "model": "m",
        "results": [
            {"index": 1, "relevance_score": 0.9},
            {"index": 0, "relevance_score": 0.5},
            {"index": 2, "relevance_score": 0.5},
        ],
        "usage": {"prompt_tokens": 9, "total_tokens": 9},
    }


def test_as_many_as_asked_for_with_their_texts() -> None:
    wanted = parse(documents=["a", "b", "c"], top_n=2, return_documents=True)
    assert body(wanted, 0.1, 0.9, 0.5)["results"] == [
        {"index": 1, "relevance_score": 0.9, "document": {"text": "b"}},
        {"index": 2, "relevance_score": 0.5, "document": {"text": "c"}},
    ]
