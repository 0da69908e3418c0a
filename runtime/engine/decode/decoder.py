"""Run a decoder's serving graph over cache slots.

Inputs `input_ids`, `seqlens_k`, `total_sequence_length`, `past_key_values.N.key|value` and, in
graphs made since it exists, `logits_from`; outputs `logits` and `present.N.key|value`. All rows of
one run have the same number of new tokens; each row has its own length. Logits are of the last
position, or of those from `logits_from` on, counted from the end.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from sealift.manifests.serving import DecoderShape
from sealift.runtime.engine.decode.kv_cache import KvCache
from sealift.runtime.engine.decode.sampler import Logits
from sealift.runtime.engine.decode.slot_table import Move
from sealift.runtime.engine.errors import LoadError
from sealift.runtime.engine.session import CPU

if TYPE_CHECKING:
    import onnxruntime

__all__ = ["OnnxDecoder"]

_LOGITS_FROM = "logits_from"

_LOGIT_TYPES: dict[str, type[np.floating]] = {
    "tensor(float)": np.float32,
    "tensor(float16)": np.float16,
}


class OnnxDecoder:
    """A session and its cache. Bindings are made once for each form of run, and kept.

    Args:
        longest_check: tokens that `check` takes at most, where the graph can tell several logits.
    """

    def __init__(
        self,
        session: "onnxruntime.InferenceSession",
        shape: DecoderShape,
        cache: KvCache,
        *,
        longest_check: int = 0,
    ) -> None:
        self._session = session
        self._cache = cache
        _check_graph(session, shape)
        self._logit_type = _LOGIT_TYPES[_output_type(session)]
        self._vocab_size = shape.vocab_size
        self._tells_several = any(item.name == _LOGITS_FROM for item in session.get_inputs())
        self._longest_check = longest_check if self._tells_several else 0
        rows = max(cache.slots, self._longest_check)
        self._logits = np.zeros((rows, shape.vocab_size), self._logit_type)
        self._bindings: dict[tuple[int, int, int], _Binding] = {}

    @property
    def longest_check(self) -> int:
        """See `generator.Decoder`."""
        return self._longest_check

    def prefill(self, slot: int, tokens: Sequence[int], total: int) -> Logits:
        """See `generator.Decoder`."""
        logits: Logits = self._run(slot, np.array([tokens], np.int64), [total])[0]
        return logits

    def decode(self, tokens: Sequence[int], totals: Sequence[int]) -> Logits:
        """See `generator.Decoder`."""
        return self._run(0, np.array(tokens, np.int64)[:, None], totals)

    def check(self, tokens: Sequence[int], total: int) -> Logits:
        """See `generator.Decoder`."""
        return self._run(0, np.array([tokens], np.int64), [total], places=len(tokens))

    def move(self, move: Move) -> None:
        """See `generator.Decoder`."""
        self._cache.move(move)

    def _run(
        self, first: int, tokens: NDArray[np.int64], totals: Sequence[int], *, places: int = 1
    ) -> Logits:
        rows = len(tokens)
        binding = self._bindings.get((first, rows, places))
        if binding is None:
            binding = self._bind(first, rows, places)
            self._bindings[first, rows, places] = binding
        binding.put(tokens, totals)
        self._session.run_with_iobinding(binding.io)
        return self._logits[: rows * places].astype(np.float32, copy=False)

    def _bind(self, first: int, rows: int, places: int) -> "_Binding":
        cache = self._cache
        io = self._session.io_binding()
        shape = [rows, cache.heads, cache.length, cache.head_size]
        for name, pointer in cache.pointers(first):
            io.bind_input(f"past_key_values.{name}", CPU, 0, cache.dtype, shape, pointer)
            io.bind_output(f"present.{name}", CPU, 0, cache.dtype, shape, pointer)
        logits = [rows, places, self._vocab_size]
        io.bind_output("logits", CPU, 0, self._logit_type, logits, self._logits.ctypes.data)
        return _Binding(io, rows=rows, places=places if self._tells_several else None)


class _Binding:
    """One form of run, and the small inputs that change at each run in memory that stays."""

    def __init__(self, io: "onnxruntime.IOBinding", *, rows: int, places: int | None) -> None:
        self.io = io
        self._tokens = np.zeros((rows, 0), np.int64)
        self._lengths = np.zeros(rows, np.int32)
        self._total = np.zeros((), np.int32)
        self._bind("seqlens_k", self._lengths)
        self._bind("total_sequence_length", self._total)
        if places is not None:
            self._from = np.array([-places], np.int64)
            self._bind(_LOGITS_FROM, self._from)

    def put(self, tokens: NDArray[np.int64], totals: Sequence[int]) -> None:
        """Set the inputs of the next run."""
        if tokens.shape == self._tokens.shape:
            self._tokens[:] = tokens
        else:
            self._tokens = tokens
            self._bind("input_ids", tokens)
        self._lengths[:] = totals
        self._lengths -= 1
        self._total[()] = max(totals)

    def _bind(self, name: str, array: NDArray[np.int32] | NDArray[np.int64]) -> None:
        self.io.bind_input(name, CPU, 0, array.dtype.type, array.shape, array.ctypes.data)


def _check_graph(session: "onnxruntime.InferenceSession", shape: DecoderShape) -> None:
    wanted = {"input_ids", "seqlens_k", "total_sequence_length"}
    wanted |= {
        f"past_key_values.{layer}.{kind}"
        for layer in range(shape.layers)
        for kind in ("key", "value")
    }
    found = {item.name for item in session.get_inputs()} - {_LOGITS_FROM}
    if found != wanted:
        odd = ", ".join(sorted(found ^ wanted)[:4])
        raise LoadError(f"serving graph: inputs missing or not expected: {odd}")
    logits = next((item for item in session.get_outputs() if item.name == "logits"), None)
    if logits is None or logits.type not in _LOGIT_TYPES:
        raise LoadError("serving graph: expected an output logits of float or float16")
    if logits.shape[-1] != shape.vocab_size:
        raise LoadError(
            f"serving graph: expected {shape.vocab_size} logits, got {logits.shape[-1]}"
        )


def _output_type(session: "onnxruntime.InferenceSession") -> str:
    kind: str = next(item.type for item in session.get_outputs() if item.name == "logits")
    return kind
