"""The page of attacks, the vectors and the tests say the same."""

import ast
import re
from pathlib import Path

REPO = Path(__file__).resolve().parent.parent.parent
PAGE = (REPO / "docs" / "attacks.md").read_text()
TESTS = set(re.findall(r"`(tests/attacks/\w+\.py::\w+)`", PAGE))


def _defined() -> dict[str, list[str]]:
    """Return every test of attacks, with the vectors that it names."""
    found: dict[str, list[str]] = {}
    for path in sorted((REPO / "tests" / "attacks").glob("test_*.py")):
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
                found[f"{path.relative_to(REPO)}::{node.name}"] = [
                    str(ast.literal_eval(call.args[0]))
                    for call in node.decorator_list
                    if isinstance(call, ast.Call)
                    and isinstance(call.func, ast.Name)
                    and call.func.id == "attack"
                ]
    return found


def test_every_attack_on_the_page_has_its_test_and_every_test_is_on_the_page() -> None:
    assert set(_defined()) == TESTS


def test_every_row_names_the_vectors_that_its_test_takes() -> None:
    lines = [line for line in PAGE.splitlines() if line.startswith("| ") and "::" in line]
    named = {}
    for line in lines:
        _, vectors, test = re.findall(r"[^|]+", line)[:3]
        named[test.strip(" `")] = [name.strip(" `") for name in [vectors] if "`" in name]
    assert named == {test: rows for test, rows in _defined().items() if test in named}
    assert len(lines) == len(named)


def test_every_folder_of_vectors_is_on_the_page() -> None:
    folders = {path.name for path in (REPO / "tests" / "vectors" / "attacks").iterdir()}
    taken = {row for rows in _defined().values() for row in rows}
    assert folders == taken
