"""Choosing tokens: against a plain full sort, distributions, masks, alone and in a batch."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray

from sealift.runtime.engine.decode.constraint import MaskWords, mask_words
from sealift.runtime.engine.decode.sampler import (
    ChosenLogprob,
    Logits,
    choice_seed,
    choose,
    uniform,
)
from sealift.runtime.engine.decode.sampling_row import SamplingRow
from sealift.runtime.engine.errors import EngineError, PromptError
from sealift.runtime.engine.request import SamplingParams

RNG = np.random.default_rng(0)
LOGITS = RNG.normal(size=(6, 3000)).astype(np.float32) * 3
ODD = (math.nan, math.inf, -math.inf, 3.4e38, -3.4e38, 1e-45)


def pack(allowed: NDArray[np.bool_]) -> MaskWords:
    padded = np.zeros(mask_words(len(allowed)) * 32, np.uint8)
    padded[: len(allowed)] = allowed
    return np.packbits(padded, bitorder="little").view("<i4").astype(np.int32)


def pick(
    values: Logits,
    params: SamplingParams,
    *,
    mask: MaskWords | None = None,
    prompt: tuple[int, ...] = (),
    answer: tuple[int, ...] = (),
) -> int:
    row = SamplingRow.start(params, vocab_size=len(values), prompt=prompt, answer=answer)
    return choose(values[None].copy(), [row], [mask])[0].token


def draws(values: Logits, params: SamplingParams, count: int) -> list[int]:
    row = SamplingRow.start(params, vocab_size=len(values))
    found = []
    for _ in range(count):
        (choice,) = choose(values[None].copy(), [row], [None])
        row.position += 1
        found.append(choice.token)
    return found


# -- the reference: float64, a full sort, nothing clever ------------------------------------------


def adjusted(
    values: Logits, params: SamplingParams, prompt: tuple[int, ...], answer: tuple[int, ...]
) -> NDArray[np.float64]:
    """Bias and penalties, a token at a time, as the papers write them."""
    result = values.astype(np.float64)
    for token, amount in params.logit_bias:
        result[token] += amount
    for token in set(prompt) | set(answer):
        if result[token] > 0:
            result[token] /= params.repetition_penalty
        else:
            result[token] *= params.repetition_penalty
    for token in set(answer):
        result[token] -= params.frequency_penalty * answer.count(token)
        result[token] -= params.presence_penalty
    return result


def reference(values: NDArray[np.float64], params: SamplingParams) -> NDArray[np.float64]:
    """Return the probability of every token to be drawn: sort everything, cut, divide."""
    weights = np.exp((values - values.max()) / params.temperature)
    order = np.lexsort((np.arange(len(values)), -values))
    weights[weights < params.min_p] = 0.0
    if params.top_k:
        weights[order[params.top_k :]] = 0.0
    if params.top_p < 1.0:
        before = np.cumsum(weights[order]) - weights[order]
        reached = before >= params.top_p * weights.sum()
        reached[0] = False
        weights[order[reached]] = 0.0
    probabilities: NDArray[np.float64] = weights / weights.sum()
    return probabilities


def assert_drawn(probabilities: NDArray[np.float64], token: int, point: float) -> None:
    """The token is one that may be drawn, and its share of [0, 1) is where the point lies."""
    assert probabilities[token] > 0.0
    start = probabilities[:token].sum()
    assert start - 1e-5 <= point <= start + probabilities[token] + 1e-5


# Steps of 1/4 and cuts between them: an odd rounding cannot move a token over a border.
steps = st.integers(-40, 40).map(lambda step: step / 4)
vocabularies = st.integers(1, 300) | st.integers(1000, 9000)


@st.composite
def rows_of_steps(draw: st.DrawFn) -> Logits:
    size = draw(vocabularies)
    few = draw(st.lists(steps, min_size=1, max_size=12))
    spread = np.random.default_rng(draw(st.integers(0, 1 << 32)))
    return spread.choice(np.array(few, np.float32), size)


params_of_any_kind = st.builds(
    SamplingParams,
    temperature=st.sampled_from([0.25, 0.5, 0.75, 1.0, 1.5, 2.0]),
    top_p=st.sampled_from([1.0, 0.999, 0.95031, 0.9017, 0.7013, 0.51007, 0.1003, 1e-9, 1e-320]),
    top_k=st.sampled_from([0, 2, 3, 7, 50, 1000, 100_000]),
    min_p=st.sampled_from([0.0, 0.0013, 0.0517, 0.3019, 1.0]),
    seed=st.integers(0, 1 << 62),
)


@settings(max_examples=200, deadline=None)
@given(values=rows_of_steps(), params=params_of_any_kind)
def test_a_draw_is_that_of_a_full_sort(values: Logits, params: SamplingParams) -> None:
    probabilities = reference(values.astype(np.float64), params)
    assert_drawn(probabilities, pick(values, params), uniform(params.seed, 0))


@settings(max_examples=100, deadline=None)
@given(
    values=rows_of_steps(),
    params=params_of_any_kind,
    share=st.sampled_from([0.001, 0.1, 0.5, 0.99]),
    seed=st.integers(0, 1 << 32),
)
def test_a_masked_draw_is_one_among_the_allowed(
    values: Logits, params: SamplingParams, share: float, seed: int
) -> None:
    allowed = np.random.default_rng(seed).random(len(values)) < share
    allowed[seed % len(values)] = True
    ids = np.flatnonzero(allowed)
    token = pick(values, params, mask=pack(allowed))
    probabilities = reference(values[ids].astype(np.float64), params)
    assert allowed[token]
    assert_drawn(probabilities, int(np.searchsorted(ids, token)), uniform(params.seed, 0))


@settings(max_examples=150, deadline=None)
@given(data=st.data(), values=rows_of_steps())
def test_penalties_are_the_formulas(data: st.DataObject, values: Logits) -> None:
    tokens = st.lists(st.integers(0, len(values) - 1), max_size=600).map(tuple)
    prompt, answer = data.draw(tokens), data.draw(tokens)
    params = SamplingParams(
        temperature=data.draw(st.sampled_from([0.0, 1.0])),
        presence_penalty=data.draw(st.sampled_from([0.0, 1.5, -0.5])),
        frequency_penalty=data.draw(st.sampled_from([0.0, 0.125, -0.25])),
        repetition_penalty=data.draw(st.sampled_from([1.0, 2.0, 0.5])),
        logit_bias=tuple(
            (token, amount)
            for token, amount in data.draw(
                st.dictionaries(st.integers(0, len(values) - 1), st.sampled_from([-8.0, 8.0]))
            ).items()
        ),
    )
    expected = adjusted(values, params, prompt, answer)
    row = SamplingRow.start(params, vocab_size=len(values), prompt=prompt)
    for token in answer:
        row.accept(token)
    again = SamplingRow.start(params, vocab_size=len(values), prompt=prompt, answer=answer)
    found = values.copy()
    row.adjust(found)
    assert found.astype(np.float64) == pytest.approx(expected, abs=1e-4)
    choices = choose(np.stack([values, values]), [row, again], [None, None])
    assert choices[0] == choices[1]
    if params.is_greedy:
        assert expected[choices[0].token] == expected.max()


# -- the batch ------------------------------------------------------------------------------------


@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_a_row_is_chosen_alike_alone_and_in_a_batch(data: st.DataObject) -> None:
    params = data.draw(st.lists(params_of_any_kind, min_size=6, max_size=6))
    params[data.draw(st.integers(0, 5))] = SamplingParams(temperature=0.0, top_logprobs=5)
    params[data.draw(st.integers(0, 5))] = SamplingParams(
        temperature=0.7, top_p=0.9, presence_penalty=0.3, top_logprobs=3, seed=8
    )
    allowed = np.random.default_rng(data.draw(st.integers(0, 99))).random((6, 3000)) < 0.5
    masks = [pack(allowed[row]) if row % 2 else None for row in range(6)]
    rows = [
        SamplingRow.start(param, vocab_size=3000, answer=tuple(range(index)))
        for index, param in enumerate(params)
    ]
    together = choose(LOGITS.copy(), rows, masks)
    alone = [choose(LOGITS[[row]], [rows[row]], [masks[row]])[0] for row in range(6)]
    order = data.draw(st.permutations(range(6)))
    shuffled = choose(LOGITS[order], [rows[at] for at in order], [masks[at] for at in order])
    assert together == alone
    assert [together[at] for at in order] == shuffled


@given(seed=st.integers(-(1 << 63), (1 << 63) - 1), position=st.integers(0, 1 << 20))
def test_a_draw_depends_on_seed_and_position_alone(seed: int, position: int) -> None:
    assert uniform(seed, position) == uniform(seed, position)
    assert 0.0 <= uniform(seed, position) < 1.0
    assert uniform(seed, position) != uniform(seed, position + 1)
    assert uniform(seed, position) != uniform(seed + 1 if seed < 0 else seed - 1, position)


@given(seed=st.integers(-(1 << 63), (1 << 63) - 1))
def test_each_answer_of_a_request_has_a_seed_of_its_own(seed: int) -> None:
    seeds = [choice_seed(seed, index) for index in range(5)]
    assert seeds[0] == seed
    assert len(set(seeds)) == 5
    assert all(0 <= other < 1 << 63 for other in seeds[1:])
    assert seeds == [choice_seed(seed, index) for index in range(5)]


def test_the_first_draws_of_a_seed_never_change() -> None:
    assert [uniform(42, position) for position in range(3)] == [
        0.8201981478608876,
        0.36812845090913937,
        0.8767979674463799,
    ]
    assert choice_seed(42, 1) == 8185685891515899014


# -- the likeliest --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "params",
    [
        SamplingParams(temperature=0.0),
        SamplingParams(temperature=0.0, top_p=0.5, seed=4),
        SamplingParams(temperature=1.3, top_p=0.0, seed=4),
        SamplingParams(temperature=1.3, top_k=1, seed=4),
        SamplingParams(temperature=1.3, min_p=1.0, seed=4),
        SamplingParams(temperature=0.01, seed=4),
        SamplingParams(temperature=1e-45, seed=4),
        SamplingParams(temperature=5e-324, top_p=0.9, min_p=0.1, seed=4),
        SamplingParams(temperature=2.0, top_p=1e-9, seed=4),
    ],
)
def test_these_take_the_likeliest(params: SamplingParams) -> None:
    best = LOGITS.argmax(axis=-1).tolist()
    assert [pick(values, params) for values in LOGITS] == best


@pytest.mark.parametrize(
    "params",
    [
        SamplingParams(temperature=0.0),
        SamplingParams(top_p=1e-9, seed=3),
        SamplingParams(top_k=1, seed=3),
    ],
)
def test_of_equal_logits_the_lowest_id_is_likeliest(params: SamplingParams) -> None:
    assert pick(np.zeros(5000, np.float32), params) == 0


@pytest.mark.parametrize("size", [50, 5000])
@pytest.mark.parametrize(
    "params", [SamplingParams(top_k=7, seed=3), SamplingParams(top_p=0.14 * 0.999, seed=3)]
)
def test_of_equal_logits_the_lowest_ids_are_kept(size: int, params: SamplingParams) -> None:
    values = np.zeros(size, np.float32)
    kept = 7 if params.top_k else math.ceil(0.14 * 0.999 * size)
    assert max(draws(values, params, 400)) < kept


# -- distributions --------------------------------------------------------------------------------


def assert_follows(found: list[int], probabilities: NDArray[np.float64]) -> None:
    """Chi-square: 4.5 standard deviations above the mean would be one in 100,000."""
    counts = np.bincount(found, minlength=len(probabilities))
    assert not counts[probabilities == 0].any()
    likely = probabilities * len(found) >= 5
    expected = np.append(probabilities[likely], probabilities[~likely].sum()) * len(found)
    seen = np.append(counts[likely], counts[~likely].sum())
    nonzero = expected > 0
    square = (((seen - expected) ** 2)[nonzero] / expected[nonzero]).sum()
    freedom = int(nonzero.sum()) - 1
    assert square < freedom + 4.5 * math.sqrt(2 * freedom) + 4


@pytest.mark.parametrize(
    "params",
    [
        SamplingParams(seed=1),
        SamplingParams(seed=2, temperature=0.7),
        SamplingParams(seed=3, temperature=1.6, top_p=0.9),
        SamplingParams(seed=4, top_k=20),
        SamplingParams(seed=5, min_p=0.1),
        SamplingParams(seed=6, temperature=0.8, top_k=30, top_p=0.8, min_p=0.02),
    ],
)
@pytest.mark.parametrize("size", [40, 3000])
def test_draws_follow_the_distribution(params: SamplingParams, size: int) -> None:
    values = LOGITS[0, :size]
    found = draws(values, params, 4000)
    assert_follows(found, reference(values.astype(np.float64), params))


def test_draws_of_different_answers_are_independent() -> None:
    values = np.zeros(16, np.float32)
    pairs = [
        pick(values, SamplingParams(seed=seed)) * 16
        + pick(values, SamplingParams(seed=choice_seed(seed, 1)))
        for seed in range(4000)
    ]
    assert_follows(pairs, np.full(256, 1 / 256))


def test_top_p_keeps_the_fewest_tokens_that_reach_it() -> None:
    values = np.log(np.array([0.15, 0.5, 0.05, 0.3], np.float32))
    for top_p, kept in ((0.4, {1}), (0.7, {1, 3}), (0.9, {0, 1, 3}), (0.99, {0, 1, 2, 3})):
        assert set(draws(values, SamplingParams(top_p=top_p, seed=2), 400)) == kept


def test_each_cut_sees_what_the_one_before_kept() -> None:
    values = np.log(np.array([0.4, 0.3, 0.2, 0.1], np.float32))
    # Of 0.4 and 0.3 alone, the first has 0.57: enough for a top_p of 0.5, not for one of 0.6.
    for top_p, kept in ((0.5, {0}), (0.6, {0, 1})):
        assert set(draws(values, SamplingParams(top_k=2, top_p=top_p, seed=2), 300)) == kept
        assert set(draws(values, SamplingParams(min_p=0.6, top_p=top_p, seed=2), 300)) == kept
    # min_p is a share of the likeliest one after the temperature: 0.3 / 0.4 squared is 0.5625.
    colder = SamplingParams(temperature=0.5, min_p=0.6, seed=2)
    assert set(draws(values, colder, 300)) == {0}


def test_a_wide_nucleus_reaches_past_the_first_candidates() -> None:
    flat = np.zeros(9000, np.float32)
    assert 7000 < max(draws(flat, SamplingParams(top_p=0.9, seed=2), 300)) < 8101


# -- masks and odd numbers ------------------------------------------------------------------------


def test_bits_are_read_least_significant_first() -> None:
    mask = np.array([0, 0b100], np.int32)
    assert pick(LOGITS[0, :64], SamplingParams(temperature=0.0), mask=mask) == 34


def test_a_mask_that_allows_nothing_is_an_error() -> None:
    mask = np.zeros(mask_words(3000), np.int32)
    with pytest.raises(EngineError, match="allows no token"):
        pick(LOGITS[0], SamplingParams(), mask=mask)


def test_bits_past_the_vocabulary_allow_nothing() -> None:
    mask = np.array([-1 << 20], np.int32)
    with pytest.raises(EngineError, match="allows no token"):
        pick(LOGITS[0, :20], SamplingParams(), mask=mask)


@settings(max_examples=300, deadline=None)
@given(
    values=arrays.arrays(
        np.float32,
        st.integers(1, 200),
        elements=st.sampled_from(ODD) | st.floats(-50, 50, width=32),
    ),
    params=params_of_any_kind,
    greedy=st.booleans(),
    data=st.data(),
)
def test_whatever_the_logits_are_a_possible_token_is_chosen(
    values: Logits, params: SamplingParams, greedy: bool, data: st.DataObject
) -> None:
    allowed = data.draw(arrays.arrays(np.bool_, len(values)))
    allowed[data.draw(st.integers(0, len(values) - 1))] = True
    sampling = SamplingParams(
        temperature=0.0 if greedy else params.temperature,
        top_p=params.top_p,
        top_k=params.top_k,
        min_p=params.min_p,
        repetition_penalty=2.0,
        seed=params.seed,
        top_logprobs=3,
    )
    row = SamplingRow.start(sampling, vocab_size=len(values), prompt=(0,))
    for mask, open_ids in ((None, np.ones_like(allowed)), (pack(allowed), allowed)):
        (choice,) = choose(values[None].copy(), [row], [mask])
        assert open_ids[choice.token]
        possible = np.where(np.isnan(values), -np.inf, values)[open_ids]
        if np.isfinite(possible).any() or (possible == np.inf).any():
            assert possible.max() == np.inf or values[choice.token] > -np.inf
            assert possible.max() != np.inf or values[choice.token] == np.inf
        else:
            assert choice.token == np.flatnonzero(open_ids)[0]
        assert choice.logprob is not None
        told = [choice.logprob.logprob, *(other for _, other in choice.logprob.top)]
        assert all(-9999.0 <= value <= 1e-6 for value in told)


# -- what is told of probabilities ----------------------------------------------------------------


def logprobs(values: Logits, params: SamplingParams, mask: MaskWords | None) -> ChosenLogprob:
    row = SamplingRow.start(params, vocab_size=len(values), prompt=(1, 2), answer=(5,))
    (choice,) = choose(values[None].copy(), [row], [mask])
    assert choice.logprob is not None
    return choice.logprob


@settings(max_examples=100, deadline=None)
@given(values=rows_of_steps(), count=st.integers(0, 20))
def test_logprobs_are_those_of_the_model_itself(values: Logits, count: int) -> None:
    exact = values.astype(np.float64)
    exact -= exact.max() + np.log(np.exp(exact - exact.max()).sum())
    likeliest = np.lexsort((np.arange(len(values)), -exact))[:count].tolist()
    forced = len(values) - 1
    changed = SamplingParams(
        temperature=0.3,
        top_p=0.5,
        repetition_penalty=1.5 if len(values) > 5 else 1.0,
        logit_bias=((forced, 5.0),),
        top_logprobs=count,
    )
    allowed = np.arange(len(values)) == forced
    told = logprobs(values, changed, pack(allowed))
    assert [token for token, _ in told.top] == likeliest
    assert [value for _, value in told.top] == pytest.approx(exact[likeliest], abs=1e-4)
    assert told.logprob == pytest.approx(exact[forced], abs=1e-4)


def test_none_are_told_where_none_are_asked_for() -> None:
    row = SamplingRow.start(SamplingParams(), vocab_size=3000)
    (choice,) = choose(LOGITS[:1].copy(), [row], [None])
    assert choice.logprob is None


def test_an_impossible_token_has_the_least_logprob() -> None:
    values = np.array([0.0, -np.inf, 0.0], np.float32)
    told = logprobs(values, SamplingParams(top_logprobs=3), np.array([2], np.int32))
    assert told.logprob == -9999.0
    assert [token for token, _ in told.top] == [0, 2, 1]


@pytest.mark.parametrize("token", [-1, 3000])
def test_a_bias_for_a_token_that_does_not_exist_is_refused(token: int) -> None:
    with pytest.raises(PromptError, match=rf"logit_bias: expected .* 2999, got {token}"):
        SamplingRow.start(SamplingParams(logit_bias=((token, 1.0),)), vocab_size=3000)


def test_prompt_tokens_without_a_logit_are_not_penalized() -> None:
    params = SamplingParams(temperature=0.0, repetition_penalty=2.0)
    row = SamplingRow.start(params, vocab_size=3, prompt=(1, 3, 4000))
    values = np.array([1.0, 1.0, 1.0], np.float32)
    row.adjust(values)
    assert values.tolist() == [1.0, 0.5, 1.0]
