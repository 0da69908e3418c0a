"""Count the tokens of a chat's answers, and know when all of them are complete. Pure.

>>> tally = Tally(choices=1)
>>> tally.add(Delta(id=1, text="hi", prompt_tokens=5, completion_tokens=1, finish_reason="stop"))
>>> tally.usage()["total_tokens"]
6
"""

from sealift.manifests.strict_json import JsonValue
from sealift.runtime.engine.errors import EngineError
from sealift.runtime.engine.request import Delta

__all__ = ["Tally"]


class Tally:
    """The counts of one request: its prompt counts once, however many answers it has.

    Args:
        choices: how many answers were asked for.
    """

    def __init__(self, *, choices: int) -> None:
        self.prompt_tokens = 0
        self.cached_tokens = 0
        self._completion = [0] * choices
        self._reasons: list[str | None] = [None] * choices

    @property
    def completion_tokens(self) -> int:
        """Tokens of all answers."""
        return sum(self._completion)

    @property
    def finish_reason(self) -> str | None:
        """Why the answers ended, each reason once; None while all go on."""
        reasons = dict.fromkeys(reason for reason in self._reasons if reason is not None)
        return ",".join(reasons) or None

    @property
    def finish_reasons(self) -> tuple[str, ...]:
        """Why each answer ended.

        Raises:
            EngineError: one did not.
        """
        reasons = tuple(reason for reason in self._reasons if reason is not None)
        if len(reasons) < len(self._reasons):
            raise EngineError(
                f"the worker gave {len(reasons)} answers, expected {len(self._reasons)}"
            )
        return reasons

    def add(self, delta: Delta) -> None:
        """Take the counts of more of an answer.

        Raises:
            EngineError: nobody asked for such an answer.
        """
        if not 0 <= delta.choice < len(self._completion):
            raise EngineError(
                f"the worker gave answer {delta.choice}, expected 0 to {len(self._completion) - 1}"
            )
        self.prompt_tokens = delta.prompt_tokens
        self.cached_tokens = max(self.cached_tokens, delta.cached_tokens)
        self._completion[delta.choice] = delta.completion_tokens
        if delta.finish_reason is not None:
            self._reasons[delta.choice] = delta.finish_reason

    def usage(self) -> dict[str, JsonValue]:
        """Return OpenAI's usage object."""
        completion = self.completion_tokens
        return {
            "prompt_tokens": self.prompt_tokens,
            "completion_tokens": completion,
            "total_tokens": self.prompt_tokens + completion,
            "prompt_tokens_details": {"cached_tokens": self.cached_tokens, "audio_tokens": 0},
            # No kind of token is counted apart here.
            "completion_tokens_details": {
                "reasoning_tokens": 0,
                "audio_tokens": 0,
                "accepted_prediction_tokens": 0,
                "rejected_prediction_tokens": 0,
            },
        }
