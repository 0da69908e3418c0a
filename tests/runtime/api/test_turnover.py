"""How long a client is told to wait for room in a full queue."""

import pytest

from sealift.runtime.api.turnover import Turnover


@pytest.mark.parametrize(
    ("ended_s", "now_s", "wait_s"),
    [
        ((), 5.0, 1),
        ((5.0,), 5.0, 1),
        ((0.0, 0.1, 0.2), 0.2, 1),
        ((0.0, 4.0, 8.0), 8.0, 4),
        ((0.0, 4.0, 8.0), 10.5, 2),  # half of the next one's time has passed
        ((0.0, 4.0, 8.0), 500.0, 1),
        ((0.0, 1000.0), 1000.0, 60),
        ((0.0, *range(1000, 1016)), 1015.0, 1),  # what was long ago counts no more
    ],
)
def test_the_wait(ended_s: tuple[float, ...], now_s: float, wait_s: int) -> None:
    turnover = Turnover()
    for moment_s in ended_s:
        turnover.ended(moment_s)
    assert turnover.wait_s(now_s) == wait_s
