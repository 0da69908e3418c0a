"""Write the grammar of an answer that may or must call tools. Pure.

With `auto` the answer is free text, or text and then calls; from a call's opening on, nothing but
a valid call of an offered tool can come, with arguments that its schema takes. With `required` or
a named tool the answer is calls and nothing else. After the first call come only calls or the end.

The name and the keys around it are spelled as the families' templates spell them, `json.dumps` with
a space after comma and colon, so that a model stays on its own path. Arguments may be indented.

>>> text = tool_grammar(ToolFormat.LLAMA3, (ToolSpec(name="f"),), ToolChoice(mode="required"),
...                     parallel=False, added=AddedTokens(ids={})).text
>>> text.splitlines()[0]
'start: call'
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

from sealift.manifests.strict_json import JsonValue
from sealift.runtime.engine.errors import GrammarError
from sealift.runtime.engine.forms.added_tokens import AddedTokens
from sealift.runtime.engine.forms.json_form import with_json_options
from sealift.runtime.engine.request import Grammar, ToolChoice, ToolSpec
from sealift.runtime.engine.tools.format import ToolFormat, tool_markers

__all__ = ["tool_grammar"]

_TEXT = r"TEXT: /(.|\n)*/"
# Text that does not begin as a call does.
_PLAIN = r"PLAIN: /([ \t\r\n]*[^{ \t\r\n](.|\n)*)?/"
_FUNCTOOLS = "functools["
_COMPOSED = frozenset({"$ref", "anyOf", "oneOf", "allOf", "patternProperties"})


def tool_grammar(
    kind: ToolFormat,
    tools: Sequence[ToolSpec],
    choice: ToolChoice,
    *,
    parallel: bool,
    added: AddedTokens,
) -> Grammar | None:
    """Return the form of the answer; None where it is free.

    Args:
        parallel: whether an answer may have several calls.
        added: the tokenizer's added tokens.

    Raises:
        GrammarError: the named tool is not among them.
    """
    if choice.mode == "none" or not tools:
        return None
    if choice.mode == "named":
        tools = [tool for tool in tools if tool.name == choice.name]
        parallel = False
        if not tools:
            raise GrammarError(f"tool_choice: no tool is called {choice.name!r}")
    spell = _Spelling(kind, added)
    match kind:
        case ToolFormat.HERMES:
            calls = _hermes(spell, parallel)
        case ToolFormat.LLAMA3:
            calls = _llama3(parallel)
        case ToolFormat.MISTRAL:
            calls = _mistral(spell, parallel)
        case ToolFormat.PHI:
            calls = _phi(spell, parallel)
    is_named = kind is ToolFormat.MISTRAL and "[ARGS]" in added.ids
    lines = [
        *_start(spell, calls, is_free=choice.mode == "auto"),
        *_calls(spell, tools, kind, is_named=is_named),
    ]
    return Grammar(kind="lark", text="\n".join(lines) + "\n")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Calls:
    """A format's rules.

    Attributes:
        forced: the calls of an answer that is nothing else.
        openers: markers that open calls inside text, each with what must follow it.
        is_bare: calls may begin a free answer without a marker, as `forced` has them.
    """

    forced: str
    openers: tuple[tuple[str, str], ...]
    is_bare: bool = False


class _Spelling:
    """Writes a marker as its token where the tokenizer has one, otherwise as text."""

    def __init__(self, kind: ToolFormat, added: AddedTokens) -> None:
        self._ids = added.ids
        markers = {added.ids[name] for name in tool_markers(kind) if name in added.ids}
        #: Other words of one token, `<think>` for one, that may stand in text.
        self.words = sorted(added.visible - markers)

    def token(self, name: str) -> str | None:
        """Return the reference to a marker's token, if it has one."""
        token = self._ids.get(name)
        return None if token is None else f"<[{token}]>"

    def marker(self, name: str) -> str:
        """Return what writes a marker."""
        return self.token(name) or json.dumps(name)


def _hermes(spell: _Spelling, parallel: bool) -> _Calls:
    opener, closer = spell.marker("<tool_call>"), spell.marker("</tool_call>")
    body = rf'"\n" call "\n" {closer}'
    more = rf" (/\n?/ {opener} {body})*" if parallel else ""
    return _Calls(forced=f"{opener} {body}{more}", openers=(("<tool_call>", body + more),))


def _llama3(parallel: bool) -> _Calls:
    calls = 'call ("; " call)*' if parallel else "call"
    return _Calls(forced=calls, openers=(("<|python_tag|>", calls),), is_bare=True)


def _mistral(spell: _Spelling, parallel: bool) -> _Calls:
    opener = spell.marker("[TOOL_CALLS]")
    if spell.token("[ARGS]") is None:
        calls = f'/ ?\\[/ {_items(parallel)} "]"'
    else:
        calls = f"call ({opener} call)*" if parallel else "call"
    return _Calls(forced=f"{opener} {calls}", openers=(("[TOOL_CALLS]", calls),))


def _phi(spell: _Spelling, parallel: bool) -> _Calls:
    items = f'{_items(parallel)} "]"'
    spelled = _Calls(forced=f'"{_FUNCTOOLS}" {items}', openers=((_FUNCTOOLS, items),))
    opener = spell.token("<|tool_call|>")
    if opener is None:
        return spelled
    # Models with the token know it; the template may have asked for the word all the same.
    body = f'"[" {items} {spell.token("<|/tool_call|>") or ""}'.rstrip()
    return _Calls(
        forced=f"{opener} {body} | {spelled.forced}",
        openers=(("<|tool_call|>", body), *spelled.openers),
    )


def _items(parallel: bool) -> str:
    return 'call (", " call)*' if parallel else "call"


def _start(spell: _Spelling, calls: _Calls, *, is_free: bool) -> list[str]:
    """Return the rules from the answer's first character to its calls."""
    if not is_free:
        return [f"start: {calls.forced}"]
    text = "PLAIN" if calls.is_bare else "TEXT"
    ways = [text, calls.forced] if calls.is_bare else [text]
    lines = [_TEXT, _PLAIN] if calls.is_bare else [_TEXT]
    for number, (name, body) in enumerate(calls.openers):
        if (token := spell.token(name)) is not None:
            ways.append(f"{text} {token} {body}")
        # Spelled out, a marker opens a call too. Lazy: the text ends where it is complete.
        if not calls.is_bare:
            lines.append(f"lead_{number}[lazy]: TEXT {json.dumps(name)}")
            ways.append(f"lead_{number} {body}")
    words = f"<[{','.join(map(str, spell.words))}]>"
    prefix = f"(TEXT {words})* " if spell.words else ""
    return [f"start: {prefix}({' | '.join(ways)})", *lines]


def _calls(
    spell: _Spelling, tools: Sequence[ToolSpec], kind: ToolFormat, *, is_named: bool
) -> list[str]:
    """Return the rule of one call, and of each tool's arguments."""
    key = "parameters" if kind is ToolFormat.LLAMA3 else "arguments"
    ways = []
    lines = []
    for number, tool in enumerate(tools):
        if is_named:
            ways.append(f"{json.dumps(tool.name)} {spell.token('[ARGS]')} args_{number}")
        else:
            head = f'{{"name": {json.dumps(tool.name)}, "{key}": '
            ways.append(f'{json.dumps(head)} args_{number} "}}"')
        lines.append(f"args_{number}: %json {json.dumps(_schema(tool))}")
    return [f"call: {' | '.join(ways)}", *lines]


def _schema(tool: ToolSpec) -> dict[str, JsonValue]:
    """Return the schema of a tool's arguments, as it will be enforced.

    An argument that the schema does not name is not invented, where it does not say that there are
    any. A keyword that cannot be enforced is passed over: tools come from many programs, and a tool
    with an unknown format is better than none.
    """
    schema = cast("dict[str, JsonValue]", {"type": "object", **tool.parameters})
    if not _COMPOSED & schema.keys():
        schema.setdefault("additionalProperties", False)
    return with_json_options(schema, is_lenient=True)
