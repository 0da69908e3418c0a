"""Run a model that gives one vector, score or row of logits a text.

Pooling and normalization are inside the graph. Rows of one run are padded to the longest of them.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from sealift.manifests.serving import VectorShape
from sealift.runtime.engine.errors import EngineError, LoadError
from sealift.runtime.engine.vectors.encoder_row import EncoderRow

if TYPE_CHECKING:
    import onnxruntime

__all__ = ["OnnxEncoder"]

_KNOWN_INPUTS = frozenset({"input_ids", "attention_mask", "token_type_ids"})


class OnnxEncoder:
    """A session that turns token ids into rows of numbers."""

    def __init__(self, session: "onnxruntime.InferenceSession", shape: VectorShape) -> None:
        self._session = session
        self._shape = shape
        inputs = {item.name for item in session.get_inputs()}
        outputs = {item.name for item in session.get_outputs()}
        if inputs != set(shape.inputs) or not inputs <= _KNOWN_INPUTS:
            raise LoadError(f"graph inputs: expected {sorted(shape.inputs)}, got {sorted(inputs)}")
        if shape.output not in outputs:
            raise LoadError(f"graph outputs: expected {shape.output!r}, got {sorted(outputs)}")

    def run(self, rows: Sequence[EncoderRow]) -> NDArray[np.float32]:
        """Return `[rows, dimensions]`; a graph that gives one number a row has one dimension.

        Raises:
            EngineError: the graph gives something else.
        """
        longest = max(len(row) for row in rows)
        ids = np.full((len(rows), longest), self._shape.pad_token_id, np.int64)
        mask = np.zeros((len(rows), longest), np.int64)
        types = np.zeros((len(rows), longest), np.int64)
        for index, row in enumerate(rows):
            ids[index, : len(row)] = row.ids
            mask[index, : len(row)] = 1
            types[index, : len(row.type_ids)] = row.type_ids
        values = {"input_ids": ids, "attention_mask": mask, "token_type_ids": types}
        feed = {name: values[name] for name in self._shape.inputs}
        (found,) = self._session.run([self._shape.output], feed)
        result: NDArray[np.float32] = np.ascontiguousarray(found, dtype=np.float32)
        if result.ndim == 1:
            result = result[:, None]
        if result.shape != (len(rows), self._shape.dimensions):
            wanted = (len(rows), self._shape.dimensions)
            raise EngineError(f"{self._shape.output}: expected {wanted}, got {result.shape}")
        return result
