"""A jinja2 sandbox in which short texts cannot become endless ones.

jinja2's own sandbox keeps a template away from Python's internals and from changing what it is
given. It does not bound memory: `'a' * 10**9`, `ljust`, `%9999999999d`, a text doubled in a loop.
Here each operator, method and filter that can grow a text is measured before it runs. Time is not
its matter; see `chat_template.py`.
"""

import re
from collections.abc import Callable
from typing import Any

import jinja2.ext
import jinja2.nodes
import jinja2.runtime
import jinja2.sandbox
from jinja2.compiler import CodeGenerator, Frame

from sealift.runtime.template.errors import BoundError

__all__ = ["SandboxEnvironment", "check_chars"]

# A width or precision inside a format string: `%9999999d`, `{:>9999999}`.
_WIDE_FORMAT = re.compile(r"\d{6}")
_GROWING_FILTERS = ("center", "format", "indent", "join", "replace", "wordwrap")
_GROWING_METHODS = frozenset({"expandtabs", "join", "replace", "translate"})


def check_chars(chars: int, chars_max: int) -> None:
    """Raise `BoundError` when a text is, or would become, too long."""
    if chars > chars_max:
        raise BoundError(f"expected at most {chars_max} characters of text, got {chars} or more")


class _BoundedCode(CodeGenerator):
    """Compile `a ~ b` into a measured join; the stock one cannot be intercepted."""

    def visit_Concat(self, node: jinja2.nodes.Concat, frame: Frame) -> None:  # noqa: N802
        self.write("environment.bounded_join((")
        for part in node.nodes:
            self.visit(part, frame)
            self.write(", ")
        self.write("))")


class _GenerationTag(jinja2.ext.Extension):
    """`{% generation %}` marks an answer for training; here its body is rendered as it is."""

    tags = {"generation"}  # noqa: RUF012  (jinja2 reads a plain set)

    def parse(self, parser: Any) -> Any:
        """Return the block's body."""
        line = next(parser.stream).lineno
        body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
        return jinja2.nodes.Scope(body).set_lineno(line)


class SandboxEnvironment(jinja2.sandbox.ImmutableSandboxedEnvironment):
    """The environment of a chat template.

    Args:
        chars_max: longest text any one operation may make.
    """

    code_generator_class = _BoundedCode
    intercepted_binops = frozenset({"%", "*", "**", "+"})

    def __init__(self, chars_max: int) -> None:
        super().__init__(
            trim_blocks=True,
            lstrip_blocks=True,
            extensions=["jinja2.ext.loopcontrols", _GenerationTag],
        )
        self._chars_max = chars_max
        for name in _GROWING_FILTERS:
            self.filters[name] = self._measured(self.filters[name])

    def bounded_join(self, parts: tuple[object, ...]) -> str:
        """Concatenate as `~` does."""
        texts = [str(part) for part in parts]
        check_chars(sum(map(len, texts)), self._chars_max)
        return "".join(texts)

    def call_binop(
        self, context: jinja2.runtime.Context, operator: str, left: Any, right: Any
    ) -> Any:
        """Measure what an operator will make, then run it."""
        match operator:
            case "**":
                raise BoundError("the operator ** is not allowed")  # 9**9**9 never ends
            case "*":
                self._check_product(left, right)
            case "+":
                check_chars(_size(left) + _size(right), self._chars_max)
            case _ if isinstance(left, str):
                self._check_growth((left, right))
        return super().call_binop(context, operator, left, right)

    def call(  # jinja2's own names keep a template's keyword arguments free
        __self,  # noqa: N805
        __context: jinja2.runtime.Context,
        __obj: Any,
        *args: Any,
        **kwargs: Any,
    ) -> Any:
        """Measure a call of a text's method, then run it."""
        owner = getattr(__obj, "__self__", None)
        if isinstance(owner, str):
            values = (*args, *kwargs.values())
            __self._check_numbers(values)
            if getattr(__obj, "__name__", "") in _GROWING_METHODS:
                __self._check_growth((owner, *values))
        return super().call(__context, __obj, *args, **kwargs)

    def wrap_str_format(self, value: Any) -> Callable[..., str] | None:
        """Return the sandbox's `str.format`, measured."""
        stock = super().wrap_str_format(value)
        if stock is None:
            return None
        owner: str = value.__self__

        def measured(*args: Any, **kwargs: Any) -> str:
            self._check_growth((owner, *args, *kwargs.values()))
            return stock(*args, **kwargs)

        return measured

    def _measured(self, stock: Callable[..., Any]) -> Callable[..., Any]:
        def measured(*args: Any, **kwargs: Any) -> Any:
            self._check_growth((*args, *kwargs.values()))
            return stock(*args, **kwargs)

        # Says whether jinja2 hands the filter its evaluation context as first argument.
        if hasattr(stock, "jinja_pass_arg"):
            setattr(measured, "jinja_pass_arg", stock.jinja_pass_arg)  # noqa: B010  # untyped in jinja2
        return measured

    def _check_product(self, left: Any, right: Any) -> None:
        for text, count in ((left, right), (right, left)):
            if isinstance(count, int):
                check_chars(_size(text) * abs(count), self._chars_max)

    def _check_numbers(self, values: tuple[object, ...]) -> None:
        # A number given to a text's method or filter is a width.
        for value in values:
            for number in value if isinstance(value, tuple) else (value,):
                if isinstance(number, int):
                    check_chars(abs(number), self._chars_max)

    def _check_growth(self, values: tuple[object, ...]) -> None:
        """Check an upper bound of what formatting, joining or replacing with `values` makes."""
        self._check_numbers(values)
        texts = [value for value in values if isinstance(value, str)]
        if any(_WIDE_FORMAT.search(text) for text in texts if "%" in text or "{" in text):
            raise BoundError("a format string asks for a width of six digits or more")
        sizes = sorted((_size(value) for value in values), reverse=True)
        check_chars(sum(sizes), self._chars_max)
        # Replacing every character of one by the other, joining every item by the other.
        if len(sizes) > 1:
            check_chars(sizes[0] * max(1, sizes[1]), 64 * self._chars_max)


def _size(value: object) -> int:
    """Return the characters of a text, or of a list's texts with one more for each item."""
    if isinstance(value, str):
        return len(value)
    if isinstance(value, list | tuple):
        return sum(len(item) if isinstance(item, str) else 1 for item in value) + len(value)
    return 0
