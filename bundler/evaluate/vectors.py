"""An encoder against its reference: cosines, scores and labels.

The reference reads one text at a time; the graph reads padded batches, as it will when served, so
that a mask which leaks is seen.

Metrics: `max_abs_diff` for all; `cosine_mean` and `cosine_min` (embed), `order_agreement` of
documents under one query (rerank), `label_agreement`, also as `exact` (classify).
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from sealift.bundler.evaluate.metrics import cosines, order_agreement
from sealift.bundler.evaluate.samples import Samples
from sealift.bundler.evaluate.sessions import open_session
from sealift.bundler.export.encoder import Encoder
from sealift.bundler.tokenizer_files import TOKENIZER_FILE
from sealift.manifests.progress import Advance
from sealift.manifests.recipe import Task
from sealift.manifests.serving import ServingConfig

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, np.dtype[Any]]

__all__ = ["VectorEvaluation"]

_BATCH = 8
_FIELDS = {"input_ids": "ids", "attention_mask": "attention_mask", "token_type_ids": "type_ids"}


class VectorEvaluation:
    """One model's samples and reference vectors, computed once for all variants."""

    def __init__(
        self, encoder: Encoder, samples: Samples, variant: Path, config: ServingConfig
    ) -> None:
        from tokenizers import Tokenizer

        tokenizer = Tokenizer.from_file(str(variant / TOKENIZER_FILE))
        tokenizer.no_padding()
        tokenizer.enable_truncation(config.max_length)
        texts = [(p.text,) if p.document is None else (p.text, p.document) for p in samples.prompts]
        self._encodings = [tokenizer.encode(*text) for text in texts]
        self._groups = [prompt.text for prompt in samples.prompts]
        self._pad_token_id = config.vector.pad_token_id if config.vector else 0
        self._encoder = encoder
        self._task = config.task
        self._wanted: Array | None = None

    def measure(self, folder: Path, advance: Advance) -> dict[str, float]:
        """Measure one variant folder; `advance` counts texts, reference and graph each."""
        import numpy as np

        wanted = self._reference(advance)
        found = self._graph(folder / "model.onnx", advance)
        metrics = {"max_abs_diff": float(np.abs(found - wanted).max())}
        match self._task:
            case Task.EMBED:
                values = cosines(found, wanted)
                metrics["cosine_mean"] = float(values.mean())
                metrics["cosine_min"] = float(values.min())
            case Task.RERANK:
                metrics["order_agreement"] = order_agreement(found, wanted, self._groups)
            case _:
                same = (found.argmax(-1) == wanted.argmax(-1)).mean()
                metrics["label_agreement"] = float(same)
        return metrics

    @property
    def sample_counts(self) -> dict[str, int]:
        """How much was measured."""
        return {"texts": len(self._encodings)}

    @property
    def total(self) -> int:
        """How far `advance` counts."""
        return 2 * len(self._encodings)

    def _reference(self, advance: Advance) -> "Array":
        import numpy as np
        import torch

        if self._wanted is not None:
            advance(len(self._encodings))
            return self._wanted
        rows = []
        with torch.inference_mode():
            for encoding in self._encodings:
                feeds = {
                    name: torch.tensor([getattr(encoding, _FIELDS[name])])
                    for name in self._encoder.inputs
                }
                rows.append(self._encoder.module(**feeds)[0].numpy())
                advance(1)
        self._wanted = np.stack(rows)
        return self._wanted

    def _graph(self, path: Path, advance: Advance) -> "Array":
        import numpy as np

        session = open_session(path)
        parts = []
        for start in range(0, len(self._encodings), _BATCH):
            batch = self._encodings[start : start + _BATCH]
            parts.append(session.run([self._encoder.output], self._feeds(batch))[0])
            advance(len(batch))
        return np.concatenate(parts)

    def _feeds(self, batch: list[Any]) -> "dict[str, Array]":
        import numpy as np

        length = max(len(encoding.ids) for encoding in batch)
        feeds = {}
        for name in self._encoder.inputs:
            filler = self._pad_token_id if name == "input_ids" else 0
            rows = [list(getattr(encoding, _FIELDS[name])) for encoding in batch]
            feeds[name] = np.array([r + [filler] * (length - len(r)) for r in rows], np.int64)
        return feeds
