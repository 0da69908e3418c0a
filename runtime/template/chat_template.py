"""Render a conversation with the model's own chat template, in a sandbox, within bounds.

The conventions are those of transformers, so that a template written for it gives the same text:
`trim_blocks`, `lstrip_blocks`, loop controls, `tojson` that keeps non-ASCII and `<`, and the
globals `raise_exception` and `strftime_now`. A template is signed by whoever built the bundle; one
that loops or allocates without end is refused all the same.

>>> template = Template("{% for m in messages %}[{{ m.role }}]{{ m.content }}{% endfor %}",
...                     special_tokens={}, bounds=TemplateBounds(), now=datetime.now)
>>> template.render([{"role": "user", "content": "hi"}])
'[user]hi'
"""

import json
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from types import FrameType
from typing import Any

import jinja2

from sealift.runtime.template.errors import (
    BoundError,
    RenderError,
    TemplateError,
    TemplateRefusalError,
)
from sealift.runtime.template.sandbox import SandboxEnvironment, check_chars

__all__ = ["Message", "Template", "TemplateBounds"]

Message = Mapping[str, Any]
"""One turn, as transformers gives it to a template: `role`, `content`, maybe `tool_calls`."""

_FILE = "<chat template>"

# What a template's own expression can raise; anything else would be a defect of ours.
_TEMPLATE_FAILURES = (
    jinja2.TemplateError,
    ArithmeticError,
    AttributeError,
    LookupError,
    RecursionError,
    TypeError,
    ValueError,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class TemplateBounds:
    """How much a render may make and take."""

    chars: int = 4 << 20
    time_s: float = 2.0
    source_chars: int = 1 << 20


class Template:
    """A compiled template with the model's special tokens.

    Args:
        source: the template's text.
        special_tokens: `bos_token` and its like, as text.
        now: the clock behind `strftime_now`.

    Raises:
        TemplateError: not a template.
    """

    def __init__(
        self,
        source: str,
        *,
        special_tokens: Mapping[str, str],
        bounds: TemplateBounds,
        now: Callable[[], datetime],
    ) -> None:
        if len(source) > bounds.source_chars:
            raise TemplateError(f"chat template: expected at most {bounds.source_chars} characters")
        self._bounds = bounds
        self._special_tokens = dict(special_tokens)
        environment = SandboxEnvironment(bounds.chars)
        environment.filters["tojson"] = _to_json
        environment.globals["raise_exception"] = _raise_exception
        environment.globals["strftime_now"] = lambda form: now().strftime(form)
        try:
            code = environment.compile(source, filename=_FILE)
            self._template = jinja2.Template.from_code(environment, code, environment.globals)
        except (jinja2.TemplateError, RecursionError) as error:
            raise TemplateError(f"chat template: {error}") from error

    def render(
        self, messages: Sequence[Message], tools: Sequence[Mapping[str, Any]] | None = None
    ) -> str:
        """Return the prompt, with the opening of the answer at its end.

        Args:
            tools: as transformers gives them: `{"type": "function", "function": {...}}`.

        Raises:
            TemplateRefusalError: the template does not take this conversation.
            RenderError: it fails on it, or exceeds a bound.
        """
        values = {
            **self._special_tokens,
            "messages": [dict(message) for message in messages],
            "tools": None if tools is None else [dict(tool) for tool in tools],
            "documents": None,
            "add_generation_prompt": True,
        }
        try:
            with _deadline(self._bounds.time_s):
                return self._generate(values)
        except _RefusedError as error:
            raise TemplateRefusalError(
                f"the model's chat template refuses this: {error}"
            ) from error
        except BoundError as error:
            raise RenderError(f"chat template: {error}") from error
        except _TEMPLATE_FAILURES as error:
            raise RenderError(f"chat template: {type(error).__name__}: {error}") from error

    def _generate(self, values: dict[str, Any]) -> str:
        pieces: list[str] = []
        chars = 0
        for piece in self._template.generate(values):
            chars += len(piece)
            check_chars(chars, self._bounds.chars)
            pieces.append(piece)
        return "".join(pieces)


class _RefusedError(Exception):
    """The template called `raise_exception`."""


def _raise_exception(message: str) -> None:
    raise _RefusedError(message)


def _to_json(
    value: Any,
    ensure_ascii: bool = False,
    indent: int | None = None,
    separators: tuple[str, str] | None = None,
    sort_keys: bool = False,
) -> str:
    return json.dumps(
        value,
        ensure_ascii=ensure_ascii,
        indent=indent,
        separators=separators,
        sort_keys=sort_keys,
    )


@contextmanager
def _deadline(time_s: float) -> Iterator[None]:
    """Stop Python code of this thread that runs longer: also a loop with nothing in it.

    The template's own lines are traced, and every call; the rest of the process is not slowed.
    """
    end = time.monotonic() + time_s

    def trace(frame: FrameType, event: str, arg: object) -> Any:
        if time.monotonic() > end:
            raise BoundError(f"expected an end within {time_s} s")
        return trace if frame.f_code.co_filename == _FILE else None

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        yield
    finally:
        sys.settrace(before)
