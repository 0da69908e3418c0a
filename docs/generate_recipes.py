"""Print docs/recipes.md: the shipped recipes as one table, read from the recipes themselves.

$ python docs/generate_recipes.py > docs/recipes.md
"""

import sys
from pathlib import Path

from sealift.manifests.recipe import Precision, Recipe, VariantSpec

_RECIPES = Path(__file__).parent.parent / "manifests" / "recipes"

_HEAD = """\
# Shipped recipes

<!-- written by docs/generate_recipes.py; edit the recipes, not this file -->

Each is a file in [`manifests/recipes/`](../manifests/recipes), pinned to one commit of its
repository on the hub. Build one with

    sealift build manifests/recipes/NAME.yaml --key KEY --out BUNDLE

or copy it and change what you need: paths in a recipe are relative to the recipe file. A pinned
commit is a starting point, not advice to stay on it: to move to a newer one, change `revision` and
raise `version`.

| name | task | repository on the hub | revision | licence | variants |
|---|---|---|---|---|---|
"""

_FOOT = """
¹ The hub gates this repository: accept the licence on its page, then set `HF_TOKEN` to a token that
may read it.

`int4/32` means 4-bit weights with one scale for each 32 of them. Larger blocks make a smaller and
faster model and cost some quality, so models of up to 1 B parameters take 32, the others 128.
Every build measures the loss and stops at the limits in `evaluate`.

A repository whose configuration asks the loader to run the repository's own Python code
(`auto_map`), as Phi-3.5-mini and Phi-4-mini do, has no recipe: a build refuses it.
"""


def render() -> str:
    """Return the page as it is committed."""
    recipes = [Recipe.parse(path.read_bytes()) for path in sorted(_RECIPES.glob("*.yaml"))]
    recipes.sort(key=lambda recipe: (_TASKS.index(recipe.task.value), recipe.name))
    return _HEAD + "".join(_row(recipe) for recipe in recipes) + _FOOT


_TASKS = ("chat", "embed", "rerank", "classify")


def _row(recipe: Recipe) -> str:
    source = recipe.source
    revision = source.revision or ""
    cells = (
        f"[{recipe.name}](../manifests/recipes/{recipe.name}.yaml)",
        recipe.task.value,
        f"[{source.hub}](https://huggingface.co/{source.hub}/tree/{revision})",
        f"`{revision[:12]}`",
        # Every licence in the catalogue that SPDX does not list is also a gate on the hub.
        recipe.license + ("¹" if recipe.license.startswith("LicenseRef-") else ""),
        ", ".join(_variant(variant) for variant in recipe.variants),
    )
    return f"| {' | '.join(cells)} |\n"


def _variant(variant: VariantSpec) -> str:
    weights_only = variant.precision in (Precision.INT4, Precision.INT8)
    return variant.precision.value + (f"/{variant.block_size}" if weights_only else "")


if __name__ == "__main__":
    sys.stdout.buffer.write(render().encode())
