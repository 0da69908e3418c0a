"""Chat templates: read for what they must not say, then rendered in the engine's own sandbox.

Reading finds what no sample conversation would reach (`{% if messages | length > 9 %}…`), rendering
finds what no reading tells: that it ends, and in how many characters. No clock is read.
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from jinja2 import nodes
from jinja2.exceptions import SecurityError

from sealift.runtime.content.errors import ContentError
from sealift.runtime.content.limits import CONTENT_LIMITS, ContentLimits
from sealift.runtime.template.chat_template import Template, TemplateBounds
from sealift.runtime.template.errors import (
    BoundError,
    RenderError,
    TemplateError,
    TemplateRefusalError,
)
from sealift.runtime.template.sandbox import SandboxEnvironment

__all__ = ["check_template"]

_INTERNAL: Final = re.compile(r"__\w+__")
_INTERNAL_FIELD: Final = re.compile(r"\{[^{}]*__\w+__")
_LOADS: Final = (nodes.Include, nodes.Import, nodes.FromImport, nodes.Extends)
_NOW: Final = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)

_USER: Final = {"role": "user", "content": "Which way to the harbour? <b>Ünïcode</b> {{ 7 * 7 }}"}
_ASSISTANT: Final = {"role": "assistant", "content": "Left, then straight on."}
_SYSTEM: Final = {"role": "system", "content": "Answer in one sentence."}
_CONVERSATIONS: Final[tuple[list[dict[str, Any]], ...]] = (
    [_USER],
    [_USER, _ASSISTANT, _USER],
    [_SYSTEM, _USER, *([_ASSISTANT, _USER] * 8)],
)


def check_template(
    source: str,
    path: str,
    *,
    special_tokens: Mapping[str, str],
    is_served: bool,
    limits: ContentLimits = CONTENT_LIMITS,
) -> None:
    """Compile a template and render sample conversations.

    Args:
        is_served: it must take a plain user message; one that only travels along may refuse it.

    Raises:
        ContentError: it reaches for Python's internals or other files, does not end in time, makes
            too much text, or, being served, fails.
    """
    bounds = TemplateBounds(
        chars=limits.template_chars, time_s=limits.template_s, source_chars=limits.template_chars
    )
    try:
        template = Template(source, special_tokens=special_tokens, bounds=bounds, now=lambda: _NOW)
    except TemplateError as error:
        raise ContentError(path, error.message) from error
    _read(source, path)
    for number, conversation in enumerate(_CONVERSATIONS):
        try:
            template.render(conversation)
        except RenderError as error:
            if _is_hostile(error) or (is_served and not _is_refusal(error, number)):
                raise ContentError(path, error.message) from error


def _is_hostile(error: RenderError) -> bool:
    return isinstance(error.__cause__, BoundError | SecurityError | RecursionError)


def _is_refusal(error: RenderError, number: int) -> bool:
    # A template may insist on its roles, but not refuse the first and plainest of messages.
    return isinstance(error, TemplateRefusalError) and number > 0


def _read(source: str, path: str) -> None:
    tree = SandboxEnvironment(0).parse(source)
    for node in tree.find_all(_LOADS):
        raise ContentError(path, f"line {node.lineno}: a chat template loads no other file")
    for attribute in tree.find_all(nodes.Getattr):
        _check_name(attribute.attr, attribute.lineno, path)
    # `x['__class__']` and `x | attr('__class__')`; a text that is only printed may say anything.
    for holder in tree.find_all((nodes.Getitem, nodes.Filter)):
        for constant in holder.find_all(nodes.Const):
            _check_name(constant.value, constant.lineno, path)
    for constant in tree.find_all(nodes.Const):
        if isinstance(constant.value, str) and _INTERNAL_FIELD.search(constant.value):
            raise ContentError(path, f"line {constant.lineno}: a format that looks inside Python")


def _check_name(name: object, line: int, path: str) -> None:
    if isinstance(name, str) and _INTERNAL.search(name):
        raise ContentError(path, f"line {line}: {name[:80]!r} is one of Python's own")
