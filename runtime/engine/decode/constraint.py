"""What the engine needs of something that limits an answer to a form, token by token."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

__all__ = ["Constraint", "MaskWords", "mask_words"]

#: One bit a token, least significant first, `[ceil(vocabulary / 32)]`; 1 means allowed.
MaskWords = NDArray[np.int32]


def mask_words(vocab_size: int) -> int:
    """Return how many words a mask has.

    >>> mask_words(33)
    2
    """
    return (vocab_size + 31) // 32


class Constraint(Protocol):
    """The state of one answer's form. Not safe for two threads at once."""

    @property
    def is_complete(self) -> bool:
        """True once nothing but the end of the answer may follow."""
        ...

    def fill(self, mask: MaskWords) -> None:
        """Write which tokens may come next; may take long, and lets other threads run."""
        ...

    def accept(self, token: int) -> None:
        """Take the token that was chosen.

        Raises:
            EngineError: the mask did not allow it.
        """
        ...

    def forced(self) -> Sequence[int]:
        """Return tokens that must come next, whatever the model says; often none."""
        ...
