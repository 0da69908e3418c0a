import pytest

from sealift.runtime.engine.fleet.watchdog import Watchdog, WatchLimits

LIMITS = WatchLimits(ping_every_s=5, silence_s=60, stall_s=120)


def _watch(until_s: int, *, pongs: bool, moves: bool, is_busy: bool) -> list[str]:
    dog = Watchdog(LIMITS, now_s=0)
    verdicts = []
    for now_s in range(5, until_s + 1, 5):
        verdict = dog.verdict(now_s=now_s)
        if verdict is not None:
            verdicts.append(f"{now_s}: {verdict}")
        if pongs:
            dog.pong(now_s=now_s, steps=now_s if moves else 7, is_busy=is_busy)
    return verdicts


def test_a_silent_worker_is_named_after_its_limit() -> None:
    found = _watch(70, pongs=False, moves=False, is_busy=False)
    assert found[0] == "65: no sign of life for 60 s"


def test_a_busy_worker_that_does_not_move_is_named_after_its_limit() -> None:
    found = _watch(130, pongs=True, moves=False, is_busy=True)
    assert found[0] == "130: the model stood still for 120 s"


@pytest.mark.parametrize(("moves", "is_busy"), [(True, True), (False, False), (True, False)])
def test_a_worker_that_moves_or_rests_is_left_alone(moves: bool, is_busy: bool) -> None:
    assert _watch(1000, pongs=True, moves=moves, is_busy=is_busy) == []


def test_any_message_is_a_sign_of_life() -> None:
    dog = Watchdog(LIMITS, now_s=0)
    for now_s in range(5, 500, 5):
        assert dog.verdict(now_s=now_s) is None
        dog.heard(now_s=now_s)
        if now_s > 100:
            break


def test_time_in_which_nobody_looked_is_not_held_against_the_worker() -> None:
    dog = Watchdog(LIMITS, now_s=0)
    assert dog.verdict(now_s=5) is None
    assert dog.verdict(now_s=5000) is None  # the server itself was stopped
    for now_s in range(5005, 5061, 5):
        assert dog.verdict(now_s=now_s) is None
    assert dog.verdict(now_s=5065) == "no sign of life for 60 s"


def test_work_that_begins_after_a_long_rest_has_its_whole_time() -> None:
    dog = Watchdog(LIMITS, now_s=0)
    for now_s in range(5, 1005, 5):
        assert dog.verdict(now_s=now_s) is None
        dog.pong(now_s=now_s, steps=7, is_busy=now_s > 900)
