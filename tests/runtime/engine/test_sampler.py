"""Choosing tokens: bounds, distributions, and independence of the batch."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sealift.runtime.engine.request import SamplingParams
from sealift.runtime.engine.sampler import choose, uniform

RNG = np.random.default_rng(0)
LOGITS = RNG.normal(size=(6, 3000)).astype(np.float32) * 3


@pytest.mark.parametrize(
    "params",
    [
        SamplingParams(temperature=0.0),
        SamplingParams(temperature=0.0, top_p=0.5, seed=4),
        SamplingParams(temperature=1.3, top_p=0.0, seed=4),
        SamplingParams(temperature=0.01, seed=4),
        SamplingParams(temperature=2.0, top_p=1e-9, seed=4),
    ],
)
def test_these_take_the_likeliest(params: SamplingParams) -> None:
    best = LOGITS.argmax(axis=-1).tolist()
    assert choose(LOGITS, [params] * 6, [0] * 6) == best


def test_of_equal_logits_the_lowest_id_is_likeliest() -> None:
    flat = np.zeros((1, 50), np.float32)
    assert choose(flat, [SamplingParams(temperature=0.0)], [0]) == [0]
    assert choose(flat, [SamplingParams(top_p=1e-9, seed=3)], [0]) == [0]


@given(seed=st.integers(-(1 << 63), (1 << 63) - 1), position=st.integers(0, 1 << 20))
def test_a_draw_depends_on_seed_and_position_alone(seed: int, position: int) -> None:
    assert uniform(seed, position) == uniform(seed, position)
    assert 0.0 <= uniform(seed, position) < 1.0
    assert uniform(seed, position) != uniform(seed, position + 1)
    assert uniform(seed, position) != uniform(seed + 1 if seed < 0 else seed - 1, position)


def test_a_row_is_chosen_alike_alone_and_in_a_batch() -> None:
    params = [SamplingParams(temperature=0.8, top_p=0.9, seed=seed) for seed in range(6)]
    together = choose(LOGITS, params, [7] * 6)
    alone = [choose(LOGITS[row : row + 1], [params[row]], [7])[0] for row in range(6)]
    assert together == alone


def test_draws_follow_the_distribution() -> None:
    logits = np.log(np.array([[0.5, 0.3, 0.15, 0.05]], np.float32))
    counts = np.zeros(4)
    for position in range(4000):
        counts[choose(logits, [SamplingParams(seed=1)], [position])[0]] += 1
    assert counts / 4000 == pytest.approx([0.5, 0.3, 0.15, 0.05], abs=0.03)


def test_top_p_keeps_the_fewest_tokens_that_reach_it() -> None:
    logits = np.log(np.array([[0.15, 0.5, 0.05, 0.3]], np.float32))
    for top_p, kept in ((0.4, {1}), (0.7, {1, 3}), (0.9, {0, 1, 3}), (0.99, {0, 1, 2, 3})):
        params = SamplingParams(top_p=top_p, seed=2)
        drawn = {choose(logits, [params], [position])[0] for position in range(400)}
        assert drawn == kept


def test_a_wide_nucleus_reaches_past_the_first_candidates() -> None:
    flat = np.zeros((1, 3000), np.float32)
    params = SamplingParams(top_p=0.9, seed=2)
    drawn = {choose(flat, [params], [position])[0] for position in range(300)}
    assert 2000 < max(drawn) < 2701
