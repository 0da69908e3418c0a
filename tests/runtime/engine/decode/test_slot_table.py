"""What slots hold after any sequence of entering, leaving and swapping."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sealift.runtime.engine.decode.slot_table import Copy, Move, SlotTable, Swap, common_prefix


@pytest.mark.parametrize(
    ("one", "other", "shared"),
    [([], [], 0), ([1], [], 0), ([1, 2], [1, 3], 1), ([1, 2], [1, 2, 3], 2), ([4], [5], 0)],
)
def test_common_prefix(one: list[int], other: list[int], shared: int) -> None:
    assert common_prefix(np.array(one, np.int64), np.array(other, np.int64)) == shared


def test_a_conversation_that_goes_on_is_continued_where_it_is() -> None:
    table = SlotTable(slots=3)
    table.enter([1, 2, 3], at=0)
    table.leave_behind(0, [1, 2, 3, 4])
    assert table.enter([1, 2, 3, 4, 5, 6], at=0) == (4, ())


def test_a_shared_beginning_is_copied_and_stays_for_the_next() -> None:
    table = SlotTable(slots=3)
    system = list(range(100, 150))
    table.enter([*system, 1], at=0)
    table.leave_behind(0, [*system, 1, *range(30)])
    reused, moves = table.enter([*system, 2], at=0)
    assert reused == 50
    assert moves == (Copy(source=0, target=1, tokens=81),), "what was there is kept elsewhere"
    table.leave_behind(0, [*system, 2, *range(40, 60)])
    assert table.longest_prefix([*system, 1, *range(30)]) == 81


def test_what_was_used_least_recently_makes_room() -> None:
    table = SlotTable(slots=2)
    for first in (10, 20, 30):
        table.enter([first, 1, 2], at=0)
        table.leave_behind(0, [first, 1, 2])
    assert [table.longest_prefix([first, 1, 2]) for first in (10, 20, 30)] == [0, 3, 3]


def test_the_last_token_of_a_prompt_is_never_taken_over() -> None:
    table = SlotTable(slots=1)
    table.leave_behind(0, [1, 2, 3])
    assert table.enter([1, 2, 3], at=0)[0] == 2
    table.leave_behind(0, [1])
    assert table.enter([1], at=0)[0] == 0


def test_a_running_slot_lends_its_beginning() -> None:
    table = SlotTable(slots=2)
    table.enter([1, 2, 3, 4], at=0)
    table.hold(0, [1, 2, 3, 4])
    assert table.enter([1, 2, 3, 9], at=1) == (3, (Copy(source=0, target=1, tokens=3),))


@given(st.data())
def test_moves_do_what_the_table_says(data: st.DataObject) -> None:
    slots = data.draw(st.integers(1, 5))
    table = SlotTable(slots=slots)
    cache: list[list[int]] = [[] for _ in range(slots)]
    used: list[list[int]] = []  # what the slots in use hold
    for _ in range(data.draw(st.integers(1, 25))):
        if len(used) < slots and data.draw(st.booleans()):
            prompt = data.draw(st.lists(st.integers(1, 2), min_size=1, max_size=9))
            reused, moves = table.enter(prompt, at=len(used))
            _make(cache, moves)
            assert cache[len(used)][:reused] == prompt[:reused]
            assert reused < len(prompt)
            cache[len(used)] = [*prompt, 7]
            table.hold(len(used), cache[len(used)])
            used.append(list(cache[len(used)]))
        elif used:
            leaving, last = data.draw(st.integers(0, len(used) - 1)), len(used) - 1
            table.leave_behind(leaving, used[leaving])
            _make(cache, table.swap(leaving, last))
            used[leaving] = used[last]
            used.pop()
        for slot, tokens in enumerate(used):
            assert cache[slot][: len(tokens)] == tokens, "a request in use lost its tokens"


def _make(cache: list[list[int]], moves: tuple[Move, ...]) -> None:
    for move in moves:
        match move:
            case Copy(source=source, target=target, tokens=tokens):
                assert len(cache[source]) >= tokens
                cache[target] = cache[source][:tokens]
            case Swap(first=one, second=other, first_tokens=there, second_tokens=here):
                cache[one], cache[other] = cache[other][:here], cache[one][:there]
