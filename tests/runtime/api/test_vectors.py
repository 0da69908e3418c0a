"""Vectors and scores over HTTP: real graphs in worker processes, many clients at once."""

import base64
import json
import urllib.error
import urllib.request
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sealift.runtime.api import ApiLimits
from sealift.runtime.engine.source import ModelSource

QUERY = "what is the tide table"
TEXTS = [
    "tide",
    "the tide table lists the times of high water and low water at a port",
    "an anchor holds a ship",
    "a list of ports and lighthouses " * 5,
]


@pytest.fixture
def server(
    embed_folder: Path,
    rerank_folder: Path,
    classify_folder: Path,
    source_of: Callable[[str, Path], ModelSource],
    server_over: Callable[..., Any],
) -> Any:
    folders = {"embed": embed_folder, "rerank": rerank_folder, "classify": classify_folder}
    sources = [source_of(name, folder) for name, folder in folders.items()]
    return server_over(sources, limits=ApiLimits(documents=8, inputs=8))


def post(server: Any, path: str, **body: Any) -> tuple[int, Any]:
    request = urllib.request.Request(
        f"{server.url}/v1/{path}",
        json.dumps({"model": path, **body}).encode(),
        {"Content-Type": "application/json"},
    )
    try:
        with urllib.request.urlopen(request, timeout=60) as response:
            return response.status, json.loads(response.read())
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read())


def refusal(server: Any, path: str, **body: Any) -> tuple[str, str | None]:
    status, answer = post(server, path, **body)
    assert status == 400
    return answer["error"]["code"], answer["error"]["param"]


def test_documents_come_back_by_relevance(server: Any) -> None:
    status, answer = post(server, "rerank", query=QUERY, documents=TEXTS)
    assert status == 200
    assert answer["id"].startswith("rerank-")
    assert answer["model"] == "rerank"
    results = answer["results"]
    scores = [result["relevance_score"] for result in results]
    assert sorted(result["index"] for result in results) == [0, 1, 2, 3]
    assert scores == sorted(scores, reverse=True)
    assert len(set(scores)) == 4
    assert all(0 < score < 1 for score in scores)
    assert answer["usage"]["prompt_tokens"] == answer["usage"]["total_tokens"] > 40
    # Each document has the score that it has alone, given as an object too.
    for result in results:
        document = {"text": TEXTS[result["index"]]}
        _, alone = post(server, "rerank", query=QUERY, documents=[document])
        assert alone["results"][0]["relevance_score"] == pytest.approx(
            result["relevance_score"], abs=1e-6
        )
    _, best = post(server, "rerank", query=QUERY, documents=TEXTS, top_n=1, return_documents=True)
    (only,) = best["results"]
    assert only["index"] == results[0]["index"]
    assert only["document"] == {"text": TEXTS[only["index"]]}
    kinds = [fields for kind, fields in server.sink.events if fields.get("endpoint")]
    assert {fields["endpoint"] for fields in kinds} == {"/v1/rerank"}
    assert kinds[0]["prompt_tokens"] == answer["usage"]["prompt_tokens"]
    assert kinds[0]["outcome"] == "ok"


def test_texts_get_labels(server: Any) -> None:
    status, answer = post(server, "classify", input=TEXTS)
    assert status == 200
    assert answer["object"] == "list"
    assert [item["index"] for item in answer["data"]] == [0, 1, 2, 3]
    for item in answer["data"]:
        assert item["num_classes"] == len(item["probs"]) == 3
        assert sum(item["probs"]) == pytest.approx(1)
        best = int(np.argmax(item["probs"]))
        assert item["label"] == ("bad", "fair", "good")[best]
    _, one = post(server, "classify", input=TEXTS[3])
    assert one["data"][0]["probs"] == pytest.approx(answer["data"][3]["probs"], abs=1e-6)


def test_fewer_dimensions_in_both_encodings(server: Any) -> None:
    def vectors(**fields: Any) -> Any:
        status, answer = post(server, "embeddings", model="embed", input=TEXTS[:3], **fields)
        assert status == 200
        return [item["embedding"] for item in answer["data"]]

    whole = np.array(vectors())
    wanted = whole[:, :5] / np.linalg.norm(whole[:, :5], axis=1, keepdims=True)
    assert np.array(vectors(dimensions=5)) == pytest.approx(wanted, abs=1e-6)
    packed = vectors(dimensions=5, encoding_format="base64")
    for row, text in zip(wanted, packed, strict=True):
        assert np.frombuffer(base64.b64decode(text), "<f4") == pytest.approx(row, abs=1e-6)
    assert refusal(server, "embeddings", model="embed", input="a", dimensions=17) == (
        "invalid_value", "dimensions",
    )  # fmt: skip


def test_what_does_not_fit_is_refused_by_name(server: Any) -> None:
    long = "word " * 300
    assert refusal(server, "rerank", query=QUERY, documents=["a", long]) == (
        "context_length_exceeded", "documents",
    )  # fmt: skip
    assert refusal(server, "rerank", query=QUERY, documents=["a"] * 9)[1] == "documents"
    assert refusal(server, "classify", input=["a", long]) == ("context_length_exceeded", "input")
    assert refusal(server, "classify", input="a", model="rerank") == (
        "model_task_mismatch", "model",
    )  # fmt: skip
    assert refusal(server, "rerank", query="q", documents=["a"], model="classify") == (
        "model_task_mismatch", "model",
    )  # fmt: skip
    assert refusal(server, "embeddings", input="a", model="rerank")[0] == "model_task_mismatch"
    outcomes = [fields["outcome"] for _, fields in server.sink.events if "outcome" in fields]
    assert outcomes.count("context_length_exceeded") == 2


def test_many_clients_get_the_answers_of_one_alone(server: Any) -> None:
    def scores(index: int) -> list[float]:
        documents = [TEXTS[(index + step) % 4] for step in range(1 + index % 3)]
        _, answer = post(server, "rerank", query=f"{QUERY} {index}", documents=documents)
        by_index = {item["index"]: item["relevance_score"] for item in answer["results"]}
        return [by_index[at] for at in range(len(documents))]

    alone = [scores(index) for index in range(24)]
    with ThreadPoolExecutor(24) as pool:
        together = list(pool.map(scores, range(24)))
    for left, right in zip(alone, together, strict=True):
        assert left == pytest.approx(right, abs=1e-6)
