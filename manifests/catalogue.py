"""The recipes that ship with Sealift, by name."""

from pathlib import Path

from sealift.manifests.errors import RecipeError

__all__ = ["catalogue", "find_recipe"]

_FOLDER = Path(__file__).parent / "recipes"


def catalogue() -> dict[str, Path]:
    """Return name and file of every shipped recipe, sorted by name."""
    return {path.stem: path for path in sorted(_FOLDER.glob("*.yaml"))}


def find_recipe(name: str) -> Path:
    """Return the file that a user means: a path, or the name of a shipped recipe.

    Raises:
        RecipeError: neither.
    """
    path = Path(name)
    if path.is_file():
        return path
    shipped = catalogue()
    if name in shipped:
        return shipped[name]
    raise RecipeError(
        f"recipe {name!r}: no such file, and no shipped recipe of that name",
        hint="`sealift recipes` lists the shipped ones",
    )
