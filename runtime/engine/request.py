"""The messages between the API process and a worker, each a frozen record.

They cross a socket as length-prefixed msgpack (`channel.py`); the tag is the record's name.
"""

from typing import Literal

import msgspec

from sealift.runtime.engine.errors import WireError
from sealift.runtime.engine.prepack_spec import PrepackCacheSpec
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
    "Grammar",
    "Load",
    "LoadFailed",
    "Loaded",
    "Ping",
    "Pong",
    "Reply",
    "SamplingParams",
    "Score",
    "Scores",
    "Shutdown",
    "ToRuntime",
    "ToWorker",
    "TokenLogprob",
    "ToolCall",
    "ToolCallPiece",
    "ToolChoice",
    "ToolSpec",
    "TopLogprob",
    "Vectors",
]

FinishReason = str  # "stop", "length" or "tool_calls", as the OpenAI API names them


class _Record(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag=True):
    pass


class SamplingParams(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How the next token is chosen; temperature 0, top_p 0 or top_k 1 means the likeliest one.

    Args:
        top_k: 0 for all tokens.
        min_p: tokens less likely than this share of the likeliest one are never drawn.
        presence_penalty: taken from a token's logit once it is in the answer.
        frequency_penalty: taken from it for each time it is.
        repetition_penalty: divides (a positive logit) or multiplies (a negative one) what is in the
            prompt or the answer.
        logit_bias: token and what is added to its logit.
        top_logprobs: how many likeliest tokens to tell beside the chosen one; None: tell none.
    """

    temperature: float = 1.0
    top_p: float = 1.0
    top_k: int = 0
    min_p: float = 0.0
    presence_penalty: float = 0.0
    frequency_penalty: float = 0.0
    repetition_penalty: float = 1.0
    logit_bias: tuple[tuple[int, float], ...] = ()
    top_logprobs: int | None = None
    seed: int = 0

    @property
    def is_greedy(self) -> bool:
        """True where no random number is drawn."""
        return self.temperature == 0.0 or self.top_p == 0.0 or self.top_k == 1


class Grammar(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a whole answer must look like.

    Args:
        text: the schema, regular expression or Lark grammar; for `choice` a JSON list of strings;
            for `json_object` empty.
    """

    kind: Literal["json_schema", "json_object", "regex", "lark", "choice"]
    text: str = ""


class ToolSpec(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A function that the model may call; `parameters` is a JSON Schema."""

    name: str
    description: str | None = None
    parameters: dict[str, object] = msgspec.field(default_factory=dict)


class ToolChoice(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Whether the model must, may or may not call a tool; `name` with `named` only."""

    mode: Literal["none", "auto", "required", "named"] = "auto"
    name: str | None = None


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
    cache: PrepackCacheSpec | None = None


class Generate(_Record, frozen=True, kw_only=True):
    """Answer a conversation, `n` times."""

    id: int
    messages: tuple[ChatMessage, ...]
    sampling: SamplingParams
    stop: tuple[str, ...] = ()
    max_tokens: int | None = None
    n: int = 1
    grammar: Grammar | None = None
    tools: tuple[ToolSpec, ...] = ()
    tool_choice: ToolChoice = ToolChoice()
    parallel_tool_calls: bool = True


class Embed(_Record, frozen=True, kw_only=True):
    """Turn each input (text, or token ids) into a vector.

    Args:
        dimensions: how many of the vector's first numbers to keep, normalized again; None: all.
    """

    id: int
    inputs: tuple[str | tuple[int, ...], ...]
    dimensions: int | None = None


class Score(_Record, frozen=True, kw_only=True):
    """Score texts: pairs for a reranking model, single texts for a classifying one."""

    id: int
    inputs: tuple[tuple[str, str] | str, ...]


class Cancel(_Record, frozen=True, kw_only=True):
    """Forget a request; nothing more is sent for it."""

    id: int


class Shutdown(_Record, frozen=True):
    """End the process."""


class Ping(_Record, frozen=True):
    """Ask the process whether it lives and its model moves."""


ToWorker = Load | Generate | Embed | Score | Cancel | Ping | Shutdown


class Loaded(_Record, frozen=True, kw_only=True):
    """The model is verified, in memory and ready.

    Args:
        verify_s: from the start until the last byte was checked; loading went on beside it.
        load_s: from the start until the model was ready.
        prepacked: its weights come from the cache.
        prepack_problem: why the cache's entry was not used, where there was one.
    """

    variant: str
    context_length: int
    isolation: str
    verify_s: float
    load_s: float
    verified_bytes: int
    prepacked: bool = False
    prepack_problem: str | None = None
    dimensions: int | None = None
    labels: tuple[str, ...] = ()
    resident_bytes: int = 0


class LoadFailed(_Record, frozen=True, kw_only=True):
    """The model is not served; the process ends."""

    error: WireError


class TopLogprob(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A token and its natural logarithm of probability, before any sampling parameter."""

    token: bytes
    logprob: float


class TokenLogprob(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The same of a chosen token, and the likeliest ones at its place, likeliest first."""

    token: bytes
    logprob: float
    top: tuple[TopLogprob, ...] = ()


class ToolCallPiece(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """More of the answer's call number `index`: id and name come once, with its first piece."""

    index: int
    id: str | None = None
    name: str | None = None
    arguments: str = ""


class Delta(_Record, frozen=True, kw_only=True):
    """More of an answer: `text` may be empty; an answer's last one has a finish reason.

    Args:
        choice: which of the request's `n` answers.
        is_last: no more of any of them follows.
        cached_tokens: of the prompt, what was in the cache before.
        completion_tokens: of this answer, so far.
    """

    id: int
    text: str
    prompt_tokens: int
    completion_tokens: int
    choice: int = 0
    cached_tokens: int = 0
    calls: tuple[ToolCallPiece, ...] = ()
    logprobs: tuple[TokenLogprob, ...] = ()
    finish_reason: FinishReason | None = None
    is_last: bool = False


class Vectors(_Record, frozen=True, kw_only=True):
    """The vectors of an `Embed`, in its order: little-endian float32."""

    id: int
    rows: tuple[bytes, ...]
    prompt_tokens: int


class Scores(_Record, frozen=True, kw_only=True):
    """What a `Score` gave, in its order: one number a pair, or one a label."""

    id: int
    rows: tuple[tuple[float, ...], ...]
    prompt_tokens: int


class Pong(_Record, frozen=True, kw_only=True):
    """How the process does.

    Args:
        steps: of the model so far; while `is_busy`, a number that stays means it hangs.
        resident_bytes: memory of its own that it holds now (file-backed pages not counted).
    """

    steps: int
    is_busy: bool
    resident_bytes: int


class Failed(_Record, frozen=True, kw_only=True):
    """A request that ends without an answer."""

    id: int
    error: WireError


Reply = Delta | Vectors | Scores | Failed
ToRuntime = Loaded | LoadFailed | Delta | Vectors | Scores | Pong | Failed
