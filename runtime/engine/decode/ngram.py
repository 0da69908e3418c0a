"""Guess how an answer goes on: as it went on the last time the same few tokens stood there. Pure.

Answers that quote, edit or extract repeat long runs of their prompt (prompt lookup decoding, Saxena
2023). The guess costs a dictionary lookup; the model checks it, so a wrong one changes nothing.

>>> index = NgramIndex([1, 2, 3, 4, 5, 1, 2, 3])
>>> index.guess(4)
(4, 5, 1, 2)
"""

from collections.abc import Iterable

__all__ = ["NgramIndex"]

_SIZE = 3


class NgramIndex:
    """The tokens of prompt and answer so far, and where each run of three was last seen."""

    def __init__(self, tokens: Iterable[int]) -> None:
        self._tokens: list[int] = []
        self._after: dict[tuple[int, int, int], int] = {}
        self._source: int | None = None
        self._resume: int | None = None
        self._follows = False
        for token in tokens:
            self._append(token)

    def __len__(self) -> int:
        return len(self._tokens)

    @property
    def follows(self) -> bool:
        """True where a guess would go on where a right one ended."""
        return self._follows

    def add(self, token: int) -> bool | None:
        """Take the token that was chosen; return whether a guess had it, where there was one."""
        source = self._find()
        if source is None:
            self._append(token)
            return None
        is_right = self._tokens[source] == token
        # Where a right run ends, often one word was replaced and the text goes on behind it.
        self._resume = source + 1 if self._follows and not is_right else None
        self._source = source + 1 if is_right else None
        self._follows = is_right
        self._append(token)
        return self._follows

    def guess(self, count: int) -> tuple[int, ...]:
        """Return up to `count` tokens that may come next; often none."""
        source = self._find()
        return () if source is None else tuple(self._tokens[source : source + count])

    def _find(self) -> int | None:
        if self._source is None and len(self._tokens) >= _SIZE:
            one, two, three = self._tokens[-_SIZE:]
            self._source = self._after.get((one, two, three), self._resume)
        return self._source

    def _append(self, token: int) -> None:
        known = self._tokens
        if len(known) >= _SIZE:
            # Only now is the run before this token one that is followed by something.
            self._after[known[-3], known[-2], known[-1]] = len(known)
        known.append(token)
