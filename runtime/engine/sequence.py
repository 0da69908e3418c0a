"""One request while it is being answered."""

from dataclasses import dataclass, field

from sealift.runtime.engine.detokenizer import Decode, Detokenizer
from sealift.runtime.engine.request import Delta, FinishReason, SamplingParams
from sealift.runtime.engine.stop import StopMatcher

__all__ = ["Sequence"]


@dataclass(slots=True, kw_only=True, eq=False)
class Sequence:
    """Prompt, answer so far, and what turns tokens into text.

    Args:
        prompt: token ids, at least one.
        token_limit: tokens the answer may have.
        eos_token_ids: any of these ends the answer and is not part of its text.
    """

    id: int
    prompt: tuple[int, ...]
    sampling: SamplingParams
    token_limit: int
    eos_token_ids: frozenset[int]
    detokenizer: Detokenizer
    stop: StopMatcher
    prefilled: int = 0
    output: list[int] = field(default_factory=list)
    finish_reason: FinishReason | None = None

    @classmethod
    def start(
        cls,
        *,
        id: int,  # the word the wire uses
        prompt: tuple[int, ...],
        sampling: SamplingParams,
        token_limit: int,
        eos_token_ids: frozenset[int],
        stops: tuple[str, ...],
        decode: Decode,
    ) -> "Sequence":
        """Make a request that has not run yet."""
        return cls(
            id=id,
            prompt=prompt,
            sampling=sampling,
            token_limit=token_limit,
            eos_token_ids=eos_token_ids,
            detokenizer=Detokenizer(decode),
            stop=StopMatcher(stops),
        )

    @property
    def cached_tokens(self) -> int:
        """Tokens that its slot holds: the newest token is fed by the next step."""
        return self.prefilled + max(0, len(self.output) - 1)

    @property
    def is_prefilled(self) -> bool:
        """True once the whole prompt has run."""
        return self.prefilled == len(self.prompt)

    def accept(self, token: int) -> Delta:
        """Take the token that was chosen; return what the reader may see of it."""
        self.output.append(token)
        if token in self.eos_token_ids:
            self.finish_reason = "stop"
            return self._delta(self._rest())
        text = self.stop.feed(self.detokenizer.feed(token))
        if self.stop.stopped:
            self.finish_reason = "stop"
        elif len(self.output) >= self.token_limit:
            self.finish_reason = "length"
            text += self._rest()
        return self._delta(text)

    def _rest(self) -> str:
        text = self.stop.feed(self.detokenizer.flush())
        if self.stop.stopped:
            self.finish_reason = "stop"
        return text + self.stop.flush()

    def _delta(self, text: str) -> Delta:
        return Delta(
            id=self.id,
            text=text,
            prompt_tokens=len(self.prompt),
            completion_tokens=len(self.output),
            finish_reason=self.finish_reason,
            is_last=self.finish_reason is not None,
        )
