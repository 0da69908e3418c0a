"""Tell an answer's text from its tool calls, as it arrives. Pure.

Guarantee: however the answer is cut into pieces, the same text and calls come out. Text before a
call streams; what could be the beginning of a call waits until that is decided; a call's name comes
whole with its id, its arguments as the text that the model wrote. What is no call after all (a tool
that is not offered, broken JSON, an answer cut short before the name) is text; a call that breaks
off later keeps what came of it. Whitespace that touches a call is no text.

>>> parser = tool_parser(ToolFormat.HERMES, frozenset({"f"}), lambda: "call_1")
>>> parser.feed('Yes.<tool_call>{"name": "f", "arguments": {}}</tool_call>').calls[0].name
'f'
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto

import msgspec

from sealift.runtime.engine.decode.answer_parser import AnswerParser, AnswerPieces
from sealift.runtime.engine.request import ToolCallPiece
from sealift.runtime.engine.tools.call_scanner import CallScanner, JsonExtent
from sealift.runtime.engine.tools.format import ToolFormat

__all__ = ["tool_parser"]

_SPACE = " \t\r\n"
# A name that stands alone, and what may stand before its arguments.
_NAME = re.compile(r"([\w.-]+)\s*(\[CALL_ID\]\s*\w*\s*)?(\[ARGS\]\s*)?")
_NAME_CHARS = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class _Syntax:
    """What a format puts around its calls.

    Attributes:
        openers: a call follows; one that ends with a bracket opens a list.
        separator: between two calls of one opener.
        is_bare: a call may begin the answer without an opener.
        is_named: an opener may be followed by the name itself, then the arguments.
    """

    openers: tuple[str, ...]
    closer: str | None = None
    separator: str = ","
    is_bare: bool = False
    is_named: bool = False


_SYNTAX = {
    ToolFormat.HERMES: _Syntax(openers=("<tool_call>",), closer="</tool_call>"),
    ToolFormat.LLAMA3: _Syntax(openers=("<|python_tag|>",), separator=";", is_bare=True),
    ToolFormat.MISTRAL: _Syntax(openers=("[TOOL_CALLS]",), is_named=True),
    ToolFormat.PHI: _Syntax(openers=("<|tool_call|>", "functools["), closer="<|/tool_call|>"),
}


def tool_parser(kind: ToolFormat, names: frozenset[str], new_id: Callable[[], str]) -> AnswerParser:
    """Return the parser of one answer.

    Args:
        names: of the tools that were offered.
        new_id: gives each call its id.
    """
    return _ToolParser(_SYNTAX[kind], names, new_id)


class _At(Enum):
    START = auto()  # nothing but whitespace came
    TEXT = auto()
    OPENED = auto()  # a call must follow
    NAME = auto()
    ARGUMENTS = auto()  # after a name that stood alone
    CALL = auto()
    BETWEEN = auto()  # a call came: another, a closer or text may follow
    SEPARATED = auto()


class _ToolParser:
    def __init__(self, syntax: _Syntax, names: frozenset[str], new_id: Callable[[], str]) -> None:
        self._syntax = syntax
        self._names = names
        self._new_id = new_id
        self._at = _At.START
        self._held = ""  # not yet looked at, or not yet decided
        self._raw = ""  # taken since the opener: text again, if no call comes of it
        self._in_list = False
        self._index = -1
        self._is_told = False  # the name of the call that is scanned
        self._scanner = CallScanner(names)
        self._extent = JsonExtent()
        self._text: list[str] = []
        self._calls: list[ToolCallPiece] = []

    def feed(self, text: str) -> AnswerPieces:
        """Take more of the answer; return what is certain now."""
        self._held += text
        while self._held and self._step():
            pass
        return self._pieces()

    def flush(self) -> AnswerPieces:
        """Return what was held: the answer is over."""
        if self._at in (_At.START, _At.TEXT):
            self._text.append(self._held)
        elif self._at in (_At.OPENED, _At.NAME) or (self._at is _At.CALL and not self._is_told):
            self._text.append(self._raw + self._held)
        # After a call, what is held is the beginning of a marker that was cut off.
        self._held = self._raw = ""
        self._at = _At.TEXT
        return self._pieces()

    def _pieces(self) -> AnswerPieces:
        pieces = AnswerPieces(text="".join(self._text), calls=tuple(self._calls))
        self._text.clear()
        self._calls.clear()
        return pieces

    def _step(self) -> bool:
        """Take some of what is held; return whether to go on."""
        match self._at:
            case _At.START:
                return self._start()
            case _At.TEXT:
                return self._plain()
            case _At.OPENED:
                return self._opened()
            case _At.NAME:
                return self._name()
            case _At.ARGUMENTS:
                return self._arguments()
            case _At.CALL:
                return self._call()
            case _At.BETWEEN | _At.SEPARATED:
                return self._between()

    def _start(self) -> bool:
        rest = self._held.lstrip(_SPACE)
        if not rest:
            return False
        if self._syntax.is_bare and rest[0] == "{":
            self._raw = self._held[: -len(rest)]
            self._held = rest
            self._begin_call()
        else:
            self._at = _At.TEXT
        return True

    def _plain(self) -> bool:
        """Give out text up to an opener, or to what could become one."""
        found = [(self._held.find(mark), mark) for mark in self._syntax.openers]
        found = [(place, mark) for place, mark in found if place >= 0]
        if found:
            place, mark = min(found)
            self._text.append(self._held[:place].rstrip(_SPACE))
            self._open(place, mark)
            return True
        sure = len(self._held) - self._undecided(self._held)
        sure = len(self._held[:sure].rstrip(_SPACE))
        self._text.append(self._held[:sure])
        self._held = self._held[sure:]
        return False

    def _open(self, place: int, mark: str) -> None:
        spaces = self._held[:place]
        self._raw = spaces[len(spaces.rstrip(_SPACE)) :] + mark
        self._held = self._held[place + len(mark) :]
        self._in_list = mark.endswith("[")
        self._at = _At.OPENED

    def _undecided(self, text: str) -> int:
        """Return how much of the end could be the beginning of an opener."""
        longest = max(map(len, self._syntax.openers)) - 1
        for size in range(min(longest, len(text)), 0, -1):
            if any(mark.startswith(text[-size:]) for mark in self._syntax.openers):
                return size
        return 0

    def _opened(self) -> bool:
        char = self._held[0]
        if char in _SPACE or (char == "[" and not self._in_list):
            self._in_list = self._in_list or char == "["
            self._raw += char
            self._held = self._held[1:]
        elif char == "{":
            self._begin_call()
        elif self._syntax.is_named and not self._in_list and _NAME.fullmatch(char):
            self._at = _At.NAME
        else:
            self._give_up()
        return True

    def _name(self) -> bool:
        """Read `name[ARGS]`, `name[CALL_ID]id[ARGS]` or a name, and then a bracket."""
        end = self._held.find("{")
        head = self._held[: end if end >= 0 else None]
        if end < 0 and len(head) <= _NAME_CHARS:
            return False
        match = _NAME.fullmatch(head) if len(head) <= _NAME_CHARS else None
        if match is None or match[1] not in self._names:
            self._give_up()
            return True
        self._held = self._held[end:]
        self._tell(match[1])
        self._extent = JsonExtent()
        self._at = _At.ARGUMENTS
        return True

    def _arguments(self) -> bool:
        end = self._extent.take(self._held, 0)
        self._piece(self._held[:end])
        self._held = self._held[end:]
        if self._extent.is_done:
            self._at = _At.BETWEEN
        return True

    def _begin_call(self) -> None:
        self._scanner = CallScanner(self._names)
        self._is_told = False
        self._at = _At.CALL

    def _call(self) -> bool:
        scanner = self._scanner
        end = scanner.take(self._held)
        if scanner.name is not None and not self._is_told:
            self._tell(scanner.name)
        if self._is_told:
            self._piece(scanner.drain())
        else:
            self._raw += self._held[:end]
        self._held = self._held[end:]
        if scanner.is_done:
            self._at = _At.BETWEEN
        elif scanner.is_broken:
            self._give_up()
        return True

    def _give_up(self) -> None:
        """Go on with text: what was taken is some too, unless a call came of it."""
        self._text.append(self._raw)
        self._raw = ""
        self._at = _At.TEXT

    def _between(self) -> bool:
        self._held = rest = self._held.lstrip(_SPACE)
        marks = (*self._syntax.openers, *filter(None, (self._syntax.closer,)))
        mark = next((mark for mark in marks if rest.startswith(mark)), None)
        if any(mark.startswith(rest) and mark != rest for mark in marks):
            return False
        if mark is not None and mark == self._syntax.closer:
            self._held = rest[len(mark) :]
            self._in_list = False
        elif mark is not None:
            self._open(0, mark)
        elif rest[0] == self._syntax.separator and (self._in_list or self._syntax.is_bare):
            self._held = rest[1:]
            self._at = _At.SEPARATED
        elif rest[0] == "]" and self._in_list:
            self._held = rest[1:]
            self._in_list = False
        elif rest[0] == "{" and self._at is _At.SEPARATED:
            self._begin_call()
        else:
            self._at = _At.TEXT
        return True

    def _tell(self, name: str) -> None:
        self._index += 1
        self._is_told = True
        self._raw = ""
        self._calls.append(ToolCallPiece(index=self._index, id=self._new_id(), name=name))

    def _piece(self, arguments: str) -> None:
        if not arguments:
            return
        last = self._calls[-1] if self._calls else None
        if last is not None and last.index == self._index:
            self._calls[-1] = msgspec.structs.replace(last, arguments=last.arguments + arguments)
        else:
            self._calls.append(ToolCallPiece(index=self._index, arguments=arguments))
