"""Data that compresses and costs as weights do: block-wise int4, as quantizers write it.

python bench/weights.py FILE BYTES
"""

import sys
from pathlib import Path

import numpy as np

__all__ = ["write_weights"]

_CHUNK_BLOCKS = 2 << 20
_NIBBLES = 32
_BLOCK_BYTES = _NIBBLES // 2 + 4


def write_weights(path: Path, size_bytes: int, *, seed: int = 1) -> None:
    """Write blocks of 32 nibbles of a bell curve, each followed by a float32 scale.

    No two blocks are alike, so nothing is gained by matching; what zstd saves (8.5 %) is entropy.
    """
    rng = np.random.default_rng(seed)
    pairs = _nibble_pairs()
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        while (left := size_bytes - file.tell()) > 0:
            blocks = min(_CHUNK_BLOCKS, left // _BLOCK_BYTES + 1)
            picks = rng.integers(0, 1 << 16, (blocks, _NIBBLES // 2), dtype=np.uint16)
            scales = np.exp(rng.standard_normal((blocks, 1), dtype=np.float32) * 0.3 - 4)
            rows = np.hstack([pairs[picks], scales.astype("<f4").view(np.uint8)])
            file.write(rows.tobytes()[:left])


def _nibble_pairs() -> np.ndarray:
    """Two nibbles of a bell curve for each 16-bit number: their product's quantiles."""
    levels = np.arange(16)
    weights = np.exp(-((levels - 8) ** 2) / (2 * 2.9**2))
    joint = np.outer(weights, weights).ravel()
    edges = np.cumsum(joint / joint.sum()) * (1 << 16)
    pair = np.searchsorted(edges, np.arange(1 << 16) + 0.5)
    return pair.astype(np.uint8)


if __name__ == "__main__":
    write_weights(Path(sys.argv[1]), int(sys.argv[2]))
