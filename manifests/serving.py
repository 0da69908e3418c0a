"""`serving.json`: what the engine must know of a variant; written and signed on the other side."""

from typing import Annotated

import msgspec

from sealift.manifests import strict_json
from sealift.manifests.errors import ManifestError
from sealift.manifests.names import check_path
from sealift.manifests.recipe import Precision, Task, ToolFormat
from sealift.manifests.record import Record

__all__ = ["SERVING_FILE", "DecoderShape", "ServingConfig", "VectorShape"]

SERVING_FILE = "serving.json"

_Count = Annotated[int, msgspec.Meta(ge=1, le=1 << 24)]
_TokenId = Annotated[int, msgspec.Meta(ge=0, lt=1 << 31)]


class DecoderShape(Record, frozen=True, kw_only=True, omit_defaults=True):
    """Cache and logits of a decoder: `[slots, kv_heads, length, head_size]` a layer and kind."""

    layers: _Count
    kv_heads: _Count
    head_size: _Count
    vocab_size: _Count
    kv_dtype: str = "float32"
    sliding_window: _Count | None = None

    @property
    def token_bytes(self) -> int:
        """What one token of one slot takes; an unknown type, which no engine loads, counts 4."""
        item_bytes = 2 if self.kv_dtype == "float16" else 4
        return 2 * self.layers * self.kv_heads * self.head_size * item_bytes


class VectorShape(Record, frozen=True, kw_only=True, omit_defaults=True):
    """Inputs and output of a model that gives one vector (or scores) a text."""

    dimensions: _Count
    pad_token_id: _TokenId
    inputs: tuple[str, ...]
    output: str


class ServingConfig(Record, frozen=True, kw_only=True, omit_defaults=True):
    """One variant as the engine loads it; file names are relative to the variant's folder.

    Args:
        tool_format: of a chat model whose template does not tell it.
    """

    task: Task
    precision: Precision
    graph: str
    tokenizer: str = "tokenizer.json"
    max_length: _Count
    eos_token_ids: tuple[_TokenId, ...] = ()
    special_tokens: dict[str, str] = msgspec.field(default_factory=dict)
    chat_template: str | None = None
    decoder: DecoderShape | None = None
    vector: VectorShape | None = None
    labels: tuple[str, ...] = ()
    tool_format: ToolFormat | None = None

    @classmethod
    def parse(cls, data: bytes) -> "ServingConfig":
        """Read checked bytes.

        Raises:
            ManifestError: not this form, or a task without what it needs.
        """
        config = strict_json.decode(data, cls, what=SERVING_FILE)
        for name in (config.graph, config.tokenizer, config.chat_template):
            if name is not None and "/" in check_path(name):
                raise ManifestError(f"{SERVING_FILE}: {name!r}: expected a name beside it")
        if config.task is Task.CHAT and (config.decoder is None or config.chat_template is None):
            raise ManifestError(f"{SERVING_FILE}: a chat model needs decoder and chat_template")
        if config.task is not Task.CHAT and config.tool_format is not None:
            raise ManifestError(f"{SERVING_FILE}: task {config.task.value} calls no tools")
        if config.task is not Task.CHAT and config.vector is None:
            raise ManifestError(f"{SERVING_FILE}: a {config.task.value} model needs vector")
        return config

    def encode(self) -> bytes:
        """Return the file's bytes."""
        return strict_json.pretty(self)
