"""Time the sampler: microseconds a row, 8 rows of 151,936 logits, for flat and for peaked ones.

    python bench/sampler.py [--rounds 30] [--json]

Prints the best and the median round of each case. What else runs on the host lowers medians first.
"""

import argparse
import json
import statistics
import time

import numpy as np
from numpy.typing import NDArray

from sealift.runtime.engine.decode.constraint import MaskWords, mask_words
from sealift.runtime.engine.decode.sampler import Logits, choose
from sealift.runtime.engine.decode.sampling_row import SamplingRow
from sealift.runtime.engine.request import SamplingParams

VOCABULARY = 151_936
ROWS = 8

CASES = {
    "greedy": SamplingParams(temperature=0.0),
    "greedy, 20 logprobs": SamplingParams(temperature=0.0, top_logprobs=20),
    "greedy, penalties": SamplingParams(temperature=0.0, presence_penalty=0.5),
    "temperature": SamplingParams(temperature=0.8),
    "temperature, top_p 0.9": SamplingParams(temperature=0.8, top_p=0.9),
    "temperature, top_k 50": SamplingParams(temperature=0.8, top_k=50),
    "temperature, top_k 20, top_p 0.8": SamplingParams(temperature=0.7, top_k=20, top_p=0.8),
    "temperature, min_p 0.05": SamplingParams(temperature=1.0, min_p=0.05),
}


def flat() -> Logits:
    """Return logits that say little: the largest has a ten-thousandth of the probability."""
    return np.random.default_rng(0).normal(size=(ROWS, VOCABULARY)).astype(np.float32)


def peaked() -> Logits:
    """Return logits as a trained model's: a wide bulk, and a few hundred that stand above it."""
    rng = np.random.default_rng(1)
    logits = rng.normal(size=(ROWS, VOCABULARY)) * 2.5
    for row in logits:
        row[rng.choice(VOCABULARY, 300, replace=False)] += rng.exponential(6.0, size=300)
    return logits.astype(np.float32)


def mask(share: float) -> MaskWords:
    """Return a mask that allows about this share of the tokens, in runs of 32."""
    words: NDArray[np.bool_] = np.random.default_rng(2).random(mask_words(VOCABULARY)) < share
    return np.where(words, np.int32(-1), np.int32(0))


def measure(
    logits: Logits, params: SamplingParams, masks: MaskWords | None, rounds: int
) -> list[float]:
    """Return the microseconds a row of each round."""
    rows = [SamplingRow.start(params, vocab_size=VOCABULARY) for _ in range(ROWS)]
    for row in rows:
        for token in range(200):
            row.accept(token)
    found = []
    for _ in range(rounds):
        fresh = logits.copy()
        started = time.perf_counter()
        chosen = choose(fresh, rows, [masks] * ROWS)
        found.append((time.perf_counter() - started) / ROWS * 1e6)
        for row, choice in zip(rows, chosen, strict=True):
            row.accept(choice.token)
    return found


def main() -> None:
    """Measure every case and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    cases: list[tuple[str, SamplingParams, MaskWords | None]] = [
        (name, params, None) for name, params in CASES.items()
    ]
    drawn = CASES["temperature, top_p 0.9"]
    cases += [
        ("greedy, mask of 90 %", CASES["greedy"], mask(0.9)),
        ("temperature, top_p 0.9, mask of 90 %", drawn, mask(0.9)),
        ("temperature, top_p 0.9, mask of 1 %", drawn, mask(0.01)),
    ]
    results = {}
    for shape, logits in (("flat", flat()), ("peaked", peaked())):
        for name, params, masks in cases:
            found = measure(logits, params, masks, options.rounds)
            results[f"{shape}: {name}"] = [round(min(found)), round(statistics.median(found))]
    if options.json:
        print(json.dumps({"rows": ROWS, "vocabulary": VOCABULARY, "us_a_row": results}))
        return
    print(f"{'microseconds a row':48}{'best':>8}{'median':>8}")
    for name, (best, median) in results.items():
        print(f"{name:48}{best:>8}{median:>8}")


if __name__ == "__main__":
    main()
