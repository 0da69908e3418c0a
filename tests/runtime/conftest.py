"""Real miniature models with random weights, as the store would hand them to the engine."""

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from sealift.manifests.recipe import Precision, Task, VariantSpec
from sealift.manifests.serving import SERVING_FILE, DecoderShape, ServingConfig, VectorShape
from sealift.runtime.engine.source import ModelSource, SourceFile

TEMPLATE = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
VECTOR_DIMENSIONS = 16
CONTEXT_TOKENS = 512


@pytest.fixture(scope="session")
def chat_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Llama of 370,000 parameters, through the real export, in `<folder>/cpu-fp32`."""
    root = tmp_path_factory.mktemp("chat")
    checkpoint = root / "checkpoint"
    _make_checkpoint(checkpoint)
    model = root / "model"
    variant = model / "cpu-fp32"
    variant.mkdir(parents=True)
    from sealift.bundler.export.decoder import export_decoder
    from sealift.bundler.plan import Route, VariantPlan

    spec = VariantSpec(precision=Precision.FP32)
    export_decoder(checkpoint, variant, VariantPlan(spec=spec, task=Task.CHAT, route=Route.GENAI))
    shutil.copy(checkpoint / "tokenizer.json", variant)
    (variant / "chat_template.jinja").write_text(TEMPLATE)
    config = ServingConfig(
        task=Task.CHAT,
        precision=Precision.FP32,
        graph="model.serving.onnx",
        max_length=CONTEXT_TOKENS,
        eos_token_ids=(2,),
        special_tokens={"eos_token": "<|im_end|>"},
        chat_template="chat_template.jinja",
        decoder=DecoderShape(layers=3, kv_heads=2, head_size=16, vocab_size=2048),
    )
    (variant / SERVING_FILE).write_bytes(config.encode())
    return model


@pytest.fixture(scope="session")
def embed_folder(chat_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A table of random vectors with masked mean and normalization, in `<folder>/cpu-fp32`."""
    model = tmp_path_factory.mktemp("embed") / "model"
    variant = model / "cpu-fp32"
    variant.mkdir(parents=True)
    _make_encoder(variant / "model.onnx")
    shutil.copy(chat_folder / "cpu-fp32" / "tokenizer.json", variant)
    config = ServingConfig(
        task=Task.EMBED,
        precision=Precision.FP32,
        graph="model.onnx",
        max_length=64,
        vector=VectorShape(
            dimensions=VECTOR_DIMENSIONS,
            pad_token_id=0,
            inputs=("input_ids", "attention_mask"),
            output="sentence_embedding",
        ),
    )
    (variant / SERVING_FILE).write_bytes(config.encode())
    return model


@pytest.fixture(scope="session")
def rerank_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A BERT with one score a pair, in `<folder>/cpu-fp32`; its checkpoint is beside the folder."""
    return _make_score_model("ms-marco", tmp_path_factory.mktemp("rerank"), labels=())


@pytest.fixture(scope="session")
def classify_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A DistilBERT with three labels, likewise."""
    root = tmp_path_factory.mktemp("classify")
    return _make_score_model("distilbert", root, labels=("bad", "fair", "good"))


@pytest.fixture(scope="session")
def source_of() -> Callable[[str, Path], ModelSource]:
    """Describe a folder as a verified signed statement would."""

    def describe(name: str, folder: Path) -> ModelSource:
        files = tuple(
            SourceFile(
                path=str(path.relative_to(folder)),
                size_bytes=path.stat().st_size,
                sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
            )
            for path in sorted(folder.rglob("*"))
            if path.is_file()
        )
        (serving,) = folder.glob(f"*/{SERVING_FILE}")
        config = ServingConfig.parse(serving.read_bytes())
        return ModelSource(
            name=name,
            version="1.0.0",
            digest=f"sha256:{hashlib.sha256(name.encode()).hexdigest()}",
            task=config.task,
            directory=str(folder),
            files=files,
        )

    return describe


def _make_score_model(family: str, root: Path, *, labels: tuple[str, ...]) -> Path:
    from sealift.bundler.export.encoder import export_encoder, load_encoder
    from sealift.bundler.tokenizer_files import write_tokenizer
    from tests.bundler.miniatures import ENCODERS, save_encoder

    checkpoint = save_encoder(family, root / "checkpoint", layers=1, labels=len(labels))
    variant = root / "model" / "cpu-fp32"
    variant.mkdir(parents=True)
    task = Task(ENCODERS[family][1])
    encoder = load_encoder(checkpoint, task)
    export_encoder(encoder, variant / "model.onnx")
    tokenizer = write_tokenizer(checkpoint, variant, task)
    config = ServingConfig(
        task=task,
        precision=Precision.FP32,
        graph="model.onnx",
        max_length=128,
        vector=VectorShape(
            dimensions=encoder.dimensions,
            pad_token_id=tokenizer.pad_token_id,
            inputs=encoder.inputs,
            output=encoder.output,
        ),
        labels=labels,
    )
    (variant / SERVING_FILE).write_bytes(config.encode())
    return variant.parent


def _make_checkpoint(folder: Path) -> None:
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=2000,
        special_tokens=["<|endoftext|>", "<|im_start|>", "<|im_end|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    corpus = Path(json.__file__).parent.parent.glob("a*.py")
    texts = [path.read_text(errors="ignore") for path in sorted(corpus)]
    tokenizer.train_from_iterator(texts, trainer)
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, eos_token="<|im_end|>", bos_token="<|endoftext|>"
    ).save_pretrained(folder)
    torch.manual_seed(0)
    model = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=2048,
            hidden_size=64,
            intermediate_size=128,
            num_hidden_layers=3,
            num_attention_heads=4,
            num_key_value_heads=2,
            max_position_embeddings=2048,
            bos_token_id=0,
            eos_token_id=2,
            pad_token_id=0,
        )
    )
    with torch.no_grad():  # spread the weights, so that greedy choices are decisive
        for parameter in model.parameters():
            if parameter.ndim == 2:
                parameter.normal_(0, 0.08)
    model.save_pretrained(folder)


def _make_encoder(path: Path) -> None:
    import numpy as np
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    table = np.random.default_rng(0).normal(size=(2048, VECTOR_DIMENSIONS)).astype(np.float32)
    constants = [
        numpy_helper.from_array(table, "table"),
        numpy_helper.from_array(np.array([2], np.int64), "last"),
        numpy_helper.from_array(np.array([1], np.int64), "tokens"),
    ]
    nodes = [
        helper.make_node("Gather", ["table", "input_ids"], ["rows"]),
        helper.make_node("Cast", ["attention_mask"], ["mask"], to=TensorProto.FLOAT),
        helper.make_node("Unsqueeze", ["mask", "last"], ["mask3"]),
        helper.make_node("Mul", ["rows", "mask3"], ["kept"]),
        helper.make_node("ReduceSum", ["kept", "tokens"], ["sum"], keepdims=0),
        helper.make_node("ReduceL2", ["sum", "tokens"], ["norm"], keepdims=1),
        helper.make_node("Div", ["sum", "norm"], ["sentence_embedding"]),
    ]
    shape = ["batch", "sequence"]
    graph = helper.make_graph(
        nodes,
        "encoder",
        [
            helper.make_tensor_value_info("input_ids", TensorProto.INT64, shape),
            helper.make_tensor_value_info("attention_mask", TensorProto.INT64, shape),
        ],
        [
            helper.make_tensor_value_info(
                "sentence_embedding", TensorProto.FLOAT, ["batch", VECTOR_DIMENSIONS]
            )
        ],
        constants,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    onnx.checker.check_model(model)
    onnx.save(model, path)
