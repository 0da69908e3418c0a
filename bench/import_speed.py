"""Import against `tar --zstd -xf` + sync of the same data, alternating in one run.

    python bench/import_speed.py --gib 1 --rounds 3 --folder /some/disk

Both start with the input out of the page cache and end with everything on the disk. tar verifies
nothing; the import verifies every byte. Each is a whole process, interpreter start included.
"""

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from sealift.bundler.pack import BundleMeta
from sealift.bundler.seal import write_bundle
from sealift.keys.public_key import PublicKey
from sealift.keys.signer import generate
from sealift.manifests.recipe import Task
from sealift.runtime.importer.importer import import_bundle
from sealift.runtime.store.store import Store

_CHUNK_BYTES = 80 << 20
_DROP_CACHES = Path("/proc/sys/vm/drop_caches")


def main() -> None:
    """Make the data, measure, print, clean up."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--gib", type=float, default=1.0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--folder", type=Path, default=Path.cwd())
    parser.add_argument("--import-once", nargs=3, metavar=("BUNDLE", "HOME", "KEY"))
    options = parser.parse_args()
    if options.import_once:
        import_once(*map(Path, options.import_once))
        return
    with tempfile.TemporaryDirectory(dir=options.folder, prefix=".bench-") as folder:
        measure(Path(folder), options.gib, options.rounds)


def import_once(bundle: Path, home: Path, key: Path) -> None:
    """Import into a new home: what one measured process does."""
    import_bundle(bundle, Store.open(home), key=PublicKey.parse(key.read_bytes()))
    status = Path("/proc/self/status").read_text()
    key.with_name("peak").write_text(status.partition("VmHWM:")[2].split()[0])


def measure(work: Path, gib: float, rounds: int) -> None:
    """Alternate the two and print the ratio of their medians."""
    files, bundle, archive, key = (
        work / name for name in ("files", "bundle", "data.tar.zst", "signer.pub")
    )
    write_data(files / "model.onnx.data", int(gib * (1 << 30)))
    packing = pack(files, bundle, key)
    taring = timed(lambda: run("tar", "-I", "zstd -1", "-cf", archive, "-C", files, "."))
    size, packed = tree_bytes(files), tree_bytes(bundle)
    print(f"{size / 2**30:.2f} GiB of int4-like weights, packed to {packed / size:.3f} of that; "
          f"pack {packing:.2f} s, tar with zstd -1 {taring:.2f} s")  # fmt: skip
    cold = drop_cache([*bundle.rglob("*"), archive])
    print(f"inputs are {'cold' if cold else 'warm'}; {os.cpu_count()} processors; seconds")
    print(f"{'round':>5}  {'sealift import':>14}  {'tar + sync':>10}  {'ratio':>5}")
    ours, theirs = [], []
    for number in range(rounds):
        drop_cache([*bundle.rglob("*"), archive])
        ours.append(timed(lambda: run_import(bundle, work / "home", key)))
        shutil.rmtree(work / "home")
        os.sync()
        drop_cache([*bundle.rglob("*"), archive])
        theirs.append(timed(lambda: extract(archive, work / "plain")))
        shutil.rmtree(work / "plain")
        os.sync()
        row(str(number + 1), ours[-1], theirs[-1])
    row("med", statistics.median(ours), statistics.median(theirs))
    print(f"peak memory of an import: {int((work / 'peak').read_text()) / 1024:.0f} MiB")


def row(label: str, ours: float, theirs: float) -> None:
    """Print a line of the table."""
    print(f"{label:>5}  {ours:>14.2f}  {theirs:>10.2f}  {theirs / ours:>5.2f}", flush=True)


def write_data(path: Path, size: int) -> None:
    """Write what block-wise int4 weights look like: 32 nibbles of a bell curve, a float scale."""
    path.parent.mkdir(parents=True)
    rng = np.random.default_rng(1)
    with path.open("wb") as file:
        while (left := size - file.tell()) > 0:
            blocks = min(_CHUNK_BYTES, left) // 20 + 1
            nibbles = np.clip(rng.normal(8, 2.9, (blocks, 32)).round(), 0, 15).astype(np.uint8)
            weights = nibbles[:, ::2] | nibbles[:, 1::2] << 4
            scales = rng.lognormal(-4, 0.3, (blocks, 1)).astype("<f4").view(np.uint8)
            file.write(np.hstack([weights, scales]).tobytes()[:left])


def pack(files: Path, bundle: Path, key: Path) -> float:
    """Pack and seal the data; return the seconds."""
    signer = generate()
    key.write_bytes(signer.public.pem)
    meta = BundleMeta(
        name="bench", version="1.0.0", license="Apache-2.0", architecture="none",
        task=Task.CHAT, created="2026-01-01T00:00:00Z",
    )  # fmt: skip
    return timed(lambda: write_bundle(files, meta, [], signer, bundle))


def run_import(bundle: Path, home: Path, key: Path) -> None:
    """Import in a process of its own."""
    run(sys.executable, __file__, "--import-once", bundle, home, key)


def extract(archive: Path, folder: Path) -> None:
    """Extract and make durable."""
    folder.mkdir()
    run("tar", "--zstd", "-xf", archive, "-C", folder)
    run("sync", "-f", folder)


def run(*command: str | Path) -> None:
    """Run a command that must succeed."""
    subprocess.run([str(word) for word in command], check=True)


def timed(action: Callable[[], object]) -> float:
    """Return how long something takes."""
    started = time.perf_counter()
    action()
    return time.perf_counter() - started


def tree_bytes(folder: Path) -> int:
    """Return the bytes of all files."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def drop_cache(paths: list[Path]) -> bool:
    """Put files out of the page cache; false where the system does not do it."""
    os.sync()
    for path in paths:
        if path.is_file():
            descriptor = os.open(path, os.O_RDONLY)
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
            os.close(descriptor)
    try:
        _DROP_CACHES.write_text("3")
    except OSError:
        return False
    return True


if __name__ == "__main__":
    main()
