"""What an export must know of a model, read from its configuration files (pure).

>>> read_facts({"model_type": "bert", "architectures": ["BertModel"], "hidden_size": 384,
...             "intermediate_size": 1536, "num_attention_heads": 12, "num_hidden_layers": 6,
...             "vocab_size": 30522, "max_position_embeddings": 512}).is_decoder
False
"""

from collections.abc import Mapping
from dataclasses import dataclass

from sealift.bundler.errors import SourceError
from sealift.manifests.strict_json import JsonValue

__all__ = ["Json", "ModelFacts", "read_facts"]

Json = Mapping[str, JsonValue]

# Position tables that start after the padding id (RoBERTa's habit): two rows are not positions.
_OFFSET_POSITIONS = frozenset({"roberta", "xlm-roberta", "camembert", "mpnet"})


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFacts:
    """The shape of a model."""

    model_type: str
    architecture: str
    hidden_size: int
    intermediate_size: int
    attention_heads: int
    layers: int
    vocab_size: int
    kv_heads: int
    head_size: int
    context_tokens: int
    sliding_window: int | None
    tied_embeddings: bool
    labels: tuple[str, ...]

    @property
    def is_decoder(self) -> bool:
        """Whether this is a causal language model."""
        return self.architecture.endswith("ForCausalLM")

    @property
    def contracted_sizes(self) -> tuple[int, ...]:
        """The inner sizes of the weight matrices, which quantization cuts into blocks."""
        attention = self.attention_heads * self.head_size
        return tuple(sorted({self.hidden_size, self.intermediate_size, attention}))


def read_facts(config: Json) -> ModelFacts:
    """Read `config.json`.

    Raises:
        SourceError: a field is missing or not of its type; the message names it.
    """
    heads = _first(config, "num_attention_heads", "n_heads")
    hidden = _first(config, "hidden_size", "dim")
    architectures = config.get("architectures")
    if not isinstance(architectures, list) or not architectures:
        raise SourceError("config.json: architectures: expected a list with one name")
    window = config.get("sliding_window")
    if config.get("use_sliding_window") is False:
        window = None
    model_type = config.get("model_type")
    return ModelFacts(
        model_type=str(model_type),
        architecture=str(architectures[0]),
        hidden_size=hidden,
        intermediate_size=_first(config, "intermediate_size", "hidden_dim", default=4 * hidden),
        attention_heads=heads,
        layers=_first(config, "num_hidden_layers", "n_layers"),
        vocab_size=_first(config, "vocab_size"),
        kv_heads=_first(config, "num_key_value_heads", default=heads),
        head_size=_first(config, "head_dim", default=hidden // heads),
        context_tokens=_context_tokens(config, str(model_type)),
        sliding_window=window if isinstance(window, int) and window > 0 else None,
        tied_embeddings=bool(config.get("tie_word_embeddings", False)),
        labels=_labels(config),
    )


def _context_tokens(config: Json, model_type: str) -> int:
    tokens = _first(config, "max_position_embeddings", default=512)
    if model_type in _OFFSET_POSITIONS:
        return tokens - 2
    rope = config.get("rope_parameters") or config.get("rope_scaling")
    if isinstance(rope, dict) and "longrope" in (rope.get("rope_type"), rope.get("type")):
        # Beyond the original length the rotation of *all* rows of a batch would change.
        original = config.get("original_max_position_embeddings")
        original = original or rope.get("original_max_position_embeddings")
        if isinstance(original, int):
            return original
    return tokens


def _labels(config: Json) -> tuple[str, ...]:
    names = config.get("id2label")
    if not isinstance(names, dict) or not all(key.isdigit() for key in names):
        return ()
    return tuple(str(names[key]) for key in sorted(names, key=int))


def _first(config: Json, *names: str, default: int | None = None) -> int:
    for name in names:
        value = config.get(name)
        if isinstance(value, int) and not isinstance(value, bool) and value > 0:
            return value
        if value is not None:
            raise SourceError(f"config.json: {name}: expected a positive number, got {value!r}")
    if default is None:
        raise SourceError(f"config.json: {names[0]}: expected a positive number, got nothing")
    return default
