"""Give a test the vectors of one row."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.vectors.vector import FOLDER, Vector, read_vector

__all__ = ["ROWS", "attack"]

ROWS = FOLDER / "attacks"


def attack(row: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Run a test once for each committed vector of a row; it takes `vector`."""
    paths = sorted((ROWS / row).glob("*.json"))
    assert paths, f"no vectors of {row}"

    def decorate(test: Callable[..., Any]) -> Callable[..., Any]:
        return pytest.mark.parametrize("vector", [_lazy(path) for path in paths])(test)

    return decorate


def _lazy(path: Path) -> Any:
    return pytest.param(read_vector(path), id=path.stem)


def vector_of(row: str, name: str) -> Vector:
    """Return one vector."""
    return read_vector(ROWS / row / f"{name}.json")
