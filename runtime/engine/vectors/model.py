"""An encoder with its tokenizer: texts in, jobs for its queue out.

`EmbedModel` gives vectors, `ScoreModel` relevance (pairs) or probabilities (single texts). A text
that is too long is refused, never cut off in silence.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import tokenizers
from numpy.typing import NDArray

from sealift.manifests.recipe import Task
from sealift.manifests.serving import ServingConfig
from sealift.runtime.engine.errors import ContextLengthError, PromptError
from sealift.runtime.engine.request import Embed, Score, Scores, Vectors
from sealift.runtime.engine.vectors.embed_queue import EmbedJob
from sealift.runtime.engine.vectors.encoder import OnnxEncoder
from sealift.runtime.engine.vectors.encoder_row import EncoderRow

__all__ = ["EmbedModel", "ScoreModel", "probabilities", "relevance", "shorten"]

Output = NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class EmbedModel:
    """An encoder that gives a text's vector."""

    config: ServingConfig
    tokenizer: tokenizers.Tokenizer
    encoder: OnnxEncoder
    context_length: int

    def prepare(self, message: Embed) -> EmbedJob:
        """Turn texts into token ids.

        Raises:
            ContextLengthError: one is too long.
            PromptError: token ids, or more dimensions, than the model has.
        """
        has = 0 if self.config.vector is None else self.config.vector.dimensions
        if message.dimensions is not None and not 1 <= message.dimensions <= has:
            raise PromptError(
                f"dimensions: expected 1 to {has}, got {message.dimensions}", param="dimensions"
            )
        vocabulary = self.tokenizer.get_vocab_size(with_added_tokens=True)
        rows = []
        for index, item in enumerate(message.inputs):
            row = _row(self.tokenizer.encode(item)) if isinstance(item, str) else _ids(item)
            if not row.ids or max(row.ids) >= vocabulary or min(row.ids) < 0:
                raise PromptError(f"input[{index}]: expected token ids of 0 to {vocabulary - 1}")
            _check_length(f"input[{index}]", row, self.context_length)
            rows.append(row)
        tokens = sum(map(len, rows))

        def answer(outputs: Sequence[Output]) -> Vectors:
            vectors = tuple(
                shorten(output, message.dimensions).astype("<f4").tobytes() for output in outputs
            )
            return Vectors(id=message.id, rows=vectors, prompt_tokens=tokens)

        return EmbedJob(id=message.id, inputs=tuple(rows), answer=answer)


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreModel:
    """An encoder that scores pairs (task rerank) or single texts (task classify)."""

    config: ServingConfig
    tokenizer: tokenizers.Tokenizer
    encoder: OnnxEncoder
    context_length: int

    def prepare(self, message: Score) -> EmbedJob:
        """Turn texts or pairs into token ids.

        Raises:
            ContextLengthError: one is too long.
            PromptError: pairs for a classifying model, single texts for a reranking one.
        """
        takes_pairs = self.config.task is Task.RERANK
        activate = relevance if takes_pairs else probabilities
        rows = []
        for index, item in enumerate(message.inputs):
            name = f"documents[{index}]" if takes_pairs else f"input[{index}]"
            if isinstance(item, str) is takes_pairs:
                form = "a pair of texts" if takes_pairs else "one text"
                raise PromptError(f"{name}: this model scores {form} at a time")
            texts = (item,) if isinstance(item, str) else item
            row = _row(self.tokenizer.encode(*texts))
            if not row.ids:
                raise PromptError(f"{name}: expected a text with at least one token")
            _check_length(name, row, self.context_length)
            rows.append(row)
        tokens = sum(map(len, rows))

        def answer(outputs: Sequence[Output]) -> Scores:
            return Scores(id=message.id, rows=tuple(map(activate, outputs)), prompt_tokens=tokens)

        return EmbedJob(id=message.id, inputs=tuple(rows), answer=answer)


def shorten(vector: Output, dimensions: int | None) -> Output:
    """Return a vector's first numbers at length one (Matryoshka, arXiv:2205.13147).

    >>> shorten(np.array([3.0, 4.0, 12.0], dtype=np.float32), 2).tolist()
    [0.6000000238418579, 0.800000011920929]
    """
    if dimensions is None or dimensions == len(vector):
        return vector
    kept = vector[:dimensions]
    length = np.float32(np.sqrt(np.square(kept, dtype=np.float64).sum()))
    return kept / length if length > 0 else kept


def relevance(scores: Output) -> tuple[float, ...]:
    """Return the logistic function of each score: 0 to 1.

    >>> relevance(np.array([0.0, 200.0, -200.0], dtype=np.float32))
    (0.5, 1.0, 1.3838965267367376e-87)
    """
    values = scores.astype(np.float64)
    # exp of nothing positive: no overflow on either side.
    small = np.exp(-np.abs(values))
    found: list[float] = (np.where(values >= 0, 1.0, small) / (1.0 + small)).tolist()
    return tuple(found)


def probabilities(logits: Output) -> tuple[float, ...]:
    """Return the softmax; of a single logit, which would always be 1, the logistic function.

    >>> probabilities(np.array([1.0, 1.0], dtype=np.float32))
    (0.5, 0.5)
    """
    if len(logits) == 1:
        return relevance(logits)
    values = logits.astype(np.float64)
    weights = np.exp(values - values.max())
    found: list[float] = (weights / weights.sum()).tolist()
    return tuple(found)


def _row(encoding: tokenizers.Encoding) -> EncoderRow:
    types = tuple(encoding.type_ids)
    return EncoderRow(ids=tuple(encoding.ids), type_ids=types if any(types) else ())


def _ids(item: tuple[int, ...]) -> EncoderRow:
    return EncoderRow(ids=item)


def _check_length(name: str, row: EncoderRow, context_length: int) -> None:
    if len(row) > context_length:
        raise ContextLengthError(
            f"{name}: this model takes {context_length} tokens, this input has {len(row)}"
        )
