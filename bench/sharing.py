"""What one request costs another: prefixes taken over, long prompts among streams, forms."""

import json
import statistics
import time
from pathlib import Path
from typing import Any

import numpy as np
from rig import answer, filled, make_generator, open_model, step_until

__all__ = ["measure_form", "measure_interference", "measure_prefix"]

_LONG_TOKENS = 2000
_STREAMS = 7
_SCHEMA = {
    "type": "object",
    "properties": {
        "title": {"type": "string"},
        "tags": {"type": "array", "items": {"type": "string"}},
        "pages": {"type": "integer"},
        "summary": {"type": "string"},
    },
    "required": ["title", "tags", "pages", "summary"],
    "additionalProperties": False,
}


def measure_prefix(folder: Path, threads: int) -> dict[str, list[float]]:
    """Return time to first token of a warm prefix over that of a cold one."""
    model, settings = open_model(folder, threads)
    rng = np.random.default_rng(1)
    shared = rng.integers(300, 100_000, _LONG_TOKENS).tolist()
    generator = make_generator(model, settings)
    seconds = []
    for id in range(4):
        question = rng.integers(300, 100_000, 20).tolist()
        started = time.perf_counter()
        generator.submit(answer(model, id, shared + question, 1))
        step_until(generator)
        seconds.append(time.perf_counter() - started)
    return {"ratio": [warm / seconds[0] for warm in seconds[1:]], "cold_s": seconds[:1]}


def measure_interference(folder: Path, threads: int) -> dict[str, list[float]]:
    """Return p99 of the gaps between tokens while a long prompt is computed over p50 before."""
    model, settings = open_model(folder, threads)
    generator = filled(model, settings, _STREAMS, 128, ragged=True)
    before = _gaps(generator, lambda: len(before_seen) >= 60, before_seen := [])
    prompt = np.random.default_rng(2).integers(300, 100_000, _LONG_TOKENS).tolist()
    late = answer(model, 99, prompt, 8)
    started = time.perf_counter()
    generator.submit(late)
    during = _gaps(generator, lambda: bool(late.output), [])
    first_s = time.perf_counter() - started
    p50, p99 = statistics.median(before), float(np.percentile(during, 99))
    return {"ratio": [p99 / p50], "p50_ms": [p50 * 1e3], "p99_ms": [p99 * 1e3], "ttft_s": [first_s]}


def _gaps(generator: Any, is_done: Any, seen: list[float]) -> list[float]:
    """Step until done; return the seconds between the tokens of the stream in slot 0."""
    stream = generator.scheduler.sequences[0]
    last = time.perf_counter()
    while not is_done():
        tokens = len(stream.output)
        generator.step()
        if len(stream.output) > tokens:
            now = time.perf_counter()
            seen.append(now - last)
            last = now
    return seen


def measure_form(folder: Path, threads: int) -> dict[str, list[float]]:
    """Return the rate of 8 and of 1 answers with a JSON Schema over the rate without, in turns.

    Nothing is guessed ahead on either side; `forced_1` is one answer with what the schema forces
    guessed ahead, as served.
    """
    from sealift.runtime.engine.request import Grammar

    model, plain = open_model(folder, threads, draft_tokens=0)
    _, guessing = open_model(folder, threads)
    model.grammars.warm()
    grammar = Grammar(kind="json_schema", text=json.dumps(_SCHEMA))
    model.grammars.compile(grammar)
    results: dict[str, list[float]] = {"ratio_8": [], "ratio_1": [], "forced_1": []}
    for _ in range(3):
        for count in (8, 1):
            free = _form_rate(model, plain, count, None)
            results[f"ratio_{count}"].append(_form_rate(model, plain, count, grammar) / free)
        results["forced_1"].append(_form_rate(model, guessing, 1, grammar) / free)
    return results


def _form_rate(model: Any, settings: Any, count: int, grammar: Any) -> float:
    """Return tokens a second of so many drawn answers of 48 tokens."""
    from sealift.runtime.engine.request import SamplingParams

    generator = make_generator(model, settings)
    rng = np.random.default_rng(3)
    answers = []
    for id in range(count):
        prompt = rng.integers(300, 100_000, 32).tolist()
        constraint = None if grammar is None else model.grammars.compile(grammar)
        sampling = SamplingParams(temperature=1.0, seed=id)
        answers.append(answer(model, id, prompt, 48, constraint=constraint, sampling=sampling))
    generator.submit(*answers[:1])
    for one in answers[1:]:
        generator.submit(one)
    while any(not one.is_prefilled for one in answers):
        generator.step()
    started, tokens = time.perf_counter(), sum(len(one.output) for one in answers)
    while generator.scheduler.running_count == count:
        generator.step()
    return (sum(len(one.output) for one in answers) - tokens) / (time.perf_counter() - started)
