"""One answer's state in a compiled form: which tokens may come next.

Guarantee: an answer whose every token the masks allowed, and that ended where they allowed the end,
has the form. A form that becomes too complex half-way ends its own answer with an error and no
other one.

    failed = fill_masks(constraints, masks)   # one call for a whole batch, without the GIL
"""

import threading
from collections.abc import Sequence
from functools import cache

import llguidance
import llguidance.numpy
import numpy as np
from numpy.typing import NDArray

from sealift.runtime.engine.decode.constraint import MaskWords, mask_words
from sealift.runtime.engine.errors import EngineError

__all__ = ["MatcherConstraint", "fill_masks"]

_ERROR_CHARS = 300


class MatcherConstraint:
    """A `Constraint` on an llguidance matcher.

    Args:
        matcher: of this answer alone.
        vocab_size: of the model's logits.
        index_size: of the tokenizer's index, at least `vocab_size`.
    """

    def __init__(self, matcher: llguidance.LLMatcher, *, vocab_size: int, index_size: int) -> None:
        self._matcher = matcher
        self._words = mask_words(vocab_size)
        self._vocab_size = vocab_size
        # A tokenizer can know more tokens than the model has logits: their bits are cut off.
        self._wide = np.zeros(mask_words(index_size), np.int32) if index_size > vocab_size else None

    @property
    def is_complete(self) -> bool:
        """True once nothing but the end of the answer may follow."""
        return self._matcher.is_stopped() and not self._matcher.is_error()

    def fill(self, mask: MaskWords) -> None:
        """Write which tokens may come next, without the GIL.

        Raises:
            EngineError: the form became too complex here.
        """
        self._check_mask(mask)
        target = mask if self._wide is None else self._wide
        self._matcher.unsafe_compute_mask_ptr(target.ctypes.data, target.nbytes)
        self._finish(mask)

    def accept(self, token: int) -> None:
        """Take the token that was chosen.

        Raises:
            EngineError: the mask did not allow it.
        """
        self._matcher.consume_token(token)
        self._check()

    def forced(self) -> Sequence[int]:
        """Return tokens that must come next, whatever the model says; often none."""
        tokens = self._matcher.compute_ff_tokens()
        self._check()
        return tokens

    def _check_mask(self, mask: MaskWords) -> None:
        if mask.dtype != np.int32 or mask.shape != (self._words,) or not mask.flags.c_contiguous:
            # The address is handed to native code, which would write past a shorter one.
            raise ValueError(f"mask: expected {self._words} adjacent int32, got {mask.shape}")

    def _finish(self, mask: MaskWords) -> None:
        self._check()
        if self._wide is not None:
            mask[:] = self._wide[: self._words]
            if rest := self._vocab_size % 32:
                mask[-1] &= (1 << rest) - 1

    def _check(self) -> None:
        if self._matcher.is_error():
            raise _error(self._matcher.get_error())


def fill_masks(
    constraints: Sequence[MatcherConstraint], masks: NDArray[np.int32]
) -> dict[int, EngineError]:
    """Write each answer's mask into its row, in one call without the GIL.

    Args:
        masks: `[len(constraints), words]`.

    Returns:
        The rows that failed and why; the others are right.
    """
    failed: dict[int, EngineError] = {}
    together = [(row, item) for row, item in enumerate(constraints) if item._wide is None]
    for row, item in enumerate(constraints):
        item._check_mask(masks[row])
    # Given one row, the executor would hand it to its thread and wait all the same.
    if len(together) > 1 and masks.flags.c_contiguous:
        matchers = [(item._matcher, row) for row, item in together]
        with _EXECUTOR_LOCK:
            llguidance.numpy.fill_next_token_bitmask_par(_executor(), matchers, masks)
    else:
        together = []
    done = {row for row, _ in together}
    for row, item in enumerate(constraints):
        try:
            item._finish(masks[row]) if row in done else item.fill(masks[row])
        except EngineError as error:
            failed[row] = error
    return failed


_EXECUTOR_LOCK = threading.Lock()


@cache
def _executor() -> llguidance.LLExecutor:
    # One thread: the model's forward pass, beside which this runs, has the other cores.
    return llguidance.LLExecutor(num_threads=1)


def _error(message: str) -> EngineError:
    reason = " ".join(message.partition("\n")[0].split())[:_ERROR_CHARS]
    return EngineError(
        f"structured output: the form cannot be followed further: {reason}",
        hint="a simpler schema, pattern or grammar avoids this",
    )
