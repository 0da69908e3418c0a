"""The committed JSON Schema is the generated one, and it refuses what the parser refuses."""

import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from jsonschema import Draft202012Validator, ValidationError

from sealift.manifests.errors import RecipeError
from sealift.manifests.recipe import Recipe, recipe_schema
from sealift.manifests.schema import schema_bytes

COMMITTED = Path(__file__).parents[2] / "manifests" / "recipe.schema.json"

HEAD = "name: demo\nversion: '1'\ntask: chat\nlicense: MIT\n"
VARIANTS = "variants: [{precision: int4}]\n"
SOURCE = "source: {path: model}\n"

# Each is wrong by itself: an editor with the schema and the parser must both say so.
WRONG = {
    "no source": HEAD + VARIANTS,
    "path and hub": HEAD + VARIANTS + f"source: {{path: m, hub: a/b, revision: {'0' * 40}}}\n",
    "hub without revision": HEAD + VARIANTS + "source: {hub: a/b}\n",
    "revision is a branch": HEAD + VARIANTS + "source: {hub: a/b, revision: main}\n",
    "revision is short": HEAD + VARIANTS + "source: {hub: a/b, revision: abcdef0}\n",
    "revision in capitals": HEAD + VARIANTS + f"source: {{hub: a/b, revision: {'A' * 40}}}\n",
    "path with a revision": HEAD + VARIANTS + f"source: {{path: m, revision: {'0' * 40}}}\n",
    "hub without owner": HEAD + VARIANTS + f"source: {{hub: b, revision: {'0' * 40}}}\n",
    "no variants": HEAD + SOURCE + "variants: []\n",
    "unknown precision": HEAD + SOURCE + "variants: [{precision: int3}]\n",
    "odd block size": HEAD + SOURCE + "variants: [{precision: int4, block_size: 48}]\n",
    "unknown field": HEAD + SOURCE + VARIANTS + "quality: best\n",
    "version is a number": "name: demo\nversion: 1\ntask: chat\nlicense: MIT\n" + SOURCE + VARIANTS,
    "unknown task": "name: demo\nversion: '1'\ntask: sing\nlicense: MIT\n" + SOURCE + VARIANTS,
    "negative limit": HEAD + SOURCE + VARIANTS + "evaluate: {text: a.txt, max_kl: -1}\n",
}


def test_committed_schema_is_current() -> None:
    hint = "run: python -m sealift.manifests.schema > manifests/recipe.schema.json"
    assert COMMITTED.read_bytes() == schema_bytes(), hint


def test_module_prints_the_schema() -> None:
    shown = subprocess.run(
        [sys.executable, "-m", "sealift.manifests.schema"], capture_output=True, check=True
    )
    assert shown.stdout == schema_bytes()


def test_schema_is_a_schema() -> None:
    Draft202012Validator.check_schema(recipe_schema())


@pytest.mark.parametrize("text", WRONG.values(), ids=WRONG.keys())
def test_schema_and_parser_refuse_the_same(text: str) -> None:
    with pytest.raises(RecipeError):
        Recipe.parse(text.encode())
    with pytest.raises(ValidationError):
        Draft202012Validator(recipe_schema()).validate(yaml.safe_load(text))


def test_schema_and_parser_accept_the_least() -> None:
    text = HEAD + SOURCE + VARIANTS
    Recipe.parse(text.encode())
    Draft202012Validator(recipe_schema()).validate(yaml.safe_load(text))
