"""Know what each slot of the cache holds, and find a place for the next prompt. Pure.

Slots `0..k-1` are in use; those from `k` on hold what finished requests left behind, and serve as a
cache: a prompt that begins like one of them (a longer conversation, a shared system prompt) takes
the common prefix and computes only the rest. The least recently used one makes room.

>>> table = SlotTable(slots=2)
>>> table.enter([5, 6, 7], at=0), table.leave_behind(0, [5, 6, 7, 8])
((0, ()), None)
>>> table.enter([5, 6, 9], at=0)
(2, (Copy(source=0, target=1, tokens=4),))
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Copy", "Move", "SlotTable", "Swap", "Tokens", "common_prefix"]

Tokens = NDArray[np.int64]

_NOTHING: Tokens = np.zeros(0, np.int64)
# A cached conversation that the new prompt repeats but for this many tokens is continued in place:
# chat templates close a turn with a few tokens that differ from how it was generated.
_SPENT_TOKENS = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Copy:
    """Copy the first `tokens` of slot `source` to slot `target`."""

    source: int
    target: int
    tokens: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Swap:
    """Exchange two slots, of which the first tokens matter."""

    first: int
    second: int
    first_tokens: int
    second_tokens: int


Move = Copy | Swap


def common_prefix(one: Tokens, other: Tokens) -> int:
    """Return how many tokens two prompts begin with alike."""
    shorter = min(len(one), len(other))
    differs = one[:shorter] != other[:shorter]
    return int(differs.argmax()) if differs.any() else shorter


class SlotTable:
    """The tokens whose keys and values lie in each slot.

    What a slot in use holds grows with each step: its owner tells with `hold` before `enter` may
    look for prefixes in it.
    """

    def __init__(self, *, slots: int) -> None:
        self._held: list[Tokens] = [_NOTHING] * slots
        self._used_at = [-1] * slots
        self._clock = 0

    def __len__(self) -> int:
        return len(self._held)

    def hold(self, slot: int, tokens: Sequence[int] | Tokens) -> None:
        """Take note of what a slot in use holds now."""
        self._held[slot] = np.asarray(tokens, np.int64)

    def leave_behind(self, slot: int, tokens: Sequence[int] | Tokens) -> None:
        """Keep what a finished request computed, as the most recently used."""
        self.hold(slot, tokens)
        self._clock += 1
        self._used_at[slot] = self._clock

    def longest_prefix(self, prompt: Sequence[int] | Tokens) -> int:
        """Return how much of a prompt is in some slot."""
        wanted = np.asarray(prompt, np.int64)
        return max((common_prefix(held, wanted) for held in self._held), default=0)

    def enter(self, prompt: Sequence[int] | Tokens, *, at: int) -> tuple[int, tuple[Move, ...]]:
        """Give slot `at`, the first that is not in use, to a new prompt.

        Returns:
            How many of the prompt's tokens the slot holds after the moves (at least one is always
            left to compute, for its logits), and the moves, in order.
        """
        wanted = np.asarray(prompt, np.int64)
        shared = [common_prefix(held, wanted) for held in self._held]
        source = max(range(len(shared)), key=lambda slot: (shared[slot], slot == at))
        reused = min(shared[source], len(wanted) - 1)
        moves = self._make_room(source, reused, at)
        self._held[at] = wanted[:reused]
        self._used_at[at] = -1
        return reused, moves

    def swap(self, first: int, second: int) -> tuple[Move, ...]:
        """Exchange two slots."""
        if first == second:
            return ()
        one, other = self._held[first], self._held[second]
        self._exchange(first, second)
        if not len(one) and not len(other):
            return ()
        if not len(one) or not len(other):
            source, target = (first, second) if len(one) else (second, first)
            return (Copy(source=source, target=target, tokens=max(len(one), len(other))),)
        return (Swap(first=first, second=second, first_tokens=len(one), second_tokens=len(other)),)

    def _make_room(self, source: int, reused: int, at: int) -> tuple[Move, ...]:
        if not reused:
            return self._push_out(at, self._oldest(at))
        is_spent = source >= at and len(self._held[source]) <= reused + _SPENT_TOKENS
        victim = source if is_spent else self._oldest(at)
        if victim == source:
            # Its own place is where it would be lost: bring it here, and what was here there.
            return self.swap(at, source)
        moves = self._push_out(at, victim)
        if source == at:
            return moves  # what was copied away is still here, too
        return (*moves, Copy(source=source, target=at, tokens=reused))

    def _oldest(self, at: int) -> int:
        return min(range(at, len(self._held)), key=lambda slot: (self._used_at[slot], slot != at))

    def _push_out(self, slot: int, victim: int) -> tuple[Move, ...]:
        """Copy what a slot holds over the victim's."""
        tokens = len(self._held[slot])
        if slot == victim or not tokens:
            return ()
        self._held[victim] = self._held[slot]
        self._used_at[victim] = self._used_at[slot]
        return (Copy(source=slot, target=victim, tokens=tokens),)

    def _exchange(self, first: int, second: int) -> None:
        held, used_at = self._held, self._used_at
        held[first], held[second] = held[second], held[first]
        used_at[first], used_at[second] = used_at[second], used_at[first]
