"""Draw what `bench/engine.py --json` wrote: rates beside those of others.

python bench/plot_engine.py engine.json docs/engine-speed.svg
"""

import json
import statistics
import sys
from pathlib import Path

import matplotlib

matplotlib.use("svg")
from matplotlib import pyplot

_ENGINES = {"sealift": "sealift", "genai": "onnxruntime-genai", "llama": "llama.cpp Q4_0"}
_WIDTH = 0.27


def main() -> None:
    """Read the figures and write the picture."""
    source, target = map(Path, sys.argv[1:3])
    runs: dict[str, dict[str, list[float]]] = json.loads(source.read_text())["runs"]
    matplotlib.rcParams["svg.hashsalt"] = "sealift"  # the same figures give the same bytes
    figure, axes = pyplot.subplots(
        1, 2, figsize=(9, 3.6), layout="constrained", width_ratios=(1, 3)
    )
    names = [name for name in _ENGINES if name in runs]
    for axis, measures in zip(
        axes, (("prefill",), ("decode_1", "decode_4", "decode_8")), strict=True
    ):
        for place, name in enumerate(names):
            rounds = [runs[name][measure] for measure in measures]
            middle = [statistics.median(each) for each in rounds]
            spread = [
                [high - min(each) for high, each in zip(middle, rounds, strict=True)],
                [max(each) - high for high, each in zip(middle, rounds, strict=True)],
            ]
            axis.bar(
                [at + place * _WIDTH for at in range(len(measures))], middle, _WIDTH,
                yerr=spread, label=_ENGINES[name],
            )  # fmt: skip
        axis.set_xticks(
            [at + _WIDTH * (len(names) - 1) / 2 for at in range(len(measures))],
            ["512 tokens"] if len(measures) == 1 else ["1", "4", "8"],
        )
    axes[0].set(title="prefill", ylabel="tokens/s")
    axes[1].set(title="decode, requests at a time")
    axes[1].legend(frameon=False, loc="upper left")
    figure.savefig(target, metadata={"Date": None})


if __name__ == "__main__":
    main()
