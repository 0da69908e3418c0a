"""A chunk of a prompt never delays the others for longer than was said."""

from hypothesis import given
from hypothesis import strategies as st

from sealift.runtime.engine.decode.pace import Pace


def test_before_anything_was_measured_a_chunk_is_the_largest() -> None:
    assert Pace(stall=1.5, least=16, most=128).chunk == 128


def test_the_chunk_follows_what_steps_and_tokens_cost() -> None:
    pace = Pace(stall=2.0, least=8, most=256)
    pace.saw_decode(0.030)
    pace.saw_prefill(64, 0.064)
    assert pace.chunk == 60  # 60 ms at 1 ms a token
    for _ in range(60):
        pace.saw_decode(0.090)
    assert 172 <= pace.chunk <= 180


def test_a_tail_of_a_few_tokens_says_nothing_about_tokens() -> None:
    pace = Pace(stall=1.0, least=16, most=128)
    pace.saw_decode(0.050)
    pace.saw_prefill(64, 0.064)
    before = pace.chunk
    pace.saw_prefill(1, 0.050)
    assert pace.chunk == before


@given(
    stall=st.floats(0.1, 5),
    least=st.integers(1, 32),
    most=st.integers(32, 512),
    steps=st.lists(st.floats(1e-4, 10), min_size=1, max_size=5),
    tokens=st.lists(st.floats(1e-5, 1), min_size=1, max_size=5),
)
def test_a_chunk_stays_within_its_limits(
    stall: float, least: int, most: int, steps: list[float], tokens: list[float]
) -> None:
    pace = Pace(stall=stall, least=least, most=most)
    for seconds in steps:
        pace.saw_decode(seconds)
    for seconds in tokens:
        pace.saw_prefill(64, 64 * seconds)
    assert least <= pace.chunk <= most
