"""Tokens to text, as they come: never half a character.

A token may end inside a character. Its decoded text then ends in U+FFFD, and the tail waits for the
next token. Text already given out is never taken back.

>>> detokenizer = Detokenizer(decode)       # decode(ids) of a tokenizer
>>> [detokenizer.feed(id) for id in ids]    # doctest: +SKIP
['Gr', '', 'ü', 'ße']
"""

from collections.abc import Callable, Sequence

__all__ = ["Decode", "Detokenizer"]

Decode = Callable[[Sequence[int]], str]

_REPLACEMENT = "\ufffd"
# A character has at most four bytes, so at most three of its bytes can be waiting; a byte-level
# decoder shows them as one mark, a byte-fallback decoder as one each.
_WAITING_MARKS_MAX = 3
# Past this many tokens without a whole character, the bytes are malformed and never get better.
_WINDOW_TOKENS_MAX = 48


class Detokenizer:
    """The text of one growing answer.

    Only a window of tokens is decoded again at each step: those of the last piece given out (some
    decoders treat the first token apart, so the window keeps it out of first place) and newer ones.
    """

    def __init__(self, decode: Decode) -> None:
        self._decode = decode
        self._window: list[int] = []
        self._given = ""
        self._context_tokens = 0

    def feed(self, token: int) -> str:
        """Take the next token; return the text that is certain now."""
        self._window.append(token)
        text = self._decode(self._window)
        marks = len(text) - len(text.rstrip(_REPLACEMENT))
        certain = text[: len(text) - min(marks, _WAITING_MARKS_MAX)]
        piece = self._give(certain)
        if marks == 0 and piece:
            self._slide(text)
        elif len(self._window) > _WINDOW_TOKENS_MAX:
            piece += self._give(text)
            self._slide(text)
        return piece

    def flush(self) -> str:
        """Return what waits: the answer is over, so a half character stays U+FFFD."""
        text = self._decode(self._window) if self._window else ""
        return self._give(text)

    def _give(self, certain: str) -> str:
        if not certain.startswith(self._given):
            return ""
        piece = certain[len(self._given) :]
        self._given = certain
        return piece

    def _slide(self, text: str) -> None:
        # Keep the tokens since the last slide as context, drop those before.
        del self._window[: self._context_tokens]
        self._context_tokens = len(self._window)
        self._given = self._decode(self._window) if self._context_tokens else text
