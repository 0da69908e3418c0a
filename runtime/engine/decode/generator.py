"""Answer many conversations with one decoder: `step()` = schedule, run, sample, postprocess.

Knows nothing of onnxruntime, sockets or threads; time comes in as a clock.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import msgspec

from sealift.runtime.engine.decode.constraint import Constraint, MaskWords
from sealift.runtime.engine.decode.drafter import Drafter
from sealift.runtime.engine.decode.sampler import Logits, TokenChoice, choose
from sealift.runtime.engine.decode.scheduler import Decode, Idle, Prefill, Scheduler
from sealift.runtime.engine.decode.sequence import Sequence as Answer
from sealift.runtime.engine.decode.slot_table import Move
from sealift.runtime.engine.errors import EngineError, to_wire
from sealift.runtime.engine.request import Delta, Failed, TokenLogprob, TopLogprob

__all__ = ["Decoder", "Generator", "Mask", "Masks"]


#: A row's mask; None: all tokens are allowed; an error: the form's own, for this answer alone.
Mask = MaskWords | EngineError | None


class Decoder(Protocol):
    """What a generator needs of a model; tests have one without weights.

    All logits are only good until the next call.
    """

    @property
    def longest_check(self) -> int:
        """Tokens that `check` takes at most; 0: it cannot."""
        ...

    def prefill(self, slot: int, tokens: Sequence[int], total: int) -> Logits:
        """Append tokens to a slot that holds `total` after it; return the last one's logits."""
        ...

    def decode(self, tokens: Sequence[int], totals: Sequence[int]) -> Logits:
        """Append one token to each of the slots `0..n-1`; return `[n, vocabulary]`."""
        ...

    def check(self, tokens: Sequence[int], total: int) -> Logits:
        """Append tokens to slot 0, which holds `total` after it; return every one's logits."""
        ...

    def move(self, move: Move) -> None:
        """Copy or exchange slots."""
        ...


class Masks(Protocol):
    """Computes which tokens forms allow, beside the model where it can."""

    def start(self, constraints: Sequence[Constraint | None]) -> None:
        """Begin; the constraints are not touched by others before `finish`."""
        ...

    def finish(self) -> Sequence[Mask]:
        """Return the masks, good until the next `start`."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Generator:
    """A decoder, the schedule of its slots, and who guesses ahead.

    Args:
        token_bytes: the bytes of a token, for log probabilities.
    """

    decoder: Decoder
    scheduler: Scheduler
    masks: Masks
    drafter: Drafter
    token_bytes: Callable[[int], bytes]
    clock: Callable[[], float]
    _open: Counter[int] = field(default_factory=Counter)

    @property
    def has_work(self) -> bool:
        """True while an answer is unfinished."""
        return bool(self._open)

    def submit(self, *answers: Answer) -> None:
        """Queue the answers of one request; raises `QueueFullError`."""
        self.scheduler.submit(*answers)
        self._open[answers[0].id] += len(answers)

    def cancel(self, request_id: int) -> None:
        """Forget a request; its slots are free before the next step."""
        for answer in self.scheduler.find(request_id):
            self.scheduler.remove(answer)
        self._open.pop(request_id, None)

    def step(self) -> list[Delta | Failed]:
        """Run one piece of work; return what it added to answers."""
        work = self.scheduler.next()
        for move in self.scheduler.take_moves():
            self.decoder.move(move)
        started = self.clock()
        match work:
            case Prefill(sequence=answer, slot=slot, start=start, stop=stop):
                ends = stop == len(answer.prompt)
                self.masks.start((answer.constraint,) if ends else ())
                logits = self.decoder.prefill(slot, answer.prompt[start:stop], stop)
                masks = self.masks.finish()
                self.scheduler.ran(work, self.clock() - started)
                return self._accept((answer,), logits[None], masks) if ends else []
            case Decode(sequences=(answer,)) if guess := self._guess(answer):
                return self._check(work, answer, guess, started)
            case Decode(sequences=answers):
                self.masks.start([answer.constraint for answer in answers])
                logits = self.decoder.decode(
                    [answer.output[-1] for answer in answers],
                    [answer.cached_tokens + 1 for answer in answers],
                )
                masks = self.masks.finish()
                seconds = self.clock() - started
                self.scheduler.ran(work, seconds)
                if len(answers) == 1:
                    self.drafter.saw_run(1, seconds)
                return self._accept(answers, logits, masks)
            case Idle():
                return []

    def _guess(self, answer: Answer) -> Sequence[int]:
        # The last token of the answer needs no run after it.
        most = min(self.decoder.longest_check, answer.tokens_left) - 1
        return self.drafter.guess(answer, most) if most > 0 else ()

    def _check(
        self, work: Decode, answer: Answer, guess: Sequence[int], started: float
    ) -> list[Delta | Failed]:
        """Run the newest token and those guessed to follow; keep them as far as they are right.

        Each place is sampled as a step of its own would: with its own draw, penalties and mask. So
        the answer is the same as without guesses, greedy or not.
        """
        tokens = (answer.output[-1], *guess)
        logits = self.decoder.check(tokens, answer.cached_tokens + len(tokens))
        seconds = self.clock() - started
        self.drafter.saw_run(len(tokens), seconds)
        replies: list[Delta | Failed] = []
        for place, guessed in enumerate((*guess, None)):
            self.masks.start((answer.constraint,))
            replies += self._accept((answer,), logits[place : place + 1], self.masks.finish())
            if not self._is_open(answer) or answer.output[-1] != guessed:
                break
        self.scheduler.ran(work, seconds)
        return _merged(replies)

    def _is_open(self, answer: Answer) -> bool:
        return answer.finish_reason is None and answer.id in self._open

    def _accept(
        self, answers: tuple[Answer, ...], logits: Logits, masks: Sequence[Mask]
    ) -> list[Delta | Failed]:
        """Choose each row's token; an answer that fails takes nobody with it."""
        replies: list[Delta | Failed] = []
        failed: list[int] = []
        for place, answer in enumerate(answers):
            try:
                delta = self._extend(answer, logits[place : place + 1], masks[place])
            except EngineError as error:
                replies.append(Failed(id=answer.id, error=to_wire(error)))
                failed.append(answer.id)
                continue
            if delta is not None:
                replies.append(delta)
        # Only now: until each row has its token, rows cannot say what their slots hold.
        for request_id in failed:
            self.cancel(request_id)
        return [self._close(reply) for reply in replies]

    def _extend(self, answer: Answer, logits: Logits, mask: Mask) -> Delta | None:
        if isinstance(mask, EngineError):
            raise mask
        (choice,) = choose(logits, [answer.row], [mask])
        return answer.accept(choice.token, self._logprob(choice))

    def _logprob(self, choice: TokenChoice) -> TokenLogprob | None:
        if choice.logprob is None:
            return None
        return TokenLogprob(
            token=self.token_bytes(choice.token),
            logprob=choice.logprob.logprob,
            top=tuple(
                TopLogprob(token=self.token_bytes(token), logprob=value)
                for token, value in choice.logprob.top
            ),
        )

    def _close(self, reply: Delta | Failed) -> Delta | Failed:
        """Let go of an answer that is complete; mark the last reply of its request."""
        if isinstance(reply, Failed) or reply.finish_reason is None:
            return reply
        for answer in self.scheduler.find(reply.id):
            if answer.choice == reply.choice:
                self.scheduler.remove(answer)
        self._open[reply.id] -= 1
        if self._open[reply.id] > 0:
            return reply
        del self._open[reply.id]
        return msgspec.structs.replace(reply, is_last=True)


def _merged(replies: list[Delta | Failed]) -> list[Delta | Failed]:
    """Return the replies of one answer's run as few as they can be."""
    deltas = [reply for reply in replies if isinstance(reply, Delta)]
    if len(deltas) < 2:
        return replies
    whole = msgspec.structs.replace(
        deltas[-1],
        text="".join(delta.text for delta in deltas),
        calls=tuple(call for delta in deltas for call in delta.calls),
        logprobs=tuple(item for delta in deltas for item in delta.logprobs),
    )
    return [whole, *(reply for reply in replies if isinstance(reply, Failed))]
