"""A decoder with its tokenizer and chat template: conversations in, sequences out."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import tokenizers

from sealift.manifests.serving import ServingConfig
from sealift.runtime.engine.decoder import OnnxDecoder
from sealift.runtime.engine.errors import ContextLengthError, PromptError
from sealift.runtime.engine.request import Generate
from sealift.runtime.engine.sequence import Sequence as Request
from sealift.runtime.engine.template import ChatTemplate

__all__ = ["ChatModel"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatModel:
    """A decoder with its tokenizer and chat template."""

    config: ServingConfig
    tokenizer: tokenizers.Tokenizer
    template: ChatTemplate
    decoder: OnnxDecoder
    context_length: int

    def prepare(self, message: Generate) -> Request:
        """Turn a conversation into a sequence.

        Raises:
            PromptError: the template refuses it, or it is empty.
            ContextLengthError: it does not fit.
        """
        text = self.template.render(message.messages)
        prompt = tuple(self.tokenizer.encode(text, add_special_tokens=False).ids)
        if not prompt:
            raise PromptError("the conversation gives an empty prompt")
        room = self.context_length - len(prompt)
        wanted = message.max_tokens
        if room < 1 or (wanted is not None and wanted > room):
            asked = "" if wanted is None else f" and {wanted} were asked for in the answer"
            raise ContextLengthError(
                f"this model's context is {self.context_length} tokens, "
                f"the messages have {len(prompt)}{asked}",
                hint="shorten the messages or ask for fewer tokens",
            )
        return Request.start(
            id=message.id,
            prompt=prompt,
            sampling=message.sampling,
            token_limit=room if wanted is None else wanted,
            eos_token_ids=frozenset(self.config.eos_token_ids),
            stops=message.stop,
            decode=partial(_decode, self.tokenizer),
        )


def _decode(tokenizer: tokenizers.Tokenizer, ids: Sequence[int]) -> str:
    text: str = tokenizer.decode(list(ids), skip_special_tokens=True)
    return text
