"""Guess as much as pays, by what was measured."""

import pytest

from sealift.runtime.engine.decode.draft_policy import DraftPolicy


def measured(slope: float, *, most: int = 31) -> DraftPolicy:
    """Return a policy of a host where each further token of a run costs so much of a run."""
    policy = DraftPolicy(most=most)
    for tokens in (1, 2, 4, 8, 16, 32):
        policy.saw_run(tokens, 0.01 * (1 + slope * (tokens - 1)))
    return policy


def see(policy: DraftPolicy, *, right: bool, count: int = 100) -> None:
    for _ in range(count):
        policy.saw_token(was_right=right, follows=True)
        policy.saw_token(was_right=right, follows=False)


def test_work_that_repeats_itself_is_guessed_far_ahead() -> None:
    policy = measured(0.1)
    see(policy, right=True)
    assert policy.length(follows=True) == 31


def test_work_that_does_not_is_left_alone_and_found_again() -> None:
    policy = measured(0.1)
    see(policy, right=False)
    assert policy.length(follows=True) == policy.length(follows=False) == 0
    see(policy, right=True)
    assert policy.length(follows=True) > 0


def test_where_tokens_cost_a_whole_run_nothing_is_guessed() -> None:
    policy = measured(1.0)
    see(policy, right=True)
    assert policy.length(follows=True) == 0


@pytest.mark.parametrize("most", [1, 4, 31])
def test_a_guess_is_never_longer_than_allowed(most: int) -> None:
    policy = measured(0.01, most=most)
    see(policy, right=True)
    assert 1 <= policy.length(follows=True) <= most


def test_a_new_answer_starts_with_an_open_mind_and_known_costs() -> None:
    policy = measured(0.1)
    see(policy, right=False)
    policy.start_answer()
    assert policy.length(follows=False) > 0
    expensive = measured(1.0)
    expensive.start_answer()
    assert expensive.length(follows=True) == 0


def test_one_slow_run_does_not_turn_guessing_off() -> None:
    policy = measured(0.1)
    see(policy, right=True)
    policy.saw_run(32, 5.0)
    assert policy.length(follows=True) > 0


@pytest.mark.parametrize(("slope", "length"), [(0.1, 9), (1.0, 0)])
def test_what_is_forced_is_run_ahead_where_that_pays(slope: float, length: int) -> None:
    policy = measured(slope)
    see(policy, right=False)
    assert policy.forced_length(9) == length
