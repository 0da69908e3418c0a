"""The model's tokens as llguidance indexes them: built once, at the first use.

tokens = GrammarTokens(tokenizer_json, vocab_size=151_936, eos_token_ids=(151_645,))
tokens.index()     # about a second for 150,000 tokens, later nothing
"""

import json
import threading
from typing import Any

import llguidance

from sealift.runtime.engine.errors import GrammarError
from sealift.runtime.engine.forms.added_tokens import AddedTokens

__all__ = ["GrammarTokens"]


class GrammarTokens:
    """A tokenizer's index, for a model with so many logits.

    Args:
        tokenizer_json: the model's `tokenizer.json`.
    """

    def __init__(
        self, tokenizer_json: bytes, *, vocab_size: int, eos_token_ids: tuple[int, ...]
    ) -> None:
        self.vocab_size = vocab_size
        self._source: bytes | None = tokenizer_json
        self._eos_token_ids = eos_token_ids
        self._lock = threading.Lock()
        self._index: llguidance.LLTokenizer | None = None
        self._known: frozenset[int] = frozenset()
        self._added = AddedTokens(ids={})

    @property
    def size(self) -> int:
        """How many tokens a mask of the index has: those of the logits, or of the tokenizer."""
        return self.index().vocab_size

    def index(self) -> llguidance.LLTokenizer:
        """Return the index.

        Raises:
            GrammarError: llguidance does not know this kind of tokenizer.
        """
        with self._lock:
            if self._index is None:
                self._index = self._build()
                self._source = None  # several megabytes
            return self._index

    @property
    def added(self) -> AddedTokens:
        """The added tokens, without those that end an answer."""
        self.index()
        return self._added

    def bytes_of(self, token: int) -> bytes:
        """Return what a token stands for: a special one its name, an unknown one nothing."""
        index = self.index()
        return index.decode_bytes([token]) if token in self._known else b""

    def _build(self) -> llguidance.LLTokenizer:
        document: dict[str, Any] = json.loads(self._source or b"{}")
        # As the engine's own tokenizer: nothing is cut off or filled up.
        document["truncation"] = document["padding"] = None
        added = AddedTokens.of(document)
        known = frozenset(added.ids.values()) | frozenset(_vocabulary(document))
        size = max(known, default=-1) + 1
        try:
            index = llguidance.LLTokenizer(
                json.dumps(document),
                n_vocab=max(size, self.vocab_size),
                eos_token=list(self._eos_token_ids),
            )
        except ValueError as error:
            raise GrammarError(
                f"structured output: this model's tokenizer is not supported: {error}",
                hint="ask without response_format, tools that are required, or a grammar",
            ) from error
        self._known = known
        self._added = AddedTokens(
            ids={name: id_ for name, id_ in added.ids.items() if id_ not in self._eos_token_ids},
            visible=added.visible.difference(self._eos_token_ids),
        )
        return index


def _vocabulary(document: dict[str, Any]) -> list[int]:
    vocabulary = document["model"]["vocab"]
    # BPE maps a token to its number; Unigram lists them with their scores.
    return list(vocabulary.values()) if isinstance(vocabulary, dict) else [*range(len(vocabulary))]
