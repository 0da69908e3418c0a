"""A decoder with its tokenizer and chat template: conversations in, sequences out."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import msgspec
import tokenizers

from sealift.manifests.serving import ServingConfig
from sealift.runtime.engine.decoder import OnnxDecoder
from sealift.runtime.engine.detokenizer import Detokenizer
from sealift.runtime.engine.errors import ContextLengthError, PromptError
from sealift.runtime.engine.grammar import GrammarCompiler
from sealift.runtime.engine.request import Generate
from sealift.runtime.engine.sampler import choice_seed
from sealift.runtime.engine.sampling_row import SamplingRow
from sealift.runtime.engine.sequence import Sequence as Answer
from sealift.runtime.engine.stop import StopMatcher
from sealift.runtime.engine.template import ChatTemplate

__all__ = ["ChatModel"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatModel:
    """A decoder with its tokenizer and chat template."""

    config: ServingConfig
    tokenizer: tokenizers.Tokenizer
    template: ChatTemplate
    decoder: OnnxDecoder
    grammars: GrammarCompiler
    context_length: int
    vocab_size: int

    def prepare(self, message: Generate) -> tuple[Answer, ...]:
        """Turn a conversation into the answers to be given, `n` of them.

        Raises:
            PromptError: the template refuses it, it is empty, or a token id is none of the model's.
            ContextLengthError: it does not fit.
            GrammarError: the form of the answer cannot be compiled.
        """
        text = self.template.render(message.messages)
        prompt = tuple(self.tokenizer.encode(text, add_special_tokens=False).ids)
        if not prompt:
            raise PromptError("the conversation gives an empty prompt")
        limit = self._token_limit(len(prompt), message.max_tokens)
        return tuple(self._answer(message, choice, prompt, limit) for choice in range(message.n))

    def _token_limit(self, prompt_tokens: int, wanted: int | None) -> int:
        room = self.context_length - prompt_tokens
        if room < 1 or (wanted is not None and wanted > room):
            asked = "" if wanted is None else f" and {wanted} were asked for in the answer"
            raise ContextLengthError(
                f"this model's context is {self.context_length} tokens, "
                f"the messages have {prompt_tokens}{asked}",
                hint="shorten the messages or ask for fewer tokens",
            )
        return room if wanted is None else wanted

    def _answer(
        self, message: Generate, choice: int, prompt: tuple[int, ...], limit: int
    ) -> Answer:
        sampling = msgspec.structs.replace(
            message.sampling, seed=choice_seed(message.sampling.seed, choice)
        )
        grammar = message.grammar
        return Answer(
            id=message.id,
            choice=choice,
            prompt=prompt,
            row=SamplingRow.start(sampling, vocab_size=self.vocab_size, prompt=prompt),
            token_limit=limit,
            eos_token_ids=frozenset(self.config.eos_token_ids),
            detokenizer=Detokenizer(partial(_decode, self.tokenizer)),
            stop=StopMatcher(message.stop),
            constraint=None if grammar is None else self.grammars.compile(grammar),
        )


def _decode(tokenizer: tokenizers.Tokenizer, ids: Sequence[int]) -> str:
    text: str = tokenizer.decode(list(ids), skip_special_tokens=True)
    return text
