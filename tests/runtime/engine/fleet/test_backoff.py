from hypothesis import given
from hypothesis import strategies as st

from sealift.runtime.engine.fleet.backoff import Backoff, BackoffPolicy, crash_loop


def test_the_first_restart_is_at_once_and_each_later_one_waits_longer() -> None:
    delays = [state.delay_s for state in crash_loop(BackoffPolicy(), 10)]
    assert delays == [0, 1, 2, 4, 8, 16, 32, 60, 60, 60]


def test_a_worker_that_served_well_starts_the_count_anew() -> None:
    state = crash_loop(BackoffPolicy(), 5)[-1]
    assert state.died(now_s=100, served_s=59).delay_s == 16
    healthy = state.died(now_s=100, served_s=60)
    assert (healthy.failures, healthy.wait_s(100)) == (1, 0)


def test_the_wait_ends() -> None:
    state = Backoff().died(now_s=10, served_s=0).died(now_s=20, served_s=0)
    assert [state.wait_s(now) for now in (20, 20.5, 21, 500)] == [1, 0.5, 0, 0]


@given(st.integers(1, 5000))
def test_no_loop_is_too_long(deaths: int) -> None:
    assert crash_loop(BackoffPolicy(), deaths)[-1].delay_s <= 60
