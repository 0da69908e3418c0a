"""Guesses come from where the same tokens stood before."""

from hypothesis import given
from hypothesis import strategies as st

from sealift.runtime.engine.decode.ngram import NgramIndex


def test_a_guess_goes_on_as_it_did_the_last_time() -> None:
    index = NgramIndex([1, 2, 3, 4, 1, 2, 3, 5, 1, 2, 3])
    assert index.guess(3) == (5, 1, 2), "of two places the newer one"


def test_without_a_repeated_run_there_is_no_guess() -> None:
    assert NgramIndex([1, 2, 3, 4]).guess(9) == ()
    assert NgramIndex([]).guess(9) == ()
    assert NgramIndex([1, 1, 1]).guess(9) == ()


def test_a_right_token_is_told_and_the_guess_goes_on() -> None:
    index = NgramIndex([1, 2, 3, 4, 5, 6, 1, 2, 3])
    assert not index.follows
    assert index.add(4) is True
    assert index.follows
    assert index.guess(2) == (5, 6)


def test_a_wrong_token_is_told_and_ends_the_guess() -> None:
    index = NgramIndex([1, 2, 3, 4, 5, 6, 1, 2, 3])
    assert index.add(9) is False
    assert not index.follows
    assert index.guess(2) == ()
    assert index.add(8) is None


def test_a_replaced_word_ends_a_right_run_for_one_token_only() -> None:
    index = NgramIndex([1, 2, 3, 4, 5, 6, 7, 1, 2, 3])
    assert index.add(4) is True
    assert index.add(99) is False
    assert index.guess(2) == (6, 7)
    assert index.add(98) is False
    assert index.guess(2) == ()


@given(st.lists(st.integers(0, 3), max_size=60), st.integers(1, 9))
def test_a_guess_stands_behind_the_same_three_tokens(tokens: list[int], count: int) -> None:
    guess = NgramIndex(tokens).guess(count)
    runs = [
        tuple(tokens[end : end + count])
        for end in range(3, len(tokens))
        if tokens[end - 3 : end] == tokens[-3:]
    ]
    assert guess == (runs[-1] if runs else ())
