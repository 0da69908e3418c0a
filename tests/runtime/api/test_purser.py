"""The model that ships with the project, at int4, asked as its users ask it."""

import json
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from sealift.manifests.recipe import Precision, Task, VariantSpec
from sealift.manifests.serving import SERVING_FILE, DecoderShape, ServingConfig
from sealift.runtime.engine.source import ModelSource

PURSER = Path(__file__).parents[3] / "examples" / "purser"


@pytest.fixture(scope="module")
def purser_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from sealift.bundler.export.decoder import export_decoder
    from sealift.bundler.plan import Route, VariantPlan

    model = tmp_path_factory.mktemp("purser") / "model"
    variant = model / "cpu-int4"
    variant.mkdir(parents=True)
    spec = VariantSpec(precision=Precision.INT4, block_size=32)
    plan = VariantPlan(spec=spec, task=Task.CHAT, route=Route.GENAI)
    export_decoder(PURSER / "model", variant, plan)
    for name in ("tokenizer.json", "chat_template.jinja"):
        shutil.copy(PURSER / "model" / name, variant)
    config = json.loads((PURSER / "model" / "config.json").read_text())
    eos = config["eos_token_id"]
    heads = config["num_attention_heads"]
    serving = ServingConfig(
        task=Task.CHAT,
        precision=Precision.INT4,
        graph="model.serving.onnx",
        max_length=config["max_position_embeddings"],
        eos_token_ids=tuple(eos) if isinstance(eos, list) else (eos,),
        chat_template="chat_template.jinja",
        decoder=DecoderShape(
            layers=config["num_hidden_layers"],
            kv_heads=config["num_key_value_heads"],
            head_size=config["hidden_size"] // heads,
            vocab_size=config["vocab_size"],
        ),
    )
    (variant / SERVING_FILE).write_bytes(serving.encode())
    return model


@pytest.fixture
def purser(
    purser_folder: Path,
    source_of: Callable[[str, Path], ModelSource],
    server_over: Callable[..., Any],
) -> Any:
    return server_over([source_of("purser", purser_folder)])


def test_answers_survive_int4_and_batching(purser: Any) -> None:
    lines = (PURSER / "prompts.jsonl").read_text().splitlines()[::12]
    asked = [json.loads(line) for line in lines]
    client = purser.client()

    def is_exact(item: dict[str, str]) -> bool:
        answer = client.chat.completions.create(
            model="purser",
            messages=[{"role": "user", "content": item["prompt"]}],
            temperature=0,
            max_tokens=200,
        )
        return answer.choices[0].message.content.strip() == item["answer"].strip()

    with ThreadPoolExecutor(8) as pool:
        exact = sum(pool.map(is_exact, asked))
    assert len(asked) > 150
    assert exact / len(asked) >= 0.99
