"""Rules of admission, bad first: clocks set back, releases from the future, downgrades."""

from datetime import UTC, datetime, timedelta

import pytest

from sealift.manifests.recipe import Task
from sealift.manifests.statement import SealFields
from sealift.runtime.store.admission import BUILD_TIME, admit
from sealift.runtime.store.errors import ClockError, DowngradeError
from sealift.runtime.store.state import StoreState

NOW = datetime(2027, 6, 1, tzinfo=UTC)


def _fields(*, sequence: int = 1, created: str = "2027-05-01T00:00:00Z") -> SealFields:
    return SealFields(
        manifest=f"sha256:{'a' * 64}", manifest_size=1, name="demo", version="1.0.0",
        task=Task.CHAT, sequence=sequence, created=created, audience=(), attestations=(),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("state", "created"),
    [
        (StoreState(newest_created="2027-06-02T00:00:01Z"), "2027-05-01T00:00:00Z"),
        (StoreState(last_time="2027-06-02T00:00:01Z"), "2027-05-01T00:00:00Z"),
        (StoreState(), "2027-06-02T00:00:01Z"),
        (StoreState(), "9999-12-31T23:59:59Z"),
    ],
    ids=["behind what was accepted", "behind the log", "from the future", "fast forward"],
)
def test_a_clock_more_than_a_day_behind_the_floor_is_refused(
    state: StoreState, created: str
) -> None:
    with pytest.raises(ClockError):
        admit(state, _fields(created=created), NOW, allow_downgrade=True)


def test_a_clock_before_the_tool_was_built_is_refused() -> None:
    old = _fields(created="2020-01-01T00:00:00Z")
    with pytest.raises(ClockError):
        admit(StoreState(), old, BUILD_TIME - timedelta(hours=25), allow_downgrade=False)


def test_a_day_of_slack_is_given() -> None:
    state = StoreState(last_time="2027-06-02T00:00:00Z", newest_created="2027-06-02T00:00:00Z")
    assert admit(state, _fields(), NOW, allow_downgrade=False) is False


def test_a_downgrade_needs_to_be_asked_for() -> None:
    state = StoreState(sequences={"demo": 5})
    with pytest.raises(DowngradeError, match="expected sequence 5 or more, got 4"):
        admit(state, _fields(sequence=4), NOW, allow_downgrade=False)
    assert admit(state, _fields(sequence=4), NOW, allow_downgrade=True) is True
    assert admit(state, _fields(sequence=5), NOW, allow_downgrade=False) is False
    other = StoreState(sequences={"other": 9})
    assert admit(other, _fields(sequence=1), NOW, allow_downgrade=False) is False
