"""Random-weight checkpoints of every family in the catalogue, small enough for a unit test.

Weights are spread out so that greedy choices are decisive: two implementations that agree to six
digits must then agree on every token. Context, windows and RoPE originals are small, so that a test
crosses them.
"""

import functools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

__all__ = ["DECODERS", "ENCODERS", "WINDOW", "save_decoder", "save_encoder", "save_tokenizer"]

VOCAB = 2048
WINDOW = 32
ORIGINAL_CONTEXT = 128
CHAT_TEMPLATE = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)

_LLAMA3_ROPE = {
    "rope_type": "llama3",
    "rope_theta": 500000.0,
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": ORIGINAL_CONTEXT,
}
_LONG_ROPE = {
    "rope_type": "longrope",
    "rope_theta": 10000.0,
    "short_factor": [1.0 + 0.01 * i for i in range(8)],
    "long_factor": [1.0 + 0.3 * i for i in range(8)],
    "original_max_position_embeddings": ORIGINAL_CONTEXT,
}
_GEMMA = {"head_dim": 16, "sliding_window": WINDOW, "query_pre_attn_scalar": 16}

#: Family name to transformers' model type and what it sets beyond the common shape.
DECODERS: dict[str, tuple[str, dict[str, Any]]] = {
    "llama": ("llama", {}),
    "llama-3.2": ("llama", {"tie_word_embeddings": True, "rope_parameters": _LLAMA3_ROPE}),
    "smollm2": ("llama", {"tie_word_embeddings": True, "num_key_value_heads": 4}),
    "smollm3": ("smollm3", {"no_rope_layers": [1, 0], "tie_word_embeddings": True}),
    "qwen2.5": ("qwen2", {"tie_word_embeddings": True}),
    "qwen3": ("qwen3", {"head_dim": 32, "tie_word_embeddings": True}),
    "mistral": ("mistral", {"sliding_window": None}),
    "mistral-window": ("mistral", {"sliding_window": WINDOW}),
    "gemma-2": ("gemma2", _GEMMA),
    "gemma-3": ("gemma3_text", _GEMMA | {"layer_types": ["sliding_attention", "full_attention"]}),
    "phi-3": ("phi3", {"original_max_position_embeddings": 512, "sliding_window": WINDOW}),
    "phi-4-mini": (
        "phi3",
        {
            "original_max_position_embeddings": ORIGINAL_CONTEXT,
            "rope_parameters": _LONG_ROPE,
            "tie_word_embeddings": True,
        },
    ),
    "granite": (
        "granite",
        {
            "embedding_multiplier": 6.0,
            "attention_multiplier": 0.25,
            "logits_scaling": 4.0,
            "residual_multiplier": 0.5,
            "tie_word_embeddings": True,
        },
    ),
}

#: Family name to model type, task and sentence-transformers pooling (None: no such files).
ENCODERS: dict[str, tuple[str, str, str | None]] = {
    "minilm": ("bert", "embed", "mean"),
    "bge": ("bert", "embed", "cls"),
    "e5": ("bert", "embed", None),
    "multilingual-e5": ("xlm-roberta", "embed", "mean"),
    "mpnet": ("mpnet", "embed", "mean"),
    "ms-marco": ("bert", "rerank", None),
    "bge-reranker": ("xlm-roberta", "rerank", None),
    "distilbert": ("distilbert", "classify", None),
}


def save_decoder(family: str, out: Path, *, layers: int = 2, **changes: Any) -> Path:
    """Write a chat model with tokenizer and template; `changes` go into its configuration."""
    from transformers import AutoConfig, AutoModelForCausalLM

    model_type, special = DECODERS[family]
    common = {
        "vocab_size": VOCAB,
        "hidden_size": 64,
        "intermediate_size": 128,
        "num_hidden_layers": layers,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": 512,
        "bos_token_id": 0,
        "eos_token_id": 2,
        "pad_token_id": 0,
    }
    config = AutoConfig.for_model(model_type, **(common | special | changes))
    _save(AutoModelForCausalLM.from_config, config, out, spread=0.08)
    save_tokenizer(out)
    return out


def save_encoder(family: str, out: Path, *, layers: int = 2, labels: int = 3) -> Path:
    """Write an embedding, reranking or classification model with its tokenizer."""
    from transformers import (
        AutoConfig,
        AutoModel,
        AutoModelForSequenceClassification,
    )

    model_type, task, pooling = ENCODERS[family]
    common = {
        "vocab_size": VOCAB,
        "hidden_size": 64,
        "intermediate_size": 128,
        "num_hidden_layers": layers,
        "num_attention_heads": 4,
        "max_position_embeddings": 130,
        "pad_token_id": 1 if model_type in {"xlm-roberta", "mpnet"} else 0,
    }
    if model_type == "distilbert":
        common |= {"dim": 64, "hidden_dim": 128, "n_layers": layers, "n_heads": 4}
    heads = {"embed": None, "rerank": 1, "classify": labels}[task]
    factory: Callable[..., Any] = AutoModel.from_config
    if heads is not None:
        factory = AutoModelForSequenceClassification.from_config
        common |= {"num_labels": heads}
    _save(factory, AutoConfig.for_model(model_type, **common), out, spread=0.08)
    _save_pair_tokenizer(out, pad_id=common["pad_token_id"])
    if pooling is not None:
        _save_pooling(out, pooling)
    return out


def save_tokenizer(out: Path) -> None:
    """Write a byte-level BPE tokenizer with a chat template inline in its configuration."""
    out.mkdir(parents=True, exist_ok=True)
    (out / "tokenizer.json").write_text(_chat_tokenizer())
    config = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": "<|endoftext|>",
        "eos_token": "<|im_end|>",
        "pad_token": "<|endoftext|>",
        "model_max_length": 512,
        "chat_template": CHAT_TEMPLATE,
    }
    (out / "tokenizer_config.json").write_text(json.dumps(config))


def _save(factory: Callable[..., Any], config: Any, out: Path, *, spread: float) -> None:
    import torch

    torch.manual_seed(0)
    model = factory(config)
    with torch.no_grad():
        for _, parameter in sorted(model.named_parameters()):
            if parameter.ndim == 2:
                parameter.normal_(0, spread)
    model.save_pretrained(out)


@functools.cache
def _chat_tokenizer() -> str:
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=600,
        special_tokens=["<|endoftext|>", "<|im_start|>", "<|im_end|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    text = Path(json.__file__).read_text().splitlines()
    tokenizer.train_from_iterator(text, trainer)
    return str(tokenizer.to_str())


def _save_pair_tokenizer(out: Path, *, pad_id: int) -> None:
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

    names = ["[PAD]", "[UNK]"] if pad_id == 0 else ["[UNK]", "[PAD]"]
    names += ["[CLS]", "[SEP]"]
    words = [f"{a}{b}" for a in "abcdefghijklmnopqrstuvwxyz" for b in ["", *"aeiourstln"]]
    vocabulary = {word: index for index, word in enumerate([*names, *words])}
    vocabulary |= {f"##{word}": len(vocabulary) + i for i, word in enumerate(words)}
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", vocabulary["[CLS]"]), ("[SEP]", vocabulary["[SEP]"])],
    )
    tokenizer.save(str(out / "tokenizer.json"))
    config = {"tokenizer_class": "PreTrainedTokenizerFast", "pad_token": "[PAD]"}
    (out / "tokenizer_config.json").write_text(json.dumps(config))


def _save_pooling(out: Path, mode: str) -> None:
    kinds = (("", "Transformer"), ("1_Pooling", "Pooling"), ("2_Normalize", "Normalize"))
    modules = [
        {
            "idx": index,
            "name": str(index),
            "path": path,
            "type": f"sentence_transformers.models.{kind}",
        }
        for index, (path, kind) in enumerate(kinds)
    ]
    (out / "modules.json").write_text(json.dumps(modules))
    (out / "1_Pooling").mkdir()
    flags = {"pooling_mode_cls_token": mode == "cls", "pooling_mode_mean_tokens": mode == "mean"}
    (out / "1_Pooling" / "config.json").write_text(
        json.dumps({"word_embedding_dimension": 64, **flags})
    )
    (out / "sentence_bert_config.json").write_text(json.dumps({"max_seq_length": 64}))
