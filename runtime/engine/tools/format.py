"""How a family of models writes tool calls. Pure.

| format  | one call                                                    | several                 |
|---------|-------------------------------------------------------------|-------------------------|
| hermes  | `<tool_call>\\n{"name": .., "arguments": ..}\\n</tool_call>`| one after the other     |
| llama3  | `{"name": .., "parameters": ..}`                            | `; ` between            |
| mistral | `[TOOL_CALLS][{"name": .., "arguments": ..}]`               | in the list             |
|         | `[TOOL_CALLS]name[ARGS]{..}`, newer tokenizers              | one after the other     |
| phi     | `<|tool_call|>[{"name": .., "arguments": ..}]<|/tool_call|>`| in the list             |
|         | `functools[{"name": .., "arguments": ..}]`                  | in the list             |

>>> find_tool_format("{{ '<tool_call>' }} {% for tool in tools %}", None)
<ToolFormat.HERMES: 'hermes'>
"""

import hashlib
import re

from sealift.manifests.recipe import ToolFormat

__all__ = ["ToolFormat", "call_id", "find_tool_format", "tool_markers"]

_MARKERS: dict[ToolFormat, frozenset[str]] = {
    ToolFormat.HERMES: frozenset({"<tool_call>", "</tool_call>"}),
    ToolFormat.LLAMA3: frozenset({"<|python_tag|>"}),
    ToolFormat.MISTRAL: frozenset({"[TOOL_CALLS]", "[ARGS]", "[CALL_ID]"}),
    ToolFormat.PHI: frozenset({"<|tool_call|>", "<|/tool_call|>"}),
}
# What each family's templates say and no other's; looked for in this order.
_SIGNS: tuple[tuple[ToolFormat, re.Pattern[str]], ...] = (
    (ToolFormat.MISTRAL, re.compile(r"\[TOOL_CALLS\]")),
    (ToolFormat.PHI, re.compile(r"<\|tool_call\|>|<\|/?tool\|>|functools\[")),
    (ToolFormat.HERMES, re.compile(r"<tool_call>")),
    (ToolFormat.LLAMA3, re.compile(r'<\|python_tag\|>|"name": function name, "parameters"')),
)
# `<tool_call>` with these inside holds XML, not JSON.
_OTHER = re.compile(r"<function=|<arg_key>")
_MISTRAL_ID_CHARS = 9
_BASE_62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


def find_tool_format(template: str, declared: ToolFormat | str | None) -> ToolFormat | None:
    """Return the format of a model, from its recipe or else its chat template.

    Args:
        template: the chat template's text.
        declared: what the bundle says; it wins.
    """
    if declared is not None:
        return ToolFormat(declared)
    if _OTHER.search(template):
        return None
    return next((kind for kind, sign in _SIGNS if sign.search(template)), None)


def tool_markers(kind: ToolFormat) -> frozenset[str]:
    """Return the markers that a decoder must keep, though some are special tokens."""
    return _MARKERS[kind]


def call_id(kind: ToolFormat | None, source: bytes) -> str:
    """Return a call's id: nine letters and digits where templates of the family insist on it.

    Args:
        source: random bytes; or what names the call already, for the same id each time.
    """
    number = int.from_bytes(hashlib.sha256(source).digest())
    chars = []
    for _ in range(_MISTRAL_ID_CHARS if kind is ToolFormat.MISTRAL else 24):
        number, digit = divmod(number, len(_BASE_62))
        chars.append(_BASE_62[digit])
    name = "".join(chars)
    return name if kind is ToolFormat.MISTRAL else f"call_{name}"
