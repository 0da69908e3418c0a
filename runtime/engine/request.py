"""The messages between the API process and a worker, each a frozen record.

They cross a socket as length-prefixed msgpack (`channel.py`); the tag is the record's name.
"""

import msgspec

from sealift.runtime.engine.errors import WireError
from sealift.runtime.engine.settings import EngineSettings
from sealift.runtime.engine.source import ModelSource

__all__ = [
    "Cancel",
    "ChatMessage",
    "Delta",
    "Embed",
    "Failed",
    "FinishReason",
    "Generate",
    "Load",
    "LoadFailed",
    "Loaded",
    "Reply",
    "SamplingParams",
    "Shutdown",
    "ToRuntime",
    "ToWorker",
    "ToolCall",
    "Vectors",
]

FinishReason = str  # "stop" or "length", as the OpenAI API names them


class _Record(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag=True):
    pass


class SamplingParams(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How the next token is chosen; temperature 0 or top_p 0 means the likeliest one."""

    temperature: float = 1.0
    top_p: float = 1.0
    seed: int = 0

    @property
    def is_greedy(self) -> bool:
        """True where no random number is drawn."""
        return self.temperature == 0.0 or self.top_p == 0.0


class ToolCall(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A call that the assistant made earlier in the conversation."""

    id: str
    name: str
    arguments: dict[str, object]  # any JSON: msgspec knows no recursive type


class ChatMessage(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One turn of a conversation, as a chat template sees it."""

    role: str
    content: str
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str | None = None


class Load(_Record, frozen=True, kw_only=True):
    """The first message to a worker, once."""

    source: ModelSource
    settings: EngineSettings


class Generate(_Record, frozen=True, kw_only=True):
    """Answer a conversation."""

    id: int
    messages: tuple[ChatMessage, ...]
    sampling: SamplingParams
    stop: tuple[str, ...] = ()
    max_tokens: int | None = None


class Embed(_Record, frozen=True, kw_only=True):
    """Turn each input (text, or token ids) into a vector."""

    id: int
    inputs: tuple[str | tuple[int, ...], ...]


class Cancel(_Record, frozen=True, kw_only=True):
    """Forget a request; nothing more is sent for it."""

    id: int


class Shutdown(_Record, frozen=True):
    """End the process."""


ToWorker = Load | Generate | Embed | Cancel | Shutdown


class Loaded(_Record, frozen=True, kw_only=True):
    """The model is verified, in memory and ready."""

    variant: str
    context_length: int
    isolation: str
    verify_s: float
    load_s: float
    verified_bytes: int
    dimensions: int | None = None


class LoadFailed(_Record, frozen=True, kw_only=True):
    """The model is not served; the process ends."""

    error: WireError


class Delta(_Record, frozen=True, kw_only=True):
    """More of an answer: `text` may be empty; the last one has a finish reason."""

    id: int
    text: str
    prompt_tokens: int
    completion_tokens: int
    finish_reason: FinishReason | None = None


class Vectors(_Record, frozen=True, kw_only=True):
    """The vectors of an `Embed`, in its order: little-endian float32."""

    id: int
    rows: tuple[bytes, ...]
    prompt_tokens: int


class Failed(_Record, frozen=True, kw_only=True):
    """A request that ends without an answer."""

    id: int
    error: WireError


Reply = Delta | Vectors | Failed
ToRuntime = Loaded | LoadFailed | Delta | Vectors | Failed
