"""Draw what `bench/medium.py --json` wrote: seconds against size, straight lines or not.

python bench/plot_medium.py medium.json docs/medium-speed.svg
"""

import json
import statistics
import sys
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("svg")
from matplotlib import pyplot

_PANELS = (
    ("import", ("import", "tar", "sha256sum+tar")),
    ("verify", ("verify", "hashlib")),
    ("pack", ("pack", "zstd")),
)
_LABELS = {
    "import": "sealift import",
    "tar": "tar --zstd -xf; sync",
    "sha256sum+tar": "sha256sum -c; tar; sync",
    "verify": "sealift verify",
    "hashlib": "hashlib, all cores",
    "pack": "pack and seal",
    "zstd": "zstd -1 -T0; sync",
}


def main() -> None:
    """Read the figures and write the picture."""
    source, target = map(Path, sys.argv[1:3])
    sizes: list[dict[str, Any]] = json.loads(source.read_text())
    matplotlib.rcParams["svg.hashsalt"] = "sealift"  # the same figures give the same bytes
    figure, axes = pyplot.subplots(1, len(_PANELS), figsize=(12, 3.6), layout="constrained")
    gib = [size["gib"] for size in sizes]
    for axis, (title, names) in zip(axes, _PANELS, strict=True):
        for name in names:
            rounds = [size["seconds"][name] for size in sizes]
            middle = [statistics.median(each) for each in rounds]
            (line,) = axis.plot(gib, middle, marker="o", label=_LABELS[name])
            axis.fill_between(
                gib, [min(each) for each in rounds], [max(each) for each in rounds],
                alpha=0.2, color=line.get_color(),
            )  # fmt: skip
        axis.set(title=title, xlabel="GiB of weights", xlim=(0, None), ylim=(0, None))
        axis.legend(frameon=False)
    axes[0].set_ylabel("seconds")
    figure.savefig(target, metadata={"Date": None})


if __name__ == "__main__":
    main()
