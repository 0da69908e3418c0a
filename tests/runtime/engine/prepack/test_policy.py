"""What stays in the cache of prepacked weights."""

import pytest

from sealift.runtime.engine.prepack.policy import EntryFacts, expected_bytes, make_room
from sealift.runtime.engine.prepack_spec import is_entry_name, is_partial_name, partial_prefix

ENTRIES = [
    EntryFacts(name="new", size_bytes=30, used_ns=30),
    EntryFacts(name="old", size_bytes=40, used_ns=10),
    EntryFacts(name="mid", size_bytes=20, used_ns=20),
]


@pytest.mark.parametrize(
    ("needed", "budget", "free", "removed"),
    [
        (0, 90, 0, ()),
        (10, 100, 10, ()),
        (11, 100, 1000, ("old",)),
        (60, 100, 1000, ("old", "mid")),
        (100, 100, 1000, ("old", "mid", "new")),
        (101, 100, 1000, None),  # larger than all of the cache
        (0, 89, 0, ("old",)),  # the last one was larger than expected
        (50, 1000, 10, ("old",)),  # the disk is what is short
        (50, 1000, 9, ("old", "mid")),
        (50, 1000, -50, None),  # it stays short: nothing is removed for no gain
        (5, 4, 1000, None),
    ],
)
def test_the_longest_unused_goes_first(
    needed: int, budget: int, free: int, removed: tuple[str, ...] | None
) -> None:
    found = make_room(ENTRIES, needed_bytes=needed, budget_bytes=budget, free_bytes=free)
    assert found == removed


def test_an_entry_is_expected_to_hold_the_weights_twice() -> None:
    assert 2 * 270_981_120 < 549_059_197 < expected_bytes(270_981_120)  # as measured


@pytest.mark.parametrize(
    ("name", "is_entry"),
    [
        (f"{'0a' * 32}.cpu-int4", True),
        (f"{'0a' * 32}", False),
        (f"{'0A' * 32}.cpu-int4", False),
        ("documents", False),
        (f"{'0a' * 32}.cpu-int4\n", False),
        ("..", False),
    ],
)
def test_only_our_own_names_are_ever_removed(name: str, is_entry: bool) -> None:
    assert is_entry_name(name) is is_entry
    assert is_partial_name(f"{partial_prefix(name)}abc_12") is is_entry
    assert not is_partial_name(name)
