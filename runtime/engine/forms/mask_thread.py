"""Compute which tokens forms allow while the model runs.

Both let go of the interpreter: the masks of a batch are filled by one native call in a thread while
the model's own threads do the forward pass, so that a form costs next to nothing.
"""

from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np

from sealift.runtime.engine.decode.constraint import Constraint, mask_words
from sealift.runtime.engine.decode.generator import Mask
from sealift.runtime.engine.errors import EngineError
from sealift.runtime.engine.forms.matcher import MatcherConstraint, fill_masks

__all__ = ["MaskThread"]


class MaskThread:
    """The masks of one model's batches; see `decode.generator.Masks`."""

    def __init__(self, *, slots: int, vocab_size: int) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="masks")
        self._words = np.zeros((slots, mask_words(vocab_size)), np.int32)
        self._places: list[int | None] = []
        self._filling: Future[dict[int, EngineError]] | None = None

    def start(self, constraints: Sequence[Constraint | None]) -> None:
        """Begin to fill the masks of those that have a form."""
        bound = [item for item in constraints if isinstance(item, MatcherConstraint)]
        places = iter(range(len(bound)))
        self._places = [None if item is None else next(places) for item in constraints]
        if bound:
            words = self._words[: len(bound)]
            self._filling = self._thread.submit(fill_masks, bound, words)

    def finish(self) -> list[Mask]:
        """Wait for them; return one for each of the constraints."""
        filling, self._filling = self._filling, None
        failed = {} if filling is None else filling.result()
        return [
            None if place is None else failed.get(place, self._words[place])
            for place in self._places
        ]
