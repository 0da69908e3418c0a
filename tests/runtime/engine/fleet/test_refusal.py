"""A refused model is not tried again for a while, and those who ask are told why."""

import pytest

from sealift.runtime.engine.errors import LoadError
from sealift.runtime.engine.fleet.refusal import Refusal


def test_the_reason_holds_for_its_time() -> None:
    refusal = Refusal(hold_s=10)
    refusal.check(now_s=0)
    refusal.note(LoadError("no variant"), now_s=5)
    with pytest.raises(LoadError, match="no variant"):
        refusal.check(now_s=14.9)
    refusal.check(now_s=15)
    assert not refusal.is_held(now_s=15)


def test_a_load_lifts_it() -> None:
    refusal = Refusal(hold_s=10)
    refusal.note(LoadError("no variant"), now_s=5)
    refusal.lift()
    refusal.check(now_s=6)
