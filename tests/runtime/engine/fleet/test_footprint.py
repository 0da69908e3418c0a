"""What is reserved grows with what is measured, and never shrinks."""

import logging

import pytest

from sealift.runtime.engine.fleet.footprint import Footprint
from sealift.runtime.engine.fleet.memory_estimate import MemoryEstimate

GUESS = MemoryEstimate(base_bytes=10, weight_bytes=50, work_bytes=20, cache_bytes=20)


def test_nothing_is_known_before_the_estimate() -> None:
    footprint = Footprint("chat:1.0.0")
    assert not footprint.measured(1000, is_fresh=False)
    assert (footprint.size_bytes, footprint.uncached_bytes) == (None, 0)


def test_the_larger_of_estimate_and_measure_is_reserved(caplog: pytest.LogCaptureFixture) -> None:
    footprint = Footprint("chat:1.0.0")
    footprint.estimate = GUESS
    assert (footprint.size_bytes, footprint.uncached_bytes) == (100, 80)
    assert not footprint.measured(90, is_fresh=False)
    assert footprint.measured(120, is_fresh=False)
    assert not footprint.measured(110, is_fresh=False)
    assert footprint.size_bytes == 120
    assert not caplog.records


def test_a_misjudgement_is_said_once(caplog: pytest.LogCaptureFixture) -> None:
    footprint = Footprint("chat:1.0.0")
    footprint.estimate = GUESS
    with caplog.at_level(logging.WARNING):
        footprint.measured(1000, is_fresh=False)
        footprint.measured(2000, is_fresh=False)
    assert [record.message for record in caplog.records] == [
        "chat:1.0.0: its memory was misjudged: 1000 bytes measured, at most 100 estimated"
    ]
