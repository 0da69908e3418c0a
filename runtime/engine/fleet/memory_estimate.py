"""What a model will take of memory, before it is loaded. Pure.

Counted is what must stay in memory for the model to run well: the interpreter and its libraries,
the weights once (in the form that the kernels read, be it memory of the process or a mapped file),
the working memory of a step, and the attention cache at its fullest. Cache pages are touched when
tokens reach them, so a model that just loaded holds less.

>>> estimate(config, weight_bytes=4 << 30, settings=settings).total_bytes      # doctest: +SKIP
"""

from dataclasses import dataclass
from typing import Final

from sealift.manifests.serving import ServingConfig
from sealift.runtime.engine.settings import EngineSettings

__all__ = [
    "WRONG_BY_FACTOR",
    "MemoryEstimate",
    "cache_budget",
    "estimate",
    "misjudgement",
]

# Measured: python, numpy, onnxruntime, the tokenizer's library.
BASE_BYTES: Final = 40 << 20
# A vocabulary as Python and the tokenizer's library hold it, and the grammar compiler's tables.
VOCABULARY_ENTRY_BYTES: Final = 700
# Buffers that a step's arena grows to, in hidden states of one token (measured with 512 tokens on
# the shape of Qwen2.5 0.5B).
_LIVE_STATES: Final = 64
_FLOAT_BYTES: Final = 4
# Beyond this, an operator should know that the estimate is wrong.
WRONG_BY_FACTOR: Final = 1.5


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryEstimate:
    """The parts of the sum."""

    base_bytes: int
    weight_bytes: int
    work_bytes: int
    cache_bytes: int

    @property
    def loaded_bytes(self) -> int:
        """Before the first step of the model."""
        return self.base_bytes + self.weight_bytes

    @property
    def total_bytes(self) -> int:
        """With every slot full."""
        return self.loaded_bytes + self.work_bytes + self.cache_bytes


def cache_budget(settings: EngineSettings, *, memory_bytes: int, other_bytes: int) -> int:
    """Return what the attention cache of one model may take of the memory of all.

    Args:
        memory_bytes: the budget of all models.
        other_bytes: what the model takes without a cache.
    """
    share = int(memory_bytes * settings.cache_fraction)
    if settings.cache_bytes is not None:
        share = settings.cache_bytes
    return max(0, min(share, memory_bytes - other_bytes))


def estimate(
    config: ServingConfig, *, weight_bytes: int, settings: EngineSettings, memory_bytes: int
) -> MemoryEstimate:
    """Estimate a model.

    Args:
        weight_bytes: of the signed files that the engine maps.
        memory_bytes: the budget of all models, of which a cache takes a share.
    """
    base = BASE_BYTES
    if config.decoder is not None:
        base += config.decoder.vocab_size * VOCABULARY_ENTRY_BYTES
    work = _work_bytes(config, settings)
    other = base + weight_bytes + work
    budget = cache_budget(settings, memory_bytes=memory_bytes, other_bytes=other)
    return MemoryEstimate(
        base_bytes=base,
        weight_bytes=weight_bytes,
        work_bytes=work,
        cache_bytes=_cache_bytes(config, settings, budget),
    )


def misjudgement(guess: MemoryEstimate, *, own_bytes: int, is_fresh: bool) -> str | None:
    """Return how far a measured worker is from its estimate, where that is far.

    Args:
        own_bytes: memory of the process that no file backs.
        is_fresh: it just loaded; later the cache has any fill, and less than estimated is right.
    """
    if own_bytes > WRONG_BY_FACTOR * guess.total_bytes:
        return f"{own_bytes} bytes measured, at most {guess.total_bytes} estimated"
    # Weights may all be in mapped files, which are not the process's own.
    if is_fresh and (own_bytes + guess.weight_bytes) * WRONG_BY_FACTOR < guess.loaded_bytes:
        return f"{own_bytes} bytes measured after the load, {guess.loaded_bytes} estimated"
    return None


def _cache_bytes(config: ServingConfig, settings: EngineSettings, budget_bytes: int) -> int:
    if config.decoder is None:
        return 0
    slot_bytes = settings.slots * config.decoder.token_bytes
    length = min(config.max_length, settings.context_length or config.max_length)
    return slot_bytes * min(length, budget_bytes // slot_bytes)


def _work_bytes(config: ServingConfig, settings: EngineSettings) -> int:
    """Return the largest step's buffers: activations of its tokens, logits of its rows."""
    if config.decoder is not None:
        shape = config.decoder
        tokens = max(settings.prefill_chunk_alone, settings.prefill_chunk + settings.slots)
        # Query heads are not in the file; hidden states of eight key heads cover what is built.
        hidden = shape.kv_heads * shape.head_size * 8
        logits = 2 * settings.slots * shape.vocab_size * _FLOAT_BYTES
        return tokens * hidden * _LIVE_STATES * _FLOAT_BYTES + logits
    if config.vector is not None:
        hidden = max(config.vector.dimensions, 64)
        return settings.embed_batch_tokens * hidden * _LIVE_STATES * _FLOAT_BYTES
    return 0
