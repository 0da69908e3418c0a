"""What a request's tools mean for its answer: its form, the text it is read from, its calls.

use = ToolUse.of(message, kind, grammars)
use.form, use.kept_tokens, use.parser()
"""

import secrets
from dataclasses import dataclass

from sealift.runtime.engine.decode.answer_parser import AnswerParser
from sealift.runtime.engine.errors import GrammarError, PromptError
from sealift.runtime.engine.forms.grammar import GrammarCompiler
from sealift.runtime.engine.request import Generate, Grammar, ToolSpec
from sealift.runtime.engine.tools.format import ToolFormat, call_id, tool_markers
from sealift.runtime.engine.tools.grammar import tool_grammar
from sealift.runtime.engine.tools.parser import tool_parser

__all__ = ["ToolUse"]

_ID_BYTES = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolUse:
    """The tools of one request that may be called.

    Attributes:
        form: what the answer must look like for its calls to be valid.
        kept_tokens: special tokens that open and close calls, and so belong to the text.
    """

    kind: ToolFormat
    tools: tuple[ToolSpec, ...]
    form: Grammar | None
    kept_tokens: frozenset[int]

    @classmethod
    def of(
        cls, message: Generate, kind: ToolFormat | None, grammars: GrammarCompiler
    ) -> "ToolUse | None":
        """Return a request's tools; None where it has none or may not call them.

        Raises:
            PromptError: it is not known how this model writes calls.
            GrammarError: the answer cannot have both a form and calls.
        """
        choice = message.tool_choice
        if not message.tools or choice.mode == "none":
            return None
        if kind is None:
            raise PromptError(
                "tools: this model's chat template does not say how it calls tools",
                hint="build the bundle with `tool_format` in its recipe, or ask without tools",
                param="tools",
            )
        if message.grammar is not None and choice.mode == "auto":
            raise GrammarError(
                "response_format: expected no other form where tools may be called",
                hint="let tool_choice be required, or none",
            )
        added = grammars.added_tokens
        form = tool_grammar(
            kind, message.tools, choice, parallel=message.parallel_tool_calls, added=added
        )
        kept = {added.ids[name] for name in tool_markers(kind) if name in added.ids}
        return cls(kind=kind, tools=message.tools, form=form, kept_tokens=frozenset(kept))

    def parser(self) -> AnswerParser:
        """Return the reader of one answer."""
        names = frozenset(tool.name for tool in self.tools)
        return tool_parser(
            self.kind, names, lambda: call_id(self.kind, secrets.token_bytes(_ID_BYTES))
        )
