"""How fast repair parts are computed, and lost parts from them.

    python bench/parity.py --mib 512 --folder /some/disk

Shards and repair parts are files, read and written as a medium's are; the shards are in the page
cache. zfec, another Reed-Solomon library, is measured in memory where it is installed and can do
it: its code ends at 256 shards.
"""

import argparse
import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from sealift.manifests.parity import Parity
from sealift.media.parity_codec import rebuild, repair_count, write_parity
from sealift.media.shards import BlobReader

CASES = ((16, 10), (128, 10), (640, 10), (128, 20), (640, 5), (640, 20))
_ZFEC_SHARDS_MAX = 256
_ZFEC_BLOCK_BYTES = 64 << 10


class Nowhere:
    """Takes rebuilt shards and forgets them."""

    def write(self, offset: int, data: memoryview) -> None:
        """Do nothing."""


def main() -> None:
    """Print one line a case."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mib", type=int, default=512)
    parser.add_argument("--folder", type=Path, default=Path.cwd())
    options = parser.parse_args()
    print(f"{options.mib} MiB of parts; GiB of parts a second")
    print(f"{'parts':>5}  {'share':>5}  {'repair':>6}  {'encode':>6}  {'rebuild':>7}  {'zfec':>5}")
    for shard_count, percent in CASES:
        count = repair_count(shard_count, percent)
        size = options.mib * (1 << 20) // shard_count // 512 * 512
        with tempfile.TemporaryDirectory(dir=options.folder, prefix=".bench-") as folder:
            encoded, rebuilt = measure(Path(folder), shard_count, count, size)
        other = zfec_rate(shard_count, count)
        print(f"{shard_count:>5}  {percent:>4}%  {count:>6}  {encoded:>6.2f}  {rebuilt:>7.2f}  "
              f"{'-' if other is None else f'{other:.3f}':>5}", flush=True)  # fmt: skip


def measure(folder: Path, shard_count: int, count: int, size: int) -> tuple[float, float]:
    """Return the rates of making all repair parts, and of rebuilding as many lost parts."""
    blobs = folder / "repair"
    blobs.mkdir()
    shards = [BlobReader(path, size) for path in write_shards(folder, shard_count, size)]
    started = time.perf_counter()
    digests = write_parity(
        shards, shard_bytes=size, count=count, folder=blobs, advance=lambda count: None
    )
    encoded = time.perf_counter()
    parity = Parity(
        code="leopard-rs16", shard_bytes=size, blobs=tuple(digest.hex for digest in digests)
    )
    rebuild(
        {index: shards[index] for index in range(count, shard_count)},
        {index: BlobReader(blobs / hexa, size) for index, hexa in enumerate(parity.blobs)},
        shard_count=shard_count, parity=parity, lost=range(count),
        targets=[Nowhere()] * count, advance=lambda count: None,
    )  # fmt: skip
    rebuilt = time.perf_counter()
    gib = shard_count * size / 2**30
    return gib / (encoded - started), gib / (rebuilt - encoded)


def write_shards(folder: Path, count: int, size: int) -> Iterator[Path]:
    """Write files of random bytes."""
    for index in range(count):
        path = folder / f"{index:05d}"
        path.write_bytes(os.urandom(size))
        yield path


def zfec_rate(shard_count: int, count: int) -> float | None:
    """Return how fast zfec makes as many repair blocks, if it is here and can."""
    if shard_count + count > _ZFEC_SHARDS_MAX:
        return None
    try:
        import zfec
    except ImportError:
        return None
    blocks = [os.urandom(_ZFEC_BLOCK_BYTES) for _ in range(shard_count)]
    encoder = zfec.Encoder(shard_count, shard_count + count)
    rounds, started = 0, time.perf_counter()
    while time.perf_counter() - started < 1:
        encoder.encode(blocks, list(range(shard_count, shard_count + count)))
        rounds += 1
    return rounds * shard_count * _ZFEC_BLOCK_BYTES / 2**30 / (time.perf_counter() - started)


if __name__ == "__main__":
    main()
