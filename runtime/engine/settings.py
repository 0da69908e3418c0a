"""The engine's knobs, with the values that measured best (docs/engine.md)."""

import msgspec

__all__ = ["EngineSettings"]


class EngineSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How a worker runs its model.

    Args:
        slots: requests that decode together.
        queue_limit: requests that may wait for a slot before new ones are refused.
        threads: of onnxruntime; None: one for each physical core this process may use.
        context_length: cap on tokens a slot can hold; None: what the model and memory allow.
        prefill_chunk: tokens of a prompt between two decode steps, while others decode.
        prefill_chunk_alone: the same while nobody waits for a step.
        prefill_chunk_least: tokens that a chunk has in any case.
        prefill_stall: how long a chunk may delay the others, in decode steps.
        prefix_cache: whether prompts take over what earlier ones that begin alike left.
        draft_tokens: most tokens guessed ahead and checked in one run; 0: none.
        cache_fraction: share of the host's memory that the cache buffers may grow to.
        cache_bytes: the same as a number; None: the share.
        embed_batch_tokens: of one encoder run, padding counted; larger runs are no faster.
        embed_queue_limit: requests that may wait for an encoder run.
        template_chars: longest prompt a chat template may render.
        template_timeout_s: longest time it may take.
    """

    slots: int = 8
    queue_limit: int = 64
    threads: int | None = None
    context_length: int | None = None
    prefill_chunk: int = 128
    prefill_chunk_alone: int = 512
    prefill_chunk_least: int = 8
    prefill_stall: float = 1.25
    prefix_cache: bool = True
    draft_tokens: int = 31
    cache_fraction: float = 0.5
    cache_bytes: int | None = None
    embed_batch_tokens: int = 1024
    embed_queue_limit: int = 256
    template_chars: int = 4 << 20
    template_timeout_s: float = 2.0
