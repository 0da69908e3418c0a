"""Times as people type them."""

import click
import pytest

from sealift.cli.duration import Duration


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90), ("30m", 1800), ("1.5h", 5400), ("2d", 172_800), ("5 m", 300)]
)
def test_times(text: str, seconds: float) -> None:
    assert Duration().convert(text, None, None) == seconds


@pytest.mark.parametrize(
    "text", ["", "0", "0s", "30", "-1s", "1w", "m", "1e3s", "forever", "\u0661s", "inf", "nan"]
)
def test_what_is_no_time(text: str) -> None:
    with pytest.raises(click.BadParameter, match="expected a time such as 90s, 30m, 2h, got"):
        Duration().convert(text, None, None)


def test_none_at_all_and_for_ever_where_they_mean_something() -> None:
    kind = Duration(may_be_zero=True, may_be_forever=True)
    assert kind.convert("0", None, None) == kind.convert("0m", None, None) == 0
    assert kind.convert("forever", None, None) == float("inf")
