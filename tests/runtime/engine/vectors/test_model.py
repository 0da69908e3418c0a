"""Texts in, vectors and scores out: equal to torch's, whatever shares the run."""

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from sealift.manifests.recipe import Task
from sealift.runtime.engine.errors import ContextLengthError, EngineError, PromptError
from sealift.runtime.engine.load.model import load_model
from sealift.runtime.engine.request import Embed, Failed, Reply, Score, Scores, Vectors
from sealift.runtime.engine.settings import EngineSettings
from sealift.runtime.engine.source import ModelSource
from sealift.runtime.engine.vectors.embed_queue import EmbedJob, EmbedQueue
from sealift.runtime.engine.vectors.encoder import OnnxEncoder
from sealift.runtime.engine.vectors.model import (
    EmbedModel,
    ScoreModel,
    probabilities,
    relevance,
    shorten,
)
from sealift.runtime.engine.worker.loop import EmbedTurn

DescribeFolder = Callable[[str, Path], ModelSource]
QUERY = "what is the tide table"
TEXTS = (
    "tide",
    "the tide table lists the times of high water and low water at a port",
    "an anchor holds a ship",
    "a list of ports and lighthouses " * 6,
    "no",
    "the table is set for dinner in the saloon",
)


def _load(folder: Path, source_of: DescribeFolder) -> Any:
    model, _ = load_model(source_of("m", folder), EngineSettings(threads=2), now=datetime.now)
    return model


@pytest.fixture(scope="module")
def embedder(embed_folder: Path, source_of: DescribeFolder) -> EmbedModel:
    model = _load(embed_folder, source_of)
    assert isinstance(model, EmbedModel)
    return model


@pytest.fixture(scope="module")
def reranker(rerank_folder: Path, source_of: DescribeFolder) -> ScoreModel:
    model = _load(rerank_folder, source_of)
    assert isinstance(model, ScoreModel)
    return model


@pytest.fixture(scope="module")
def classifier(classify_folder: Path, source_of: DescribeFolder) -> ScoreModel:
    model = _load(classify_folder, source_of)
    assert isinstance(model, ScoreModel)
    return model


def answers(
    model: EmbedModel | ScoreModel, *jobs: EmbedJob, batch_tokens: int = 512
) -> dict[int, Reply]:
    turn = EmbedTurn(
        encoder=model.encoder, waiting=EmbedQueue(batch_tokens=batch_tokens, queue_limit=9)
    )
    for job in jobs:
        turn.submit(job)
    replies: dict[int, Reply] = {}
    while turn.has_work:
        replies |= {reply.id: reply for reply in turn.step()}
    return replies


def score(model: ScoreModel, *inputs: tuple[str, str] | str) -> tuple[tuple[float, ...], ...]:
    reply = answers(model, model.prepare(Score(id=1, inputs=inputs)))[1]
    assert isinstance(reply, Scores)
    return reply.rows


def torch_outputs(folder: Path, task: Task, inputs: list[Any]) -> list[Any]:
    """Each input alone through the torch module that was exported, tokenized by its own file."""
    import torch
    from tokenizers import Tokenizer

    from sealift.bundler.export.encoder import load_encoder

    checkpoint = folder.parent / "checkpoint"
    tokenizer = Tokenizer.from_file(str(checkpoint / "tokenizer.json"))
    module = load_encoder(checkpoint, task).module
    found = []
    for texts in inputs:
        encoding = tokenizer.encode(*texts)
        with torch.inference_mode():
            output = module(
                input_ids=torch.tensor([encoding.ids]),
                attention_mask=torch.tensor([encoding.attention_mask]),
                **(
                    {"token_type_ids": torch.tensor([encoding.type_ids])}
                    if task is Task.RERANK
                    else {}
                ),
            )
        found.append(output[0].double())
    return found


def test_reranking_scores_are_those_of_torch(reranker: ScoreModel, rerank_folder: Path) -> None:
    import torch

    wanted = torch_outputs(rerank_folder, Task.RERANK, [(QUERY, text) for text in TEXTS])
    found = score(reranker, *((QUERY, text) for text in TEXTS))
    assert [row[0] for row in found] == pytest.approx(
        [float(torch.sigmoid(value)) for value in wanted], abs=1e-5
    )
    assert len({round(row[0], 4) for row in found}) == len(TEXTS)
    # The second text has a type of its own: the pair turned round is another question.
    turned = score(reranker, *((text, QUERY) for text in TEXTS))
    assert max(abs(a[0] - b[0]) for a, b in zip(found, turned, strict=True)) > 1e-3


def test_probabilities_are_those_of_torch(classifier: ScoreModel, classify_folder: Path) -> None:
    import torch

    wanted = torch_outputs(classify_folder, Task.CLASSIFY, [(text,) for text in TEXTS])
    found = score(classifier, *TEXTS)
    for row, logits in zip(found, wanted, strict=True):
        assert row == pytest.approx(torch.softmax(logits, -1).tolist(), abs=1e-5)
        assert sum(row) == pytest.approx(1.0)


def test_requests_that_share_runs_get_the_answers_of_one_alone(classifier: ScoreModel) -> None:
    messages = [Score(id=id, inputs=TEXTS[id : id + 4]) for id in range(3)]
    together = answers(classifier, *map(classifier.prepare, messages))
    for message in messages:
        (alone,) = answers(classifier, classifier.prepare(message), batch_tokens=1).values()
        shared = together[message.id]
        assert isinstance(alone, Scores)
        assert isinstance(shared, Scores)
        assert shared.prompt_tokens == alone.prompt_tokens > 0
        for left, right in zip(shared.rows, alone.rows, strict=True):
            assert left == pytest.approx(right, abs=1e-6)


@pytest.mark.parametrize(
    ("inputs", "error", "message"),
    [
        ((("a", "b " * 200),), ContextLengthError, r"documents\[0\]: this model takes 128 tokens"),
        ((("b " * 200, "a"),), ContextLengthError, r"documents\[0\]: this model takes 128 tokens"),
        ((("a", "b"), "c"), PromptError, r"documents\[1\]: this model scores a pair"),
    ],
)
def test_a_reranker_refuses(
    inputs: Any, error: type[EngineError], message: str, reranker: ScoreModel
) -> None:
    with pytest.raises(error, match=message):
        reranker.prepare(Score(id=1, inputs=inputs))


@pytest.mark.parametrize(
    ("inputs", "error", "message"),
    [
        (("a", "b " * 200), ContextLengthError, r"input\[1\]: this model takes 128 tokens"),
        ((("a", "b"),), PromptError, r"input\[0\]: this model scores one text"),
    ],
)
def test_a_classifier_refuses(
    inputs: Any, error: type[EngineError], message: str, classifier: ScoreModel
) -> None:
    with pytest.raises(error, match=message):
        classifier.prepare(Score(id=1, inputs=inputs))


def test_a_graph_that_gives_something_else_fails_its_requests_alone(
    classifier: ScoreModel,
) -> None:
    assert classifier.config.vector is not None
    shape = classifier.config.vector.__class__(
        dimensions=5,
        pad_token_id=0,
        inputs=classifier.config.vector.inputs,
        output=classifier.config.vector.output,
    )
    broken = OnnxEncoder(classifier.encoder._session, shape)
    turn = EmbedTurn(encoder=broken, waiting=EmbedQueue(batch_tokens=99, queue_limit=9))
    turn.submit(classifier.prepare(Score(id=4, inputs=("a", "b " * 90))))
    turn.submit(classifier.prepare(Score(id=5, inputs=("a",))))
    replies = turn.step()
    assert [reply.id for reply in replies] == [4, 5]
    assert all(isinstance(reply, Failed) for reply in replies)
    assert not turn.has_work


def vectors(model: EmbedModel, dimensions: int | None) -> np.ndarray[Any, Any]:
    reply = answers(model, model.prepare(Embed(id=1, inputs=TEXTS[:2], dimensions=dimensions)))[1]
    assert isinstance(reply, Vectors)
    return np.stack([np.frombuffer(row, "<f4") for row in reply.rows])


def test_fewer_dimensions_are_the_first_ones_at_length_one(embedder: EmbedModel) -> None:
    whole = vectors(embedder, None)
    assert (vectors(embedder, 16) == whole).all()
    for dimensions in (1, 5, 15):
        short = vectors(embedder, dimensions)
        wanted = whole[:, :dimensions]
        wanted = wanted / np.linalg.norm(wanted, axis=1, keepdims=True)
        assert short.shape == (2, dimensions)
        assert short == pytest.approx(wanted, abs=1e-6)


@pytest.mark.parametrize("dimensions", [0, -1, 17])
def test_dimensions_that_the_model_does_not_have_are_refused(
    dimensions: int, embedder: EmbedModel
) -> None:
    with pytest.raises(PromptError, match=f"dimensions: expected 1 to 16, got {dimensions}"):
        embedder.prepare(Embed(id=1, inputs=("a",), dimensions=dimensions))


def test_a_vector_of_zeros_stays_one() -> None:
    assert shorten(np.zeros(4, np.float32), 2).tolist() == [0.0, 0.0]


floats = st.floats(-(2.0**99), 2.0**99, width=32)


@given(arrays.arrays(np.float32, st.integers(2, 9), elements=floats))
def test_activations_stay_in_bounds_and_in_order(outputs: Any) -> None:
    for found in (relevance(outputs), probabilities(outputs)):
        assert all(0.0 <= value <= 1.0 for value in found)
        order = np.argsort(outputs, kind="stable")
        assert (np.diff(np.array(found)[order]) >= 0).all()
    assert sum(probabilities(outputs)) == pytest.approx(1.0)


def test_a_single_label_is_a_yes_or_no() -> None:
    assert probabilities(np.array([0.0], np.float32)) == (0.5,)
