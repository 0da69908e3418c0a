"""One answer while it is being given."""

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from sealift.runtime.engine.decode.answer_parser import AnswerParser, AnswerPieces
from sealift.runtime.engine.decode.constraint import Constraint
from sealift.runtime.engine.decode.detokenizer import Detokenizer
from sealift.runtime.engine.decode.sampling_row import SamplingRow
from sealift.runtime.engine.decode.slot_table import Tokens
from sealift.runtime.engine.decode.stop import StopMatcher
from sealift.runtime.engine.request import Delta, FinishReason, TokenLogprob

__all__ = ["Sequence"]


@dataclass(kw_only=True, eq=False)
class Sequence:
    """Prompt, answer so far, and what turns tokens into what the reader sees.

    Args:
        id: the request's; its answers share it.
        choice: which of the request's answers this is.
        prompt: token ids, at least one.
        row: how the next token is chosen.
        token_limit: tokens the answer may have.
        eos_token_ids: any of these ends the answer and is not part of its text.
        constraint: the form that the answer must have.
        parser: tells tool calls from text.

    Attributes:
        prefilled: tokens of the prompt that were computed or taken over.
        reused: those of them that were taken over from the cache.
        passed_over: chunks of other prompts that went before its next one.
    """

    id: int
    prompt: tuple[int, ...]
    row: SamplingRow
    token_limit: int
    eos_token_ids: frozenset[int]
    detokenizer: Detokenizer
    stop: StopMatcher
    choice: int = 0
    constraint: Constraint | None = None
    parser: AnswerParser | None = None
    prefilled: int = 0
    reused: int = 0
    passed_over: int = 0
    output: list[int] = field(default_factory=list)
    finish_reason: FinishReason | None = None
    _has_calls: bool = False
    _logprobs: list[TokenLogprob] = field(default_factory=list)

    @cached_property
    def prompt_tokens(self) -> Tokens:
        """The prompt as an array."""
        return np.array(self.prompt, np.int64)

    @property
    def cached_tokens(self) -> int:
        """Tokens that its slot holds: the newest token is fed by the next step."""
        return self.prefilled + max(0, len(self.output) - 1)

    @property
    def held_tokens(self) -> Tokens:
        """Those tokens."""
        if not self.is_prefilled:
            return self.prompt_tokens[: self.prefilled]
        return np.concatenate((self.prompt_tokens, np.array(self.output[:-1], np.int64)))

    @property
    def is_prefilled(self) -> bool:
        """True once the whole prompt has run."""
        return self.prefilled == len(self.prompt)

    @property
    def tokens_left(self) -> int:
        """Tokens that may still come."""
        return self.token_limit - len(self.output)

    def accept(self, token: int, logprob: TokenLogprob | None = None) -> Delta | None:
        """Take the token that was chosen; return what the reader may see of it, where any.

        Raises:
            EngineError: the answer's form does not allow the token.
        """
        self.output.append(token)
        self.row.accept(token)
        if token in self.eos_token_ids:
            self.finish_reason = "stop"
            return self._delta(self._rest())
        if logprob is not None:
            self._logprobs.append(logprob)
        if self.constraint is not None:
            self.constraint.accept(token)
        text = self.stop.feed(self.detokenizer.feed(token))
        if self.stop.stopped:
            self.finish_reason = "stop"
        elif self.constraint is not None and self.constraint.is_complete:
            self.finish_reason = "stop"
            text += self._rest()
        elif len(self.output) >= self.token_limit:
            self.finish_reason = "length"
            text += self._rest()
        return self._delta(text)

    def _rest(self) -> str:
        text = self.stop.feed(self.detokenizer.flush())
        if self.stop.stopped:
            self.finish_reason = "stop"
        return text + self.stop.flush()

    def _delta(self, text: str) -> Delta | None:
        pieces = self._parse(text)
        if pieces.calls:
            self._has_calls = True
        if self._has_calls and self.finish_reason == "stop":
            self.finish_reason = "tool_calls"
        if not (pieces.text or pieces.calls or self.finish_reason):
            return None  # half a character, or text that a stop string may begin with
        logprobs, self._logprobs = tuple(self._logprobs), []
        return Delta(
            id=self.id,
            choice=self.choice,
            text=pieces.text,
            calls=pieces.calls,
            logprobs=logprobs,
            prompt_tokens=len(self.prompt),
            cached_tokens=self.reused,
            completion_tokens=len(self.output),
            finish_reason=self.finish_reason,
        )

    def _parse(self, text: str) -> AnswerPieces:
        if self.parser is None:
            return AnswerPieces(text=text)
        pieces = self.parser.feed(text)
        if self.finish_reason is None:
            return pieces
        last = self.parser.flush()
        return AnswerPieces(text=pieces.text + last.text, calls=pieces.calls + last.calls)
