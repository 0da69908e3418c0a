"""Decisions before anything heavy starts: shapes, routes, pooling and measured steps."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from sealift.bundler.errors import ExportError, LibrariesMissingError, SourceError
from sealift.bundler.export.pooling import Pooling, read_pooling
from sealift.bundler.facts import read_facts
from sealift.bundler.libraries import require_libraries
from sealift.bundler.plan import Route, plan_variants
from sealift.bundler.steps import StepLog
from sealift.bundler.tokenizer_files import write_tokenizer
from sealift.manifests.errors import RecipeError
from sealift.manifests.progress import QuietProgress
from sealift.manifests.recipe import Recipe, Task, ToolFormat
from tests.bundler.conftest import write_recipe_text
from tests.bundler.miniatures import CHAT_TEMPLATE, save_tokenizer

CONFIG: dict[str, Any] = {
    "model_type": "llama",
    "architectures": ["LlamaForCausalLM"],
    "hidden_size": 192,
    "intermediate_size": 384,
    "num_attention_heads": 6,
    "num_key_value_heads": 2,
    "num_hidden_layers": 3,
    "vocab_size": 2048,
    "max_position_embeddings": 1024,
}


def recipe(
    task: str = "chat", precision: str = "int4", block_size: int = 32, **more: Any
) -> Recipe:
    return Recipe.parse(
        write_recipe_text(
            name="demo",
            version="1.0.0",
            task=task,
            source={"path": "model"},
            license="MIT",
            variants=[{"precision": precision, "block_size": block_size}],
            **more,
        )
    )


def test_a_declared_tool_format_reaches_every_variant() -> None:
    plans = plan_variants(recipe(tool_format="hermes"), read_facts(CONFIG))
    assert [plan.tool_format for plan in plans] == [ToolFormat.HERMES]
    assert plan_variants(recipe(), read_facts(CONFIG))[0].tool_format is None


@pytest.mark.parametrize(
    ("task", "value", "message"),
    [
        ("embed", "hermes", "tool_format: task embed calls no tools"),
        ("chat", "xml", "tool_format"),
    ],
)
def test_a_tool_format_that_cannot_be_is_refused(task: str, value: str, message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        recipe(task=task, tool_format=value)


def test_facts_of_a_decoder() -> None:
    facts = read_facts(CONFIG)
    assert (facts.head_size, facts.kv_heads, facts.context_tokens) == (32, 2, 1024)
    assert facts.is_decoder
    assert facts.contracted_sizes == (192, 384)


@pytest.mark.parametrize(
    ("changes", "tokens"),
    [
        ({"model_type": "xlm-roberta", "max_position_embeddings": 514}, 512),
        ({"rope_scaling": {"type": "longrope"}, "original_max_position_embeddings": 256}, 256),
        (
            {"rope_parameters": {"rope_type": "longrope", "original_max_position_embeddings": 128}},
            128,
        ),
        ({"rope_parameters": {"rope_type": "llama3"}}, 1024),
    ],
)
def test_context_is_what_can_be_served_right(changes: Mapping[str, Any], tokens: int) -> None:
    assert read_facts({**CONFIG, **changes}).context_tokens == tokens


@pytest.mark.parametrize(
    ("changes", "window"),
    [
        ({"sliding_window": 32}, 32),
        ({"sliding_window": None}, None),
        ({"sliding_window": 32, "use_sliding_window": False}, None),
    ],
)
def test_window(changes: Mapping[str, Any], window: int | None) -> None:
    assert read_facts({**CONFIG, **changes}).sliding_window == window


@pytest.mark.parametrize(
    ("field", "value"),
    [("hidden_size", "big"), ("hidden_size", -1), ("vocab_size", None), ("architectures", [])],
)
def test_bad_config_field_is_named(field: str, value: object) -> None:
    with pytest.raises(SourceError, match=field):
        read_facts({**CONFIG, field: value})


def test_block_must_divide_the_shape_and_the_hint_says_which_do() -> None:
    with pytest.raises(ExportError, match="divisor of 192, 384, got 128") as caught:
        plan_variants(recipe(block_size=128), read_facts(CONFIG))
    assert caught.value.hint == "use 64 or 32 or 16"
    (plan,) = plan_variants(recipe(precision="fp16", block_size=128), read_facts(CONFIG))
    assert plan.block_size == 0


ENCODER = {**CONFIG, "architectures": ["BertModel"]}
CLASSIFIER = {**CONFIG, "architectures": ["BertForSequenceClassification"]}


@pytest.mark.parametrize(
    ("task", "exporter", "config", "route"),
    [
        ("chat", "auto", CONFIG, Route.GENAI),
        ("chat", "genai", CONFIG, Route.GENAI),
        ("embed", "auto", ENCODER, Route.TORCH),
        ("rerank", "torch", CLASSIFIER, Route.TORCH),
        ("classify", "auto", CLASSIFIER, Route.TORCH),
    ],
)
def test_route(task: str, exporter: str, config: Mapping[str, Any], route: Route) -> None:
    (plan,) = plan_variants(recipe(task, exporter=exporter), read_facts(config))
    assert plan.route is route


@pytest.mark.parametrize(
    ("task", "exporter", "config", "says"),
    [
        ("chat", "auto", ENCODER, "causal language model, got BertModel"),
        ("chat", "torch", CONFIG, "key-value cache"),
        ("embed", "genai", ENCODER, "expected task chat"),
        ("embed", "auto", CONFIG, "expected an encoder"),
        ("rerank", "auto", ENCODER, "sequence classification"),
        ("classify", "auto", ENCODER, "sequence classification"),
    ],
)
def test_what_does_not_fit_is_refused(
    task: str, exporter: str, config: Mapping[str, Any], says: str
) -> None:
    with pytest.raises(ExportError, match=says):
        plan_variants(recipe(task, exporter=exporter), read_facts(config))


def _modules(*kinds: str) -> Any:
    return [{"type": f"sentence_transformers.models.{kind}"} for kind in kinds]


@pytest.mark.parametrize(
    ("modules", "config", "wanted"),
    [
        (None, None, Pooling("mean", normalize=True)),
        (
            _modules("Transformer", "Pooling", "Normalize"),
            {"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": False},
            Pooling("cls", normalize=True),
        ),
        (
            _modules("Transformer", "Pooling"),
            {"pooling_mode_mean_tokens": True},
            Pooling("mean", normalize=False),
        ),
        (
            _modules("Transformer", "Pooling"),
            {"pooling_mode": "lasttoken"},
            Pooling("lasttoken", normalize=False),
        ),
    ],
)
def test_pooling(modules: Any, config: Any, wanted: Pooling) -> None:
    assert read_pooling(modules, config) == wanted


@pytest.mark.parametrize(
    ("modules", "config", "says"),
    [
        (_modules("Transformer", "Pooling", "Dense"), {"pooling_mode": "mean"}, "Dense"),
        ([], None, r"modules\.json"),
        ({"a": 1}, None, r"modules\.json"),
        (_modules("Transformer", "Pooling"), {"pooling_mode": "weightedmean"}, "weightedmean"),
        (_modules("Transformer", "Pooling"), {"pooling_mode": ["mean", "max"]}, "mean"),
        (_modules("Transformer", "Pooling"), {"pooling_mode_cls_token": False}, "expected one of"),
    ],
)
def test_pooling_that_the_graph_cannot_hold(modules: Any, config: Any, says: str) -> None:
    with pytest.raises(ExportError, match=says):
        read_pooling(modules, config)


def test_template_is_written_out_wherever_it_was(tmp_path: Path) -> None:
    source, out = tmp_path / "source", tmp_path / "out"
    save_tokenizer(source)
    out.mkdir()
    (source / "generation_config.json").write_text('{"eos_token_id": [7, 2]}')
    facts = write_tokenizer(source, out, Task.CHAT)
    assert (out / "chat_template.jinja").read_text() == CHAT_TEMPLATE
    assert facts.eos_token_ids == (2, 7)
    assert facts.special_tokens["bos_token"] == "<|endoftext|>"
    (source / "chat_template.jinja").write_text("own file")
    write_tokenizer(source, out, Task.CHAT)
    assert (out / "chat_template.jinja").read_text() == "own file"


@pytest.mark.parametrize(
    ("file", "content", "says"),
    [
        ("tokenizer.json", None, "expected a fast tokenizer"),
        ("tokenizer.json", "{}", "cannot be loaded"),
        ("tokenizer_config.json", "{}", "chat template"),
    ],
)
def test_unusable_tokenizer_is_refused(
    tmp_path: Path, file: str, content: str | None, says: str
) -> None:
    source, out = tmp_path / "source", tmp_path / "out"
    save_tokenizer(source)
    out.mkdir()
    (source / file).unlink()
    if content is not None:
        (source / file).write_text(content)
    with pytest.raises(SourceError, match=says):
        write_tokenizer(source, out, Task.CHAT)


def test_steps_are_timed_and_their_peak_is_their_own() -> None:
    log = StepLog(QuietProgress())
    with log.step("large"):
        block = bytearray(300 << 20)
        del block
    with log.step("small"):
        pass
    with pytest.raises(ValueError, match="stop"), log.step("failed"):
        raise ValueError("stop")
    large, small = log.records
    assert (large.name, small.name) == ("large", "small")
    assert large.peak_bytes > 300 << 20
    assert small.peak_bytes < large.peak_bytes


def test_a_childs_peak_counts() -> None:
    log = StepLog(QuietProgress())
    with log.step("child"):
        log.note_child_peak(1 << 50)
    assert log.records[0].peak_bytes == 1 << 50


def test_an_installation_without_the_libraries_says_so_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)  # what Python itself does for a blocked import
    with pytest.raises(LibrariesMissingError, match="torch not installed") as caught:
        require_libraries()
    assert caught.value.hint is not None
