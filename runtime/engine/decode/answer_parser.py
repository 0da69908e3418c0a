"""What the engine needs of something that tells an answer's text from its tool calls."""

from dataclasses import dataclass
from typing import Protocol

from sealift.runtime.engine.request import ToolCallPiece

__all__ = ["AnswerParser", "AnswerPieces"]


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerPieces:
    """What a piece of an answer turned out to be."""

    text: str = ""
    calls: tuple[ToolCallPiece, ...] = ()


class AnswerParser(Protocol):
    """The state of one answer; text that could begin a call is held back until it is decided."""

    def feed(self, text: str) -> AnswerPieces:
        """Take more of the answer; return what is certain now."""
        ...

    def flush(self) -> AnswerPieces:
        """Return what was held: the answer is over."""
        ...
