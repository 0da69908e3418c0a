"""Building twice from one export gives the same bytes; a missed limit gives no bundle."""

import re
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.path.conftest import Workbench


def _tree(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_the_same_export_gives_an_identical_bundle(workbench: "Workbench") -> None:
    workbench.run(
        "build", "purser/recipe.yaml", "--key", "keys/signer.key",
        "--out", "bundle-again", "--export", "export-purser",
    )  # fmt: skip
    again = _tree(workbench.root / "bundle-again")
    assert again == _tree(workbench.root / "bundle-purser")


def test_an_export_of_another_recipe_is_not_used(workbench: "Workbench") -> None:
    done = workbench.sealift(
        "build", "minilm/recipe.yaml", "--key", "keys/signer.key",
        "--out", "bundle-other", "--export", "export-purser",
    )  # fmt: skip
    assert done.returncode != 0
    assert "another recipe" in done.stderr
    assert not (workbench.root / "bundle-other").exists()


def test_a_missed_limit_stops_the_build_with_the_numbers(workbench: "Workbench") -> None:
    text = (workbench.root / "minilm" / "recipe.yaml").read_text()
    strict = workbench.root / "minilm" / "strict.yaml"
    strict.write_text(text.replace("min_cosine: 0.99", "min_cosine: 1.0"))
    done = workbench.sealift(
        "build", "minilm/strict.yaml", "--key", "keys/signer.key", "--out", "bundle-strict"
    )
    assert done.returncode == 1
    assert re.search(r"error: .*min_cosine.* 0\.99\d+", done.stderr), done.stderr
    assert not (workbench.root / "bundle-strict").exists()
    assert not list(workbench.root.glob(".bundle-strict*"))
    assert not list(workbench.root.glob(".export*"))
