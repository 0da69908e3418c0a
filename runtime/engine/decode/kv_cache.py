"""The attention cache: one buffer a layer and kind, `[slots, kv_heads, length, head_size]`.

A contiguous range of slots is a view: base pointer plus offset. The same pointer is bound as past
and as present, so GroupQueryAttention appends in place and nothing is copied. Pages are touched
when tokens reach them, so an empty slot costs address space and no memory.
"""

import numpy as np
from numpy.typing import NDArray

from sealift.manifests.serving import DecoderShape
from sealift.runtime.engine.decode.slot_table import Copy, Move, Swap
from sealift.runtime.engine.errors import LoadError

__all__ = ["KvCache", "cache_length"]

_KV_TYPES: dict[str, type[np.floating]] = {"float32": np.float32, "float16": np.float16}


def cache_length(shape: DecoderShape, *, slots: int, context_length: int, budget_bytes: int) -> int:
    """Return how many tokens a slot can hold when all are full and memory still suffices.

    Raises:
        LoadError: not even a short conversation fits.
    """
    fits = budget_bytes // (slots * shape.token_bytes)
    length = min(context_length, fits)
    if length < min(context_length, 256):
        raise LoadError(
            f"cache: {slots} slots of {min(context_length, 256)} tokens need "
            f"{slots * min(context_length, 256) * shape.token_bytes} bytes, "
            f"{budget_bytes} are allowed",
            hint="serve with fewer slots, or on a host with more memory",
        )
    return length


class KvCache:
    """The buffers of all layers."""

    def __init__(self, shape: DecoderShape, *, slots: int, length: int) -> None:
        self.dtype = _kv_type(shape)
        self.slots = slots
        self.length = length
        self.heads = shape.kv_heads
        self.head_size = shape.head_size
        self._buffers: dict[tuple[int, str], NDArray[np.floating]] = {
            (layer, kind): np.zeros((slots, self.heads, length, self.head_size), self.dtype)
            for layer in range(shape.layers)
            for kind in ("key", "value")
        }

    def pointers(self, first_slot: int) -> list[tuple[str, int]]:
        """Return `("<layer>.<kind>", address)` of every buffer from this slot on."""
        return [
            (f"{layer}.{kind}", buffer[first_slot:].ctypes.data)
            for (layer, kind), buffer in self._buffers.items()
        ]

    def move(self, move: Move) -> None:
        """Copy one slot's tokens to another slot, or exchange two slots."""
        match move:
            case Copy(source=source, target=target, tokens=tokens):
                for buffer in self._buffers.values():
                    buffer[target, :, :tokens] = buffer[source, :, :tokens]
            case Swap(first=first, second=second, first_tokens=there, second_tokens=here):
                for buffer in self._buffers.values():
                    kept = buffer[second, :, :here].copy()
                    buffer[second, :, :there] = buffer[first, :, :there]
                    buffer[first, :, :here] = kept


def _kv_type(shape: DecoderShape) -> type[np.floating]:
    kind = _KV_TYPES.get(shape.kv_dtype)
    if kind is None:
        raise LoadError(f"cache type: expected {' or '.join(_KV_TYPES)}, got {shape.kv_dtype!r}")
    return kind
