"""Every shipped recipe is complete: it parses, its files are there, its blocks fit its model."""

import json
import re
import runpy
from pathlib import Path

import pytest
import yaml
from jsonschema import Draft202012Validator

from sealift.manifests.recipe import Precision, Recipe, Task

ROOT = Path(__file__).parents[2]
RECIPES = ROOT / "manifests" / "recipes"
FILES = sorted(RECIPES.glob("*.yaml"))
SCHEMA = json.loads((ROOT / "manifests" / "recipe.schema.json").read_bytes())

FAMILIES = {
    "Phi": r"microsoft/phi-",
    "Qwen": r"Qwen/Qwen",
    "Llama": r"meta-llama/Llama-",
    "Mistral": r"mistralai/Mistral-",
    "Gemma": r"google/gemma-",
    "SmolLM": r"HuggingFaceTB/SmolLM",
    "Granite": r"ibm-granite/granite-",
    "MiniLM": r"sentence-transformers/all-MiniLM-",
    "bge": r"BAAI/bge-.*-en-",
    "e5": r"intfloat/.*e5-",
    "reranker": r"(BAAI/bge-reranker|cross-encoder/)",
}

# The inner sizes of each model's matrices (hidden, attention output, MLP): a block must divide all.
INNER_SIZES = {
    "all-minilm-l6-v2": (384, 1536),
    "bge-base-en-v1.5": (768, 3072),
    "bge-reranker-base": (768, 3072),
    "bge-reranker-v2-m3": (1024, 4096),
    "bge-small-en-v1.5": (384, 1536),
    "distilbert-sst-2": (768, 3072),
    "e5-base-v2": (768, 3072),
    "e5-small-v2": (384, 1536),
    "gemma-2-2b-it": (2304, 2048, 9216),
    "gemma-3-1b-it": (1152, 1024, 6912),
    "granite-3.3-2b-instruct": (2048, 8192),
    "llama-3.2-1b-instruct": (2048, 8192),
    "llama-3.2-3b-instruct": (3072, 8192),
    "mistral-7b-instruct-v0.3": (4096, 14336),
    "ms-marco-minilm-l6-v2": (384, 1536),
    "multilingual-e5-small": (384, 1536),
    "phi-4": (5120, 17920),
    "qwen2.5-0.5b-instruct": (896, 4864),
    "qwen2.5-1.5b-instruct": (1536, 8960),
    "qwen2.5-7b-instruct": (3584, 18944),
    "qwen3-0.6b": (1024, 2048, 3072),
    "qwen3-4b": (2560, 4096, 9728),
    "smollm2-1.7b-instruct": (2048, 8192),
    "smollm2-360m-instruct": (960, 2560),
    "smollm3-3b": (2048, 11008),
}

FIELDS = {
    Task.CHAT: {"prompt"},
    Task.EMBED: {"text"},
    Task.RERANK: {"query", "document"},
    Task.CLASSIFY: {"text"},
}
LINES_MIN = {Task.CHAT: 30, Task.EMBED: 50, Task.RERANK: 24, Task.CLASSIFY: 24}

each_recipe = pytest.mark.parametrize("path", FILES, ids=[path.stem for path in FILES])


def _parse(path: Path) -> Recipe:
    return Recipe.parse(path.read_bytes())


def test_there_are_enough_and_no_two_alike() -> None:
    recipes = [_parse(path) for path in FILES]
    assert len(recipes) >= 15
    assert len({recipe.name for recipe in recipes}) == len(recipes)
    assert len({recipe.source.hub for recipe in recipes}) == len(recipes)
    assert len({recipe.source.revision for recipe in recipes}) == len(recipes)


@pytest.mark.parametrize("family", FAMILIES)
def test_family_is_present(family: str) -> None:
    hubs = [_parse(path).source.hub or "" for path in FILES]
    assert any(re.match(FAMILIES[family], hub) for hub in hubs)


@each_recipe
def test_name_source_and_description(path: Path) -> None:
    recipe = _parse(path)
    assert recipe.name == path.stem
    assert recipe.source.hub is not None
    assert recipe.description
    assert "\n" not in recipe.description


@each_recipe
def test_recipe_fits_the_committed_schema(path: Path) -> None:
    Draft202012Validator(SCHEMA).validate(yaml.safe_load(path.read_bytes()))


@each_recipe
def test_evaluation_files_are_there(path: Path) -> None:
    recipe = _parse(path)
    assert recipe.evaluate.prompts is not None
    lines = (path.parent / recipe.evaluate.prompts).read_text("utf-8").splitlines()
    rows = [json.loads(line) for line in lines]
    assert len(rows) >= LINES_MIN[recipe.task]
    assert len(set(lines)) == len(lines)
    for row in rows:
        assert set(row) == FIELDS[recipe.task]
        assert all(isinstance(value, str) and value.strip() == value for value in row.values())
    if recipe.task is Task.CHAT:
        assert recipe.evaluate.text is not None
        words = (path.parent / recipe.evaluate.text).read_text("utf-8").split()
        assert 500 <= len(words) <= 1000


@each_recipe
def test_limits_stop_a_bad_build(path: Path) -> None:
    recipe = _parse(path)
    match recipe.task:
        case Task.CHAT:
            assert recipe.evaluate.max_kl is not None
        case Task.EMBED:
            assert recipe.evaluate.min_cosine is not None
        case Task.CLASSIFY:
            assert recipe.evaluate.min_exact is not None
        case Task.RERANK:
            pass  # no limit applies to scores yet; the measurement is in the report


@each_recipe
def test_blocks_divide_the_model(path: Path) -> None:
    recipe = _parse(path)
    for variant in recipe.variants:
        if variant.precision in (Precision.INT4, Precision.INT8):
            for size in INNER_SIZES[recipe.name]:
                assert size % variant.block_size == 0


@each_recipe
def test_gated_sources_say_so(path: Path) -> None:
    text = path.read_text("utf-8")
    assert ("HF_TOKEN" in text) == _parse(path).license.startswith("LicenseRef-")


def test_every_data_file_is_used() -> None:
    used = {
        name
        for recipe in map(_parse, FILES)
        for name in (recipe.evaluate.prompts, recipe.evaluate.text)
        if name is not None
    }
    assert used == {f"data/{path.name}" for path in (RECIPES / "data").iterdir()}


def test_documented_table_is_current() -> None:
    page = runpy.run_path(str(ROOT / "docs" / "generate_recipes.py"))["render"]()
    hint = "run: python docs/generate_recipes.py > docs/recipes.md"
    assert (ROOT / "docs" / "recipes.md").read_text("utf-8") == page, hint
