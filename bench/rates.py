"""Rates of prefill and decode, in this process: our engine, onnxruntime-genai, and the memory.

Rates are of whole steps: schedule, run, sample, detokenize.
"""

import ctypes
import json
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from rig import answer, filled, make_generator, open_model, step_until
from shape import VARIANT

__all__ = ["BATCHES", "PREFILL", "PROMPT", "measure_bandwidth", "measure_genai", "measure_sealift"]

BATCHES = (1, 4, 8)
PREFILL = 512
PROMPT = 128
_CONTEXT = 2048
_REPEATS = 3
_STEPS = 32


def measure_sealift(folder: Path, threads: int) -> dict[str, list[float]]:
    """Measure our engine; every row of a batch has a length of its own."""
    model, settings = open_model(folder, threads, context_length=_CONTEXT, draft_tokens=0)

    def prefill() -> None:
        generator = make_generator(model, settings)
        generator.submit(answer(model, 1, prompts(1, PREFILL)[0], 1))
        step_until(generator)

    results = {"prefill": rates(PREFILL, prefill)}
    for batch in BATCHES:
        generator = filled(model, settings, batch, PROMPT, ragged=True)
        steps(generator, 3)
        results[f"decode_{batch}"] = rates(batch * _STEPS, partial(steps, generator, _STEPS))
    return results


def measure_genai(folder: Path, threads: int) -> dict[str, list[float]]:
    """Measure onnxruntime-genai's generator on the untouched graph of the same folder."""
    import numpy as np
    import onnxruntime_genai as genai

    config = genai.Config(str(folder / VARIANT))
    options = {"intra_op_num_threads": threads}
    config.overlay(json.dumps({"model": {"decoder": {"session_options": options}}}))
    model = genai.Model(config)

    def start(batch: list[list[int]]) -> Any:
        params = genai.GeneratorParams(model)
        params.set_search_options(
            max_length=_CONTEXT, min_length=0, do_sample=False, batch_size=len(batch)
        )
        generator = genai.Generator(model, params)
        rows = np.array(batch, np.int32)
        generator.append_tokens(rows if len(batch) > 1 else rows[0])
        return generator

    def prefill() -> None:
        start(prompts(1, PREFILL)).generate_next_token()

    def decode(generator: Any, count: int) -> None:
        for _ in range(count):
            generator.generate_next_token()

    results = {"prefill": rates(PREFILL, prefill)}
    for batch in BATCHES:
        generator = start(prompts(batch, PROMPT))
        decode(generator, 3)
        results[f"decode_{batch}"] = rates(batch * _STEPS, partial(decode, generator, _STEPS))
        del generator
    return results


def measure_bandwidth(threads: int) -> dict[str, list[float]]:
    """Read a gigabyte of memory with as many threads, several times; return bytes a second."""
    import numpy as np

    libc = ctypes.CDLL(None)
    libc.memchr.argtypes = (ctypes.c_void_p, ctypes.c_int, ctypes.c_size_t)
    memory = np.full(1 << 30, 1, np.uint8)
    share = len(memory) // threads

    def read(part: int) -> None:
        libc.memchr(memory.ctypes.data + part * share, 0, share)  # finds nothing, so reads all

    def read_all() -> None:
        readers = [threading.Thread(target=read, args=(part,)) for part in range(threads)]
        for reader in readers:
            reader.start()
        for reader in readers:
            reader.join()

    return {"bytes_per_s": [rate for _ in range(3) for rate in rates(share * threads, read_all)]}


def prompts(count: int, tokens: int) -> list[list[int]]:
    """Return random prompts of equal length, which is all that genai can batch."""
    import numpy as np

    rows: list[list[int]] = np.random.default_rng(0).integers(3, 2000, (count, tokens)).tolist()
    return rows


def rates(amount: int, work: Callable[[], None]) -> list[float]:
    """Do some work a few times; return the amount a second of each."""
    found = []
    for _ in range(_REPEATS):
        started = time.perf_counter()
        work()
        found.append(amount / (time.perf_counter() - started))
    return found


def steps(generator: Any, count: int) -> None:
    """Run the generator a number of times."""
    for _ in range(count):
        generator.step()
