"""The numbers of an evaluation, the limits on them, and the lines they are taken from."""

import math
from pathlib import Path

import numpy as np
import pytest

from sealift.bundler.errors import EvaluationError
from sealift.bundler.evaluate.limits import applied_limits, check_limits
from sealift.bundler.evaluate.metrics import TokenTally, cosines, exact_share, order_agreement
from sealift.bundler.evaluate.samples import read_samples
from sealift.manifests.errors import RecipeError
from sealift.manifests.recipe import EvaluateSpec, Precision, Task


def test_equal_logits_have_no_divergence() -> None:
    logits = np.random.default_rng(0).normal(0, 3, (40, 50)).astype(np.float32)
    tally = TokenTally()
    tally.add(logits, logits + 7, list(range(40)))  # a constant shift is the same distribution
    metrics = tally.metrics()
    assert metrics["kl"] == pytest.approx(0, abs=1e-9)
    assert metrics["top1_agreement"] == 1.0
    assert metrics["perplexity"] == pytest.approx(metrics["perplexity_fp32"])


def test_divergence_is_of_the_reference_from_the_graph() -> None:
    reference = np.log(np.array([[0.5, 0.25, 0.25]]))
    graph = np.log(np.array([[0.25, 0.5, 0.25]]))
    tally = TokenTally()
    tally.add(reference, graph, [0])
    metrics = tally.metrics()
    assert metrics["kl"] == pytest.approx(0.5 * math.log(2) + 0.25 * math.log(0.5))
    assert metrics["top1_agreement"] == 0.0
    assert metrics["perplexity"] == pytest.approx(4)
    assert metrics["perplexity_fp32"] == pytest.approx(2)


def test_windows_add_up_by_position_not_by_window() -> None:
    rng = np.random.default_rng(1)
    reference, graph = rng.normal(size=(50, 9)), rng.normal(size=(50, 9))
    whole, parts = TokenTally(), TokenTally()
    whole.add(reference, graph, [1] * 50)
    parts.add(reference[:3], graph[:3], [1] * 3)
    parts.add(reference[3:], graph[3:], [1] * 47)
    assert parts.metrics() == pytest.approx(whole.metrics())


def test_nothing_measured_gives_no_numbers() -> None:
    assert TokenTally().metrics() == {}


def test_shares_cosines_and_order() -> None:
    assert exact_share(["a", "b"], ["a", "c"]) == 0.5
    assert exact_share([], []) == 1.0
    rows = np.array([[1.0, 0.0], [0.0, 2.0], [0.0, 0.0]])
    other = np.array([[2.0, 0.0], [0.0, -1.0], [1.0, 0.0]])
    assert cosines(rows, other).tolist() == [1.0, -1.0, 0.0]
    scores = np.array([3.0, 2.0, 1.0, 5.0])
    swapped = np.array([2.0, 3.0, 1.0, -5.0])
    assert order_agreement(swapped, scores, ["q", "q", "q", "other"]) == pytest.approx(2 / 3)


@pytest.mark.parametrize(
    ("precision", "metrics", "spec", "says"),
    [
        (
            Precision.INT4,
            {"kl": 0.2, "exact_of_fp32": 1.0},
            EvaluateSpec(max_kl=0.1),
            "max_kl: expected kl",
        ),
        (
            Precision.INT4,
            {"exact_of_fp32": 0.98},
            EvaluateSpec(min_exact=0.99),
            "at least 0.99, got 0.98",
        ),
        (Precision.INT4, {"exact_of_fp32": 1.0}, EvaluateSpec(max_kl=0.1), "nothing was measured"),
        (Precision.INT4, {"kl": math.nan}, EvaluateSpec(max_kl=0.1), "got nan"),
        (Precision.INT8, {"cosine_min": 0.9}, EvaluateSpec(min_cosine=0.99), "min_cosine"),
        (Precision.FP32, {"cosine_min": 0.99}, EvaluateSpec(), "fp32 cosine_min"),
        (Precision.FP32, {"top1_agreement": 0.9}, EvaluateSpec(), "fp32 top1_agreement"),
    ],
)
def test_missed_limit_stops_with_the_numbers(
    precision: Precision, metrics: dict[str, float], spec: EvaluateSpec, says: str
) -> None:
    with pytest.raises(EvaluationError, match=says) as caught:
        check_limits("cpu-x", precision, metrics, spec)
    assert caught.value.metrics is not metrics
    assert caught.value.metrics.keys() == metrics.keys()
    assert all(name in str(caught.value) for name in metrics)


@pytest.mark.parametrize(
    ("precision", "metrics", "spec"),
    [
        (
            Precision.INT4,
            {"kl": 0.1, "exact_of_fp32": 0.99},
            EvaluateSpec(max_kl=0.1, min_exact=0.99),
        ),
        (Precision.INT4, {"kl": 9.0, "cosine_min": 0.1}, EvaluateSpec()),
        (Precision.FP32, {"top1_agreement": 1.0}, EvaluateSpec()),
    ],
)
def test_limits_that_are_met_say_nothing(
    precision: Precision, metrics: dict[str, float], spec: EvaluateSpec
) -> None:
    check_limits("cpu-x", precision, metrics, spec)


def test_applied_limits_are_those_of_the_recipe() -> None:
    assert applied_limits(EvaluateSpec(max_kl=0.5, min_exact=1.0)) == {
        "max_kl": 0.5,
        "min_exact": 1,
    }
    assert applied_limits(EvaluateSpec()) == {}


@pytest.mark.parametrize(
    ("task", "lines", "says"),
    [
        (Task.CHAT, '{"prompt": "a"}\n{"text": "b"}\n', r"p\.jsonl:2: .*prompt"),
        (Task.EMBED, '{"prompt": "a"}\n', r"p\.jsonl:1: .*text"),
        (Task.RERANK, '{"query": "a"}\n', r"p\.jsonl:1: .*document"),
        (Task.CHAT, '{"prompt": 1}\n', r"p\.jsonl:1"),
        (Task.CHAT, "not json\n", r"p\.jsonl:1"),
        (Task.CHAT, '{"prompt": "a", "prompt": "b"}\n', "duplicate"),
        (Task.CHAT, "\n\n", "at least one line"),
    ],
)
def test_bad_line_is_named(tmp_path: Path, task: Task, lines: str, says: str) -> None:
    (tmp_path / "p.jsonl").write_text(lines)
    with pytest.raises(RecipeError, match=says):
        read_samples(task, EvaluateSpec(prompts="p.jsonl"), tmp_path)


def test_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"gone\.txt"):
        read_samples(Task.CHAT, EvaluateSpec(text="gone.txt"), tmp_path)


def test_lines_are_read_in_order(tmp_path: Path) -> None:
    (tmp_path / "p.jsonl").write_text('{"prompt": "a", "answer": "x"}\n\n{"prompt": "b"}\n')
    samples = read_samples(Task.CHAT, EvaluateSpec(prompts="p.jsonl"), tmp_path)
    assert [(p.text, p.answer) for p in samples.prompts] == [("a", "x"), ("b", None)]
    assert samples.text == ""


@pytest.mark.parametrize("task", list(Task))
def test_a_recipe_without_files_is_still_measured(task: Task, tmp_path: Path) -> None:
    samples = read_samples(task, EvaluateSpec(), tmp_path)
    assert samples.prompts
    assert (samples.prompts[0].document is not None) == (task is Task.RERANK)
    assert bool(samples.text) == (task is Task.CHAT)
