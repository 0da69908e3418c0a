"""Run a model that gives one vector a text.

Pooling and normalization are inside the graph. Rows of one run are padded to the longest of them.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from sealift.manifests.serving import VectorShape
from sealift.runtime.engine.errors import LoadError

if TYPE_CHECKING:
    import onnxruntime

__all__ = ["OnnxEncoder"]

_KNOWN_INPUTS = frozenset({"input_ids", "attention_mask", "token_type_ids"})


class OnnxEncoder:
    """A session that turns token ids into vectors."""

    def __init__(self, session: "onnxruntime.InferenceSession", shape: VectorShape) -> None:
        self._session = session
        self._shape = shape
        inputs = {item.name for item in session.get_inputs()}
        outputs = {item.name for item in session.get_outputs()}
        if inputs != set(shape.inputs) or not inputs <= _KNOWN_INPUTS:
            raise LoadError(f"graph inputs: expected {sorted(shape.inputs)}, got {sorted(inputs)}")
        if shape.output not in outputs:
            raise LoadError(f"graph outputs: expected {shape.output!r}, got {sorted(outputs)}")

    def run(self, rows: Sequence[Sequence[int]]) -> NDArray[np.float32]:
        """Return `[rows, dimensions]`."""
        longest = max(len(row) for row in rows)
        ids = np.full((len(rows), longest), self._shape.pad_token_id, np.int64)
        mask = np.zeros((len(rows), longest), np.int64)
        for index, row in enumerate(rows):
            ids[index, : len(row)] = row
            mask[index, : len(row)] = 1
        values = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}
        feed = {name: values[name] for name in self._shape.inputs}
        (vectors,) = self._session.run([self._shape.output], feed)
        result: NDArray[np.float32] = np.ascontiguousarray(vectors, dtype=np.float32)
        return result
