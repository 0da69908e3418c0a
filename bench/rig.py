"""The engine in this process, without server or socket: what the model's own thread does."""

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from shape import describe

__all__ = ["answer", "filled", "make_generator", "open_model", "step_until"]


def open_model(folder: Path, threads: int, **settings: Any) -> tuple[Any, Any]:
    """Verify and load the model as a worker does; return it and its settings."""
    from sealift.runtime.engine.load.model import load_model
    from sealift.runtime.engine.settings import EngineSettings

    chosen = EngineSettings(**{"slots": 8, "context_length": 4096, "threads": threads} | settings)
    model, _ = load_model(describe(folder), chosen, now=datetime.now)
    return model, chosen


def make_generator(model: Any, settings: Any) -> Any:
    """Return an empty generator over the model."""
    from sealift.runtime.engine.worker.service import generator_of

    return generator_of(model, settings)


def answer(model: Any, id: int, prompt: Sequence[int], limit: int, **more: Any) -> Any:
    """Make a greedy answer that does not end before its limit."""
    from functools import partial

    from sealift.runtime.engine.decode.detokenizer import Detokenizer
    from sealift.runtime.engine.decode.sampling_row import SamplingRow
    from sealift.runtime.engine.decode.sequence import Sequence as Answer
    from sealift.runtime.engine.decode.stop import StopMatcher
    from sealift.runtime.engine.request import SamplingParams

    sampling = more.pop("sampling", SamplingParams(temperature=0.0))
    return Answer(
        id=id,
        prompt=tuple(prompt),
        row=SamplingRow.start(sampling, vocab_size=model.vocab_size, prompt=tuple(prompt)),
        token_limit=limit,
        eos_token_ids=frozenset(),
        detokenizer=Detokenizer(partial(model.tokenizer.decode)),
        stop=StopMatcher(()),
        **more,
    )


def filled(model: Any, settings: Any, count: int, prompt: int, *, ragged: bool = False) -> Any:
    """Return a generator with so many requests decoding, none of which ends."""
    import numpy as np

    rng = np.random.default_rng(count)
    generator = make_generator(model, settings)
    for id in range(count):
        tokens = prompt + (id * 37 % 64 if ragged else 0)
        row = rng.integers(300, 100_000, tokens).tolist()
        generator.submit(answer(model, id, row, model.context_length - tokens))
    while generator.scheduler.running_count < count:
        generator.step()
    return generator


def step_until(generator: Any) -> int:
    """Step until nothing is left; return the steps."""
    steps = 0
    while generator.has_work:
        generator.step()
        steps += 1
    return steps
