"""A decoder with its tokenizer and chat template: conversations in, sequences out."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import msgspec
import tokenizers

from sealift.manifests.serving import ServingConfig
from sealift.runtime.engine.decode.decoder import OnnxDecoder
from sealift.runtime.engine.decode.detokenizer import Detokenizer
from sealift.runtime.engine.decode.sampler import choice_seed
from sealift.runtime.engine.decode.sampling_row import SamplingRow
from sealift.runtime.engine.decode.sequence import Sequence as Answer
from sealift.runtime.engine.decode.stop import StopMatcher
from sealift.runtime.engine.errors import ContextLengthError, PromptError
from sealift.runtime.engine.forms.grammar import GrammarCompiler
from sealift.runtime.engine.request import Generate
from sealift.runtime.engine.tools.format import ToolFormat
from sealift.runtime.engine.tools.template import ChatTemplate
from sealift.runtime.engine.tools.use import ToolUse

__all__ = ["ChatModel", "special_tokens"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatModel:
    """A decoder with its tokenizer and chat template.

    Args:
        tool_format: how this model writes tool calls, where that is known.
        hidden_tokens: special tokens, which are no text.
    """

    config: ServingConfig
    tokenizer: tokenizers.Tokenizer
    template: ChatTemplate
    decoder: OnnxDecoder
    grammars: GrammarCompiler
    context_length: int
    vocab_size: int
    tool_format: ToolFormat | None
    hidden_tokens: frozenset[int]

    def prepare(self, message: Generate) -> tuple[Answer, ...]:
        """Turn a conversation into the answers to be given, `n` of them.

        Raises:
            PromptError: the template refuses it, it is empty, or a token id is none of the model's.
            ContextLengthError: it does not fit.
            GrammarError: the form of the answer cannot be compiled.
        """
        use = ToolUse.of(message, self.tool_format, self.grammars)
        text = self.template.render(message.messages, () if use is None else use.tools)
        prompt = tuple(self.tokenizer.encode(text, add_special_tokens=False).ids)
        if not prompt:
            raise PromptError("the conversation gives an empty prompt")
        limit = self._token_limit(len(prompt), message.max_tokens)
        return tuple(
            self._answer(message, use, choice, prompt, limit) for choice in range(message.n)
        )

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
        self,
        message: Generate,
        use: ToolUse | None,
        choice: int,
        prompt: tuple[int, ...],
        limit: int,
    ) -> Answer:
        sampling = msgspec.structs.replace(
            message.sampling, seed=choice_seed(message.sampling.seed, choice)
        )
        form = message.grammar if use is None else use.form
        hidden = self.hidden_tokens if use is None else self.hidden_tokens - use.kept_tokens
        return Answer(
            id=message.id,
            choice=choice,
            prompt=prompt,
            row=SamplingRow.start(sampling, vocab_size=self.vocab_size, prompt=prompt),
            token_limit=limit,
            eos_token_ids=frozenset(self.config.eos_token_ids),
            detokenizer=Detokenizer(partial(_decode, self.tokenizer, hidden)),
            stop=StopMatcher(message.stop),
            constraint=None if form is None else self.grammars.compile(form),
            parser=None if use is None else use.parser(),
        )


def _decode(tokenizer: tokenizers.Tokenizer, hidden: frozenset[int], ids: Sequence[int]) -> str:
    shown = [token for token in ids if token not in hidden]
    text: str = tokenizer.decode(shown, skip_special_tokens=False)
    return text


def special_tokens(tokenizer: tokenizers.Tokenizer) -> frozenset[int]:
    """Return the tokens that are no text."""
    added = tokenizer.get_added_tokens_decoder()
    return frozenset(token for token, entry in added.items() if entry.special)
