"""Times as people type them: `30m`, `90s`, `2h`, `0`, `forever`."""

import re
from decimal import Decimal

import click

__all__ = ["Duration"]

_FORM = re.compile(r"(\d{1,9}(?:\.\d{1,3})?)\s*(s|m|h|d)", re.ASCII)
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


class Duration(click.ParamType[float]):
    """A number of seconds; `forever` is infinite, where that is allowed.

    >>> Duration().convert("30m", None, None)
    1800.0
    """

    name = "time"

    def __init__(self, *, may_be_zero: bool = False, may_be_forever: bool = False) -> None:
        self._may_be_zero = may_be_zero
        self._may_be_forever = may_be_forever

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Read a time."""
        if isinstance(value, float):
            return value
        text = str(value).strip()
        if text == "forever" and self._may_be_forever:
            return float("inf")
        match = _FORM.fullmatch(text)
        seconds = 0.0 if match is None else float(Decimal(match[1]) * _SECONDS[match[2]])
        is_zero = text == "0" or (match is not None and seconds == 0)
        if (match is None and text != "0") or (is_zero and not self._may_be_zero):
            examples = ["90s", "30m", "2h"]
            examples += ["0"] if self._may_be_zero else []
            examples += ["forever"] if self._may_be_forever else []
            self.fail(f"expected a time such as {', '.join(examples)}, got {value!r}", param, ctx)
        return seconds
