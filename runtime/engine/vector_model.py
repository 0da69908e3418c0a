"""An encoder with its tokenizer: texts in, jobs for its queue out."""

from dataclasses import dataclass

import tokenizers

from sealift.manifests.serving import ServingConfig
from sealift.runtime.engine.embed_queue import EmbedJob
from sealift.runtime.engine.encoder import OnnxEncoder
from sealift.runtime.engine.errors import ContextLengthError, PromptError
from sealift.runtime.engine.request import Embed

__all__ = ["EmbedModel"]


@dataclass(frozen=True, slots=True, kw_only=True)
class EmbedModel:
    """An encoder with its tokenizer."""

    config: ServingConfig
    tokenizer: tokenizers.Tokenizer
    encoder: OnnxEncoder
    context_length: int

    def prepare(self, message: Embed) -> EmbedJob:
        """Turn texts into token ids.

        Raises:
            ContextLengthError: one is too long.
            PromptError: token ids that the model does not have.
        """
        vocabulary = self.tokenizer.get_vocab_size(with_added_tokens=True)
        rows = []
        for index, item in enumerate(message.inputs):
            ids = tuple(self.tokenizer.encode(item).ids) if isinstance(item, str) else item
            if not ids or max(ids) >= vocabulary or min(ids) < 0:
                raise PromptError(f"input[{index}]: expected token ids of 0 to {vocabulary - 1}")
            if len(ids) > self.context_length:
                raise ContextLengthError(
                    f"input[{index}]: this model takes {self.context_length} tokens, "
                    f"this input has {len(ids)}"
                )
            rows.append(ids)
        return EmbedJob(id=message.id, inputs=tuple(rows))
