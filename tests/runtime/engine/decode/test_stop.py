"""Stop strings: nothing of one leaks, however the text is cut into pieces."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sealift.runtime.engine.decode.stop import StopMatcher


def run(stops: tuple[str, ...], pieces: list[str]) -> tuple[list[str], bool]:
    matcher = StopMatcher(stops)
    shown = [matcher.feed(piece) for piece in pieces]
    return [*shown, matcher.flush()], matcher.stopped


@pytest.mark.parametrize(
    ("stops", "pieces", "shown", "stopped"),
    [
        (("END",), ["a E", "N", "D b"], ["a ", "", "", ""], True),
        (("END",), ["ENEND"], ["EN", ""], True),
        (("aab",), ["aaa", "b", "c"], ["a", "", "", ""], True),
        (("END",), ["the E", "agle"], ["the ", "Eagle", ""], False),
        (("END",), ["the EN"], ["the ", "EN"], False),
        (("\n\n",), ["a\n", "b\n", "\nc"], ["a", "\nb", "", ""], True),
        (("b", "abc"), ["xabc"], ["xa", ""], True),
        (("bc", "abc"), ["xabc"], ["x", ""], True),
        (("",), ["abc"], ["abc", ""], False),
        ((), ["abc"], ["abc", ""], False),
        (("E",), ["abEcd", "more"], ["ab", "", ""], True),
    ],
)
def test_stop(stops: tuple[str, ...], pieces: list[str], shown: list[str], stopped: bool) -> None:
    assert run(stops, pieces) == (shown, stopped)


@given(
    stops=st.lists(st.text("ab\n", min_size=1, max_size=4), max_size=4).map(tuple),
    text=st.text("ab\nc", max_size=40),
    cuts=st.lists(st.integers(0, 40), max_size=10),
)
def test_pieces_do_not_matter(stops: tuple[str, ...], text: str, cuts: list[int]) -> None:
    edges = sorted({0, len(text), *(cut for cut in cuts if cut < len(text))})
    pieces = [text[a:b] for a, b in pairwise(edges)]
    shown, stopped = run(stops, pieces)
    whole, whole_stopped = run(stops, [text])
    assert ("".join(shown), stopped) == ("".join(whole), whole_stopped)
    assert not any(stop in "".join(shown) for stop in stops)
    assert stopped or "".join(shown) == text
