"""Compile what an answer must look like into masks over the model's vocabulary.

Only the worker imports this module. It compiles with llguidance: a form becomes a parser over
bytes, so that any tokenizer's tokens can be asked whether they fit.

    compiler = GrammarCompiler.open(tokenizer_json, vocab_size=151_936, eos_token_ids=(151_645,))
    constraint = compiler.compile(Grammar(kind="json_schema", text='{"type": "object"}'))
"""

import json
import threading
from collections import OrderedDict

import llguidance

from sealift.manifests.strict_json import JsonValue
from sealift.runtime.engine.forms.added_tokens import AddedTokens
from sealift.runtime.engine.forms.bounds import (
    GrammarBounds,
    check_choices,
    check_lark,
    check_schema,
    check_size,
)
from sealift.runtime.engine.forms.json_form import with_json_options
from sealift.runtime.engine.forms.matcher import MatcherConstraint
from sealift.runtime.engine.forms.message import readable
from sealift.runtime.engine.forms.tokens import GrammarTokens
from sealift.runtime.engine.request import Grammar

__all__ = ["GrammarCompiler"]


class GrammarCompiler:
    """Compiles for one tokenizer, and keeps what it compiled. Safe for several threads."""

    def __init__(self, tokens: GrammarTokens, bounds: GrammarBounds) -> None:
        self._tokens = tokens
        self._bounds = bounds
        self._limits = _limits(bounds)
        self._lock = threading.Lock()
        self._compiled: OrderedDict[Grammar, llguidance.LLMatcher] = OrderedDict()

    @classmethod
    def open(
        cls,
        tokenizer_json: bytes,
        vocab_size: int,
        eos_token_ids: tuple[int, ...],
        bounds: GrammarBounds | None = None,
    ) -> "GrammarCompiler":
        """Make a compiler; its vocabulary is indexed at the first use, in about a second.

        Args:
            tokenizer_json: the model's `tokenizer.json`.
            vocab_size: of its logits, which can be more or fewer than its tokens.
            eos_token_ids: any of them ends an answer, where its form may end.
        """
        tokens = GrammarTokens(tokenizer_json, vocab_size=vocab_size, eos_token_ids=eos_token_ids)
        return cls(tokens, bounds or GrammarBounds())

    def warm(self) -> None:
        """Index the vocabulary now.

        Raises:
            GrammarError: this tokenizer's kind is not supported.
        """
        self._tokens.index()

    def compile(self, grammar: Grammar) -> MatcherConstraint:
        """Return a fresh state of the form.

        Raises:
            GrammarError: it cannot be compiled, allows no answer, or exceeds a bound.
        """
        with self._lock:
            matcher = self._compiled.get(grammar)
            if matcher is not None:
                self._compiled.move_to_end(grammar)
                return self._constraint(matcher)
        matcher = self._build(grammar)
        with self._lock:
            self._compiled[grammar] = matcher
            while len(self._compiled) > self._bounds.cached:
                self._compiled.popitem(last=False)
            return self._constraint(matcher)

    def token_bytes(self, token: int) -> bytes:
        """Return what a token stands for: a special one its name, one beyond the tokenizer none."""
        return self._tokens.bytes_of(token)

    @property
    def added_tokens(self) -> AddedTokens:
        """The tokenizer's added tokens, without those that end an answer."""
        return self._tokens.added

    def _constraint(self, matcher: llguidance.LLMatcher) -> MatcherConstraint:
        return MatcherConstraint(
            matcher.deep_copy(), vocab_size=self._tokens.vocab_size, index_size=self._tokens.size
        )

    def _build(self, grammar: Grammar) -> llguidance.LLMatcher:
        source = _source(grammar, self._bounds)
        matcher = llguidance.LLMatcher(
            self._tokens.index(), source, log_level=0, limits=self._limits
        )
        self._check(matcher, grammar)
        # The first mask is made here: it finds what the compiler leaves to the first step, and
        # its work is shared by all copies.
        matcher.compute_bitmask()
        self._check(matcher, grammar)
        return matcher

    def _check(self, matcher: llguidance.LLMatcher, grammar: Grammar) -> None:
        if matcher.is_error():
            raise readable(grammar, matcher.get_error())


def _source(grammar: Grammar, bounds: GrammarBounds) -> str:
    """Check a form and write it as llguidance reads it."""
    match grammar.kind:
        case "json_schema":
            return _json_source(check_schema(grammar.text, bounds))
        case "json_object":
            return _json_source({"type": "object"})
        case "choice":
            choices = " | ".join(map(json.dumps, check_choices(grammar.text, bounds)))
            source = f"start: CHOICE\nCHOICE: {choices}\n"
        case "regex":
            check_size("regex", grammar.text, bounds)
            return llguidance.LLMatcher.grammar_from_regex(grammar.text)
        case "lark":
            source = check_lark(grammar.text, bounds)
    return llguidance.LLMatcher.grammar_from_lark(source)


def _json_source(schema: JsonValue) -> str:
    return llguidance.LLMatcher.grammar_from_json_schema(json.dumps(with_json_options(schema)))


def _limits(bounds: GrammarBounds) -> llguidance.LLParserLimits:
    return llguidance.LLParserLimits(
        max_items_in_row=bounds.row_items,
        initial_lexer_fuel=bounds.lexer_fuel,
        step_lexer_fuel=bounds.step_fuel,
        step_max_items=bounds.step_items,
        max_lexer_states=bounds.lexer_states,
        max_grammar_size=bounds.grammar_symbols,
        # A message must not quote the answer so far.
        verbose_errors=False,
    )
