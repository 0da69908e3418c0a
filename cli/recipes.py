"""`sealift recipes`: the catalogue that ships with the program."""

import click

from sealift.cli.options import json_option
from sealift.cli.output import print_json, print_table

__all__ = ["command"]


@click.command("recipes", short_help="List the recipes that ship with sealift.")
@json_option
def command(as_json: bool) -> None:
    """List the recipes that ship with sealift; `sealift build NAME` takes any of them."""
    from sealift.manifests.catalogue import catalogue
    from sealift.manifests.recipe import Recipe

    recipes = [(path, Recipe.parse(path.read_bytes())) for path in catalogue().values()]
    if as_json:
        print_json([{"file": str(path), "recipe": recipe} for path, recipe in recipes])
        return
    print_table(
        ("NAME", "TASK", "LICENSE", "VARIANTS", "SOURCE"),
        [
            (r.name, r.task.value, r.license, " ".join(v.label for v in r.variants),
             r.source.hub or r.source.path or "")
            for _, r in recipes
        ],
    )  # fmt: skip
