"""The estimate agrees with what the worker computes, and with what real workers take."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from sealift.manifests.recipe import Precision, Task
from sealift.manifests.serving import DecoderShape, ServingConfig
from sealift.runtime.engine.decode import kv_cache
from sealift.runtime.engine.errors import LoadError
from sealift.runtime.engine.fleet.client import WorkerClient
from sealift.runtime.engine.fleet.memory_estimate import (
    WRONG_BY_FACTOR,
    MemoryEstimate,
    cache_budget,
    estimate,
    misjudgement,
)
from sealift.runtime.engine.fleet.model_size import read_estimate
from sealift.runtime.engine.request import ChatMessage, Embed, Generate, SamplingParams
from sealift.runtime.engine.settings import EngineSettings
from sealift.runtime.engine.source import ModelSource

GB = 10**9
SHAPES = [
    DecoderShape(layers=24, kv_heads=2, head_size=64, vocab_size=151_936),
    DecoderShape(layers=32, kv_heads=8, head_size=128, vocab_size=128_256, kv_dtype="float16"),
]


def _config(shape: DecoderShape, max_length: int) -> ServingConfig:
    return ServingConfig(
        task=Task.CHAT,
        precision=Precision.INT4,
        graph="model.onnx",
        max_length=max_length,
        chat_template="chat_template.jinja",
        decoder=shape,
    )


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("memory_bytes", [GB // 2, 4 * GB, 64 * GB])
@pytest.mark.parametrize("context_length", [None, 2048])
def test_the_cache_is_estimated_as_the_worker_makes_it(
    shape: DecoderShape, memory_bytes: int, context_length: int | None
) -> None:
    cache = kv_cache.KvCache(shape, slots=1, length=1)
    row_bytes = cache.heads * cache.head_size * np.dtype(cache.dtype).itemsize
    assert shape.token_bytes == len(cache.pointers(0)) * row_bytes
    settings = EngineSettings(context_length=context_length)
    found = estimate(
        _config(shape, 32_768), weight_bytes=10**8, settings=settings, memory_bytes=memory_bytes
    )
    budget = cache_budget(
        settings,
        memory_bytes=memory_bytes,
        other_bytes=found.total_bytes - found.cache_bytes,
    )
    slots = settings.slots
    try:
        length = kv_cache.cache_length(
            shape,
            slots=slots,
            context_length=min(32_768, context_length or 32_768),
            budget_bytes=budget,
        )
    except LoadError:
        assert found.cache_bytes < slots * 256 * shape.token_bytes
        return
    assert found.cache_bytes == slots * length * shape.token_bytes
    assert found.total_bytes <= memory_bytes


def test_a_named_cache_size_holds_instead_of_the_share() -> None:
    settings = EngineSettings(cache_bytes=1 * GB)
    assert cache_budget(settings, memory_bytes=16 * GB, other_bytes=0) == 1 * GB
    assert cache_budget(settings, memory_bytes=2 * GB, other_bytes=3 * GB // 2) == GB // 2
    assert cache_budget(settings, memory_bytes=2 * GB, other_bytes=3 * GB) == 0


def test_a_wrong_estimate_is_named_and_a_right_one_is_not() -> None:
    guess = MemoryEstimate(base_bytes=100, weight_bytes=400, work_bytes=100, cache_bytes=400)
    assert misjudgement(guess, own_bytes=500, is_fresh=True) is None
    assert misjudgement(guess, own_bytes=1400, is_fresh=False) is None
    assert misjudgement(guess, own_bytes=100, is_fresh=True) is None  # weights in mapped files
    assert misjudgement(guess, own_bytes=1600, is_fresh=False) is not None
    too_much = MemoryEstimate(base_bytes=1000, weight_bytes=10, work_bytes=0, cache_bytes=0)
    assert misjudgement(too_much, own_bytes=100, is_fresh=True) is not None


async def _loaded_and_used(source: ModelSource, settings: EngineSettings) -> tuple[int, int]:
    worker = await WorkerClient.start(source, settings)
    status = Path(f"/proc/{worker.pid}/status")
    try:
        fresh = worker.resident_bytes
        message: Generate | Embed
        if source.task is Task.CHAT:
            text = "hello there " * 20
            message = Generate(
                id=worker.new_id(),
                messages=(ChatMessage(role="user", content=text),),
                sampling=SamplingParams(temperature=0.0),
                max_tokens=16,
            )
        else:
            message = Embed(id=worker.new_id(), inputs=("hello there",) * 8)
        async for _ in worker.ask(message):
            pass
        fields = dict(line.split(":", 1) for line in await asyncio.to_thread(_lines, status))
        return fresh, int(fields["RssAnon"].split()[0]) << 10
    finally:
        await worker.stop()


def _lines(file: Path) -> list[str]:
    return file.read_text().splitlines()


@pytest.mark.parametrize("kind", ["chat", "embed"])
def test_real_workers_take_what_was_estimated(
    kind: str,
    request: pytest.FixtureRequest,
    source_of: Callable[[str, Path], ModelSource],
) -> None:
    source = source_of(kind, request.getfixturevalue(f"{kind}_folder"))
    settings = EngineSettings(threads=2)
    guess = read_estimate(source, settings, memory_bytes=4 * GB)
    fresh, used = asyncio.run(_loaded_and_used(source, settings))
    assert misjudgement(guess, own_bytes=fresh, is_fresh=True) is None
    assert guess.loaded_bytes / WRONG_BY_FACTOR < fresh < guess.loaded_bytes * WRONG_BY_FACTOR
    assert used < guess.total_bytes * WRONG_BY_FACTOR
    print(kind, fresh, used, guess)
