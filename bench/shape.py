"""The model that the engine is measured on: the Qwen2.5-0.5B shape with random weights.

Random weights cost what trained ones do: nothing in the engine's speed depends on their values.
"""

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

__all__ = ["SHAPE", "VARIANT", "describe", "export", "make_checkpoint", "prepare"]

VARIANT = "cpu-int4"
SHAPE: dict[str, Any] = {
    "vocab_size": 151936,
    "hidden_size": 896,
    "intermediate_size": 4864,
    "num_hidden_layers": 24,
    "num_attention_heads": 14,
    "num_key_value_heads": 2,
    "max_position_embeddings": 32768,
    "rope_theta": 1e6,
    "rms_norm_eps": 1e-6,
    "tie_word_embeddings": True,
    "bos_token_id": 0,
    "eos_token_id": 2,
}


def prepare(cache: Path) -> Path:
    """Return the exported model's folder, made where it is missing."""
    checkpoint, model = cache / "checkpoint", cache / "model"
    if not checkpoint.exists():
        make_checkpoint(checkpoint)
    if not model.exists():
        export(checkpoint, model / VARIANT)
    return model


def make_checkpoint(folder: Path) -> None:
    """Write the shape with random bf16 weights and a small tokenizer."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast, Qwen2Config, Qwen2ForCausalLM

    torch.manual_seed(0)
    model = Qwen2ForCausalLM(Qwen2Config(**SHAPE))
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim == 2:
                parameter.normal_(0, 0.03)
    model.to(torch.bfloat16).save_pretrained(folder)
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    marks = [f"w{index}" for index in range(SHAPE["vocab_size"] - len(alphabet))]
    vocabulary = {text: index for index, text in enumerate([*alphabet, *marks])}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="w0").save_pretrained(folder)


def export(checkpoint: Path, variant: Path) -> None:
    """Fill a variant folder through the bundler's export, int4 in blocks of 128."""
    from sealift.bundler.export.decoder import export_decoder
    from sealift.bundler.plan import Route, VariantPlan
    from sealift.manifests.recipe import Precision, Task, VariantSpec
    from sealift.manifests.serving import SERVING_FILE, DecoderShape, ServingConfig

    variant.mkdir(parents=True)
    spec = VariantSpec(precision=Precision.INT4, block_size=128)
    export_decoder(checkpoint, variant, VariantPlan(spec=spec, task=Task.CHAT, route=Route.GENAI))
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(checkpoint / name, variant)
    (variant / "chat_template.jinja").write_text("{{ messages[0].content }}")
    config = ServingConfig(
        task=Task.CHAT,
        precision=Precision.INT4,
        graph="model.serving.onnx",
        max_length=SHAPE["max_position_embeddings"],
        eos_token_ids=(2,),
        chat_template="chat_template.jinja",
        decoder=DecoderShape(
            layers=SHAPE["num_hidden_layers"],
            kv_heads=SHAPE["num_key_value_heads"],
            head_size=SHAPE["hidden_size"] // SHAPE["num_attention_heads"],
            vocab_size=SHAPE["vocab_size"],
        ),
    )
    (variant / SERVING_FILE).write_bytes(config.encode())


def describe(model: Path, name: str = "bench") -> Any:
    """Return a chat model's folder as a checked signed statement would name it."""
    from sealift.manifests.recipe import Task
    from sealift.runtime.engine.source import ModelSource, SourceFile

    listed = model.parent / "files.json"
    if not listed.exists():
        files = [
            {
                "path": str(path.relative_to(model)),
                "size_bytes": path.stat().st_size,
                "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
            }
            for path in sorted(model.rglob("*"))
            if path.is_file()
        ]
        listed.write_text(json.dumps(files))
    return ModelSource(
        name=name,
        version="1.0.0",
        digest=f"sha256:{hashlib.sha256(name.encode()).hexdigest()}",
        task=Task.CHAT,
        directory=str(model),
        files=tuple(SourceFile(**entry) for entry in json.loads(listed.read_text())),
    )
