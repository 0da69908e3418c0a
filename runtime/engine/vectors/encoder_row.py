"""One input of an encoder: token ids, and which of two texts each belongs to.

>>> len(EncoderRow(ids=(101, 7592, 102)))
3
"""

from dataclasses import dataclass

__all__ = ["EncoderRow"]


@dataclass(frozen=True, slots=True, kw_only=True)
class EncoderRow:
    """Token ids of a text, or of a pair.

    Args:
        type_ids: 0 for each token of the first text, 1 of the second; empty: all 0.
    """

    ids: tuple[int, ...]
    type_ids: tuple[int, ...] = ()

    def __len__(self) -> int:
        return len(self.ids)
