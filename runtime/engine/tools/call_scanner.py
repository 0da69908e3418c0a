"""Read one tool call, `{"name": ..., "arguments": {...}}`, as its text arrives. Pure.

The arguments come out as exactly the text that the model wrote, piece by piece; the keys may stand
in any order, and others are passed over. What cannot be a call is found at the same character
however the text is cut.

>>> scanner = CallScanner(frozenset({"f"}))
>>> scanner.take('{"name": "f", "arguments": {"a": ')
33
>>> scanner.name, scanner.drain()
('f', '{"a": ')
>>> scanner.take("1}} and more"), scanner.drain(), scanner.is_done
(3, '1}', True)
"""

import json
from enum import Enum, auto

__all__ = ["CallScanner", "JsonExtent"]

_SPACE = " \t\r\n"
_ARGUMENT_KEYS = frozenset({"arguments", "parameters"})


class JsonExtent:
    """Where one JSON value ends: brackets and strings are followed, no more is checked."""

    def __init__(self) -> None:
        self.is_done = False
        self._depth = 0
        self._in_string = False
        self._escaped = False
        self._started = False

    def take(self, text: str, start: int) -> int:
        """Return the index in `text` up to which it is part of the value."""
        for index in range(start, len(text)):
            char = text[index]
            if self._in_string:
                self._string(char)
            elif char == '"' and (self._depth or not self._started):
                self._in_string = True
            elif char in "{[":
                self._depth += 1
            elif char in "}]" and self._depth:
                self._depth -= 1
                self.is_done = self._depth == 0
            elif not self._depth and (char in ",}]" or char in _SPACE):
                self.is_done = True  # a number or word, and what follows it
                return index
            self._started = True
            if self.is_done:
                return index + 1
        return len(text)

    def _string(self, char: str) -> None:
        if self._escaped:
            self._escaped = False
        elif char == "\\":
            self._escaped = True
        elif char == '"':
            self._in_string = False
            self.is_done = self._depth == 0


class _At(Enum):
    OPEN = auto()
    KEY = auto()  # or the end, in an empty object
    NEXT_KEY = auto()
    COLON = auto()
    VALUE = auto()
    AFTER = auto()
    DONE = auto()
    BROKEN = auto()


class _BrokenError(Exception):
    """No call goes on like this."""


class CallScanner:
    """The state of one call.

    Args:
        names: of the tools that there are; a call of another is none.
    """

    def __init__(self, names: frozenset[str]) -> None:
        self._names = names
        self.name: str | None = None
        self.has_arguments = False
        self._at = _At.OPEN
        self._extent: JsonExtent | None = None
        self._key = ""
        self._value: list[str] = []
        self._arguments: list[str] = []
        self._is_streamed = False

    @property
    def is_done(self) -> bool:
        """True once the call's last bracket was taken."""
        return self._at is _At.DONE

    @property
    def is_broken(self) -> bool:
        """True once something came with which no call goes on."""
        return self._at is _At.BROKEN

    def take(self, text: str) -> int:
        """Take more; return the index in `text` up to which it is part of the call."""
        index = 0
        while index < len(text) and not self.is_done and not self.is_broken:
            if self._extent is not None:
                index = self._inside(self._extent, text, index)
            elif text[index] in _SPACE:
                index += 1
            else:
                index = self._mark(text, index)
        return index

    def drain(self) -> str:
        """Return the arguments' text that came since the last time."""
        text = "".join(self._arguments)
        self._arguments.clear()
        return text

    def _mark(self, text: str, index: int) -> int:
        """Take one character between keys and values; return the next index."""
        char = text[index]
        match self._at, char:
            case _At.OPEN, "{":
                self._at = _At.KEY
            case ((_At.KEY | _At.AFTER), "}") if self.name is not None:
                if not self.has_arguments:
                    self._arguments.append("{}")
                self._at = _At.DONE
            case ((_At.KEY | _At.NEXT_KEY), '"'):
                self._begin()
                return index
            case _At.COLON, ":":
                self._at = _At.VALUE
            case _At.VALUE, _ if char not in ",:]}":
                self._is_streamed = self._key in _ARGUMENT_KEYS and char != '"'
                self._begin()
                return index
            case _At.AFTER, ",":
                self._at = _At.NEXT_KEY
            case _:
                self._at = _At.BROKEN
                return index
        return index + 1

    def _begin(self) -> None:
        self._extent = JsonExtent()
        self._value.clear()

    def _inside(self, extent: JsonExtent, text: str, index: int) -> int:
        """Take more of a key or value."""
        end = extent.take(text, index)
        (self._arguments if self._is_streamed else self._value).append(text[index:end])
        if self._is_streamed:
            self.has_arguments = True
        if extent.is_done:
            self._extent = None
            try:
                self._close()
            except _BrokenError:
                self._at = _At.BROKEN
        return end

    def _close(self) -> None:
        if self._at is not _At.VALUE:
            self._key = _string("".join(self._value))
            if self._key == "name" and self.name is not None:
                raise _BrokenError
            if self._key in _ARGUMENT_KEYS and self.has_arguments:
                raise _BrokenError
            self._at = _At.COLON
            return
        if self._key == "name":
            name = _string("".join(self._value))
            if name not in self._names:
                raise _BrokenError
            self.name = name
        elif self._key in _ARGUMENT_KEYS and not self._is_streamed:
            # Some models write the arguments' JSON as a string.
            self._arguments.append(_string("".join(self._value)))
            self.has_arguments = True
        self._is_streamed = False
        self._at = _At.AFTER


def _string(text: str) -> str:
    try:
        value = json.loads(text)
    except ValueError as error:
        raise _BrokenError from error
    if not isinstance(value, str):
        raise _BrokenError
    return value
