"""Guess ahead for the one answer that is being given. Pure.

What the answer's form forces comes first, then what its prompt and text said before (`ngram`), as
far as it pays (`draft_policy`).
"""

from collections.abc import Sequence as Several

from sealift.runtime.engine.decode.draft_policy import DraftPolicy
from sealift.runtime.engine.decode.ngram import NgramIndex
from sealift.runtime.engine.decode.sequence import Sequence

__all__ = ["Drafter"]


class Drafter:
    """The guesses for one model's answers, one answer at a time.

    Args:
        most: tokens of the longest guess; 0: never guess.
    """

    def __init__(self, *, most: int) -> None:
        self._most = most
        self._policy = DraftPolicy(most=most)
        self._answer: Sequence | None = None
        self._index = NgramIndex(())

    def guess(self, answer: Sequence, most: int) -> Several[int]:
        """Return up to `most` tokens that may follow the answer's newest one; often none."""
        most = min(most, self._most)
        if most < 1:
            return ()
        self._catch_up(answer)
        forced = () if answer.constraint is None else tuple(answer.constraint.forced())
        if forced:
            return forced[: self._policy.forced_length(min(most, len(forced)))]
        return self._index.guess(min(most, self._policy.length(follows=self._index.follows)))

    def saw_run(self, tokens: int, seconds: float) -> None:
        """Take note of what a run over so many tokens of one answer took."""
        self._policy.saw_run(tokens, seconds)

    def _catch_up(self, answer: Sequence) -> None:
        if answer is not self._answer:
            self._answer = answer
            self._index = NgramIndex(answer.prompt)
            self._policy.start_answer()
        for token in answer.output[len(self._index) - len(answer.prompt) :]:
            follows = self._index.follows
            was_right = self._index.add(token)
            if was_right is not None:
                self._policy.saw_token(was_right=was_right, follows=follows)
