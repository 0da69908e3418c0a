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

_MARK = "\ufffd"
# Past this many tokens without a whole character, the bytes are malformed and never get better.
_WINDOW_TOKENS_MAX = 48
# What is kept of such a window: more than a character's four bytes, and the part of it that may
# still become one: one mark from a byte-level decoder, up to three from a byte-fallback one.
_KEPT_TOKENS = 8
_WAITING_MARKS_MAX = 3


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
        if not text.endswith(_MARK):
            piece = self._give(text)
            # A token may have no text at all (special ones): its window must not grow for ever.
            if piece or len(self._window) > _WINDOW_TOKENS_MAX:
                self._slide()
            return piece
        if len(self._window) > _WINDOW_TOKENS_MAX:
            return self._give_malformed(text)
        return self._give(text.rstrip(_MARK))

    def flush(self) -> str:
        """Return what waits: the answer is over, so a half character stays U+FFFD."""
        return self._give(self._decode(self._window)) if self._window else ""

    def _give(self, certain: str) -> str:
        if not certain.startswith(self._given):
            return ""  # bytes that follow a character can hide it until they are whole themselves
        piece = certain[len(self._given) :]
        self._given = certain
        return piece

    def _give_malformed(self, text: str) -> str:
        piece = self._give(_without_waiting(text))
        del self._window[:-_KEPT_TOKENS]
        self._context_tokens = len(self._window)
        self._given = _without_waiting(self._decode(self._window))
        return piece

    def _slide(self) -> None:
        # The tokens since the last slide become the context; both ends are whole characters.
        del self._window[: self._context_tokens]
        self._context_tokens = len(self._window)
        self._given = self._decode(self._window)


def _without_waiting(text: str) -> str:
    marks = len(text) - len(text.rstrip(_MARK))
    return text[: len(text) - min(marks, _WAITING_MARKS_MAX)]
