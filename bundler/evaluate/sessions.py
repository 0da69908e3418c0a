"""ONNX Runtime sessions for an evaluation: the graphs exactly as they will be served.

`GreedyDecoder` runs the serving graph the way the engine does: one cache buffer a layer and kind,
bound as past and present at once.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from sealift.bundler.export.serving_graph import LOGITS_FROM
from sealift.manifests.serving import DecoderShape
from sealift.manifests.telemetry import disable_telemetry

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, np.dtype[Any]]

__all__ = ["Answers", "FullLogits", "GreedyDecoder", "open_session"]

_ERRORS_ONLY = 3
_PAST = "past_key_values."


def open_session(path: Path) -> Any:
    """Open a graph on the CPU."""
    disable_telemetry()
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = _ERRORS_ONLY
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


class FullLogits:
    """The untouched decoder graph, asked for the logits of every position."""

    def __init__(self, path: Path, shape: DecoderShape) -> None:
        import numpy as np

        self._session = open_session(path)
        empty = np.zeros((1, shape.kv_heads, 0, shape.head_size), np.float32)
        self._caches = dict.fromkeys(_cache_inputs(self._session), empty)

    def __call__(self, ids: list[int]) -> "Array":
        """Return `[positions, vocabulary]`."""
        import numpy as np

        row = np.array([ids], np.int64)
        feeds = {"input_ids": row, "attention_mask": np.ones_like(row), **self._caches}
        logits: Array = self._session.run(["logits"], feeds)[0][0]
        return logits


class GreedyDecoder:
    """The serving graph with a cache of its own, for rows of equal length."""

    def __init__(self, path: Path, shape: DecoderShape, *, rows: int, max_length: int) -> None:
        import numpy as np

        self._session = open_session(path)
        self._shape = (rows, shape.kv_heads, max_length, shape.head_size)
        self._cache = {
            name.removeprefix(_PAST): np.zeros(self._shape, np.float32)
            for name in _cache_inputs(self._session)
        }

    def generate(
        self, rows: list[list[int]], *, new_tokens: int, eos: frozenset[int]
    ) -> list[tuple[int, ...]]:
        """Continue each row greedily until an end token (not returned) or the limit.

        Args:
            rows: token ids, all rows of one length, at most as many as the cache has.
            new_tokens: the limit; prompt and answer must fit the cache.
            eos: ids that end a row.
        """
        import numpy as np

        step, length = np.array(rows, np.int64), len(rows[0])
        answers = Answers(len(rows), eos)
        for _ in range(new_tokens):
            tokens = self._run(step, length).argmax(-1)
            if answers.add(tokens.tolist()):
                break
            step, length = tokens[:, None].astype(np.int64), length + 1
        return answers.rows

    def _run(self, ids: "Array", length: int) -> "Array":
        import numpy as np

        count = len(ids)
        shape = [count, *self._shape[1:]]
        binding = self._session.io_binding()
        for name, cache in self._cache.items():
            # The same address as past and present: the kernel appends in place.
            pointer = cache.ctypes.data
            binding.bind_input(f"{_PAST}{name}", "cpu", 0, np.float32, shape, pointer)
            binding.bind_output(f"present.{name}", "cpu", 0, np.float32, shape, pointer)
        binding.bind_cpu_input("input_ids", np.ascontiguousarray(ids))
        binding.bind_cpu_input("seqlens_k", np.full(count, length - 1, np.int32))
        binding.bind_cpu_input("total_sequence_length", np.array(length, np.int32))
        binding.bind_cpu_input(LOGITS_FROM, np.full(1, -1, np.int64))
        binding.bind_output("logits", "cpu")
        self._session.run_with_iobinding(binding)
        logits: Array = binding.get_outputs()[-1].numpy()  # outputs keep the order of binding
        return logits[:, 0]


class Answers:
    """The rows of a greedy generation as they grow, each until its end token."""

    def __init__(self, count: int, eos: frozenset[int]) -> None:
        self._rows: list[list[int]] = [[] for _ in range(count)]
        self._open = set(range(count))
        self._eos = eos

    @property
    def rows(self) -> list[tuple[int, ...]]:
        """What each row said, without its end token."""
        return [tuple(row) for row in self._rows]

    def add(self, tokens: list[int]) -> bool:
        """Take one token for each row; true once every row has ended."""
        for row in sorted(self._open):
            if tokens[row] in self._eos:
                self._open.discard(row)
            else:
                self._rows[row].append(tokens[row])
        return not self._open


def _cache_inputs(session: Any) -> list[str]:
    return sorted(v.name for v in session.get_inputs() if v.name.startswith(_PAST))
