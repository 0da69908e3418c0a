"""The tokens that a tokenizer has beside its vocabulary: markers, and words like `<think>`. Pure.

tokens = AddedTokens.parse(tokenizer_json)
tokens.ids["<tool_call>"]
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

__all__ = ["AddedTokens"]


@dataclass(frozen=True, slots=True, kw_only=True)
class AddedTokens:
    """Each is one token, whatever stands around it, and its name typed as text is another thing.

    Attributes:
        ids: by name.
        visible: those that stay in an answer's text; the others are left out of it.
    """

    ids: Mapping[str, int]
    visible: frozenset[int] = frozenset()

    @classmethod
    def parse(cls, tokenizer_json: bytes) -> Self:
        """Read them from a `tokenizer.json`."""
        return cls.of(json.loads(tokenizer_json))

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> Self:
        """Read them from one that was parsed."""
        tokens = document.get("added_tokens") or ()
        return cls(
            ids={token["content"]: token["id"] for token in tokens},
            visible=frozenset(token["id"] for token in tokens if not token["special"]),
        )
