"""Every committed seed, and every input that ever broke a rule, through its reader."""

from pathlib import Path

import pytest

from tests.attacks.rows import ROWS
from tests.fuzz.seed import CORPUS, seeds
from tests.fuzz.targets import READERS, TARGETS

_CRASHES = CORPUS.parent / "crashes"


def _inputs() -> list[Path]:
    return sorted(path for root in (CORPUS, _CRASHES) for path in root.rglob("*") if path.is_file())


@pytest.mark.parametrize("target", TARGETS)
def test_what_is_committed_breaks_no_rule(target: str) -> None:
    inputs = [path for path in _inputs() if path.parent.name == target]
    assert inputs, f"no seed for {target}"
    for path in inputs:
        TARGETS[target](path.read_bytes())


def test_seeds_that_are_right_are_read() -> None:
    """Else fuzzing starts from what is refused at once."""
    hostile = set(ROWS.iterdir())
    rows = tuple(f"{row.name}-" for row in hostile)
    right = [path for path in seeds() if not path.split("/")[1].startswith(rows)]
    assert {path.split("/")[0] for path in right} == set(READERS)
    for path in right:
        READERS[path.split("/")[0]](seeds()[path])


def test_seeds_are_current() -> None:
    committed = {
        str(path.relative_to(CORPUS)): path.read_bytes()
        for path in _inputs()
        if path.is_relative_to(CORPUS)
    }
    assert committed == seeds(), "run `python -m tests.fuzz.seed`"


@pytest.mark.parametrize("target", TARGETS)
def test_short_nonsense_breaks_no_rule(target: str) -> None:
    """What any fuzzer would try first, also where there is no fuzzer."""
    for data in (b"", b"\0", b"{}", b"[]", b"null", b"\xff" * 40, b"{" * 10_000, b'{"a":' * 99):
        TARGETS[target](data)
    for path in _inputs():
        if path.parent.name == target:
            whole = path.read_bytes()
            for end in range(0, len(whole), max(1, len(whole) // 40)):
                TARGETS[target](whole[:end])
