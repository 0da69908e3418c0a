"""The medium's speed: import, verify and pack beside stock tools, alternating in one run.

    python bench/medium.py --sizes 0.5 1 2 4 8 --rounds 3 --folder /some/disk --json medium.json

Every figure is of whole processes, interpreter start included. Import and pack start with inputs
out of the page cache and end with everything on the disk; stock tools get `sync` for that. Verify
is beside hashlib on all cores, both from the cache: it is the hashing that is compared.
"""

import argparse
import json
import os
import shutil
import statistics
import sys
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path

from process import Spent, drop_cache, run, shell, warm_cache

_GIB = 1 << 30
_WEIGHTS = Path(__file__).with_name("weights.py")
_HASHLIB = """
import hashlib, os, sys
from concurrent.futures import ThreadPoolExecutor
def digest(path):
    state, buffer = hashlib.sha256(), memoryview(bytearray(4 << 20))
    with open(path, "rb", buffering=0) as file:
        while count := file.readinto(buffer):
            state.update(buffer[:count])
    return state.hexdigest()
with ThreadPoolExecutor(os.cpu_count()) as pool:
    list(pool.map(digest, sys.argv[1:]))
"""


@dataclass(kw_only=True)
class Size:
    """Everything that was measured at one size: seconds of each round, peak memory."""

    gib: float
    packed_gib: float = 0.0
    seconds: dict[str, list[float]] = field(default_factory=dict)
    peak_mb: dict[str, float] = field(default_factory=dict)

    def note(self, name: str, spent: Spent) -> None:
        """Add a round."""
        self.seconds.setdefault(name, []).append(spent.seconds)
        self.peak_mb[name] = max(self.peak_mb.get(name, 0.0), spent.peak_mb)

    def median(self, name: str) -> float:
        """Return the median of the rounds."""
        return statistics.median(self.seconds[name])

    def ratio(self, theirs: str, ours: str) -> float:
        """Return how many times as fast ours is; above 1 is faster."""
        return self.median(theirs) / self.median(ours)


def main() -> None:
    """Make the data, measure, print, clean up."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", type=float, nargs="+", default=[0.5, 1.0], metavar="GIB")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--folder", type=Path, default=Path.cwd())
    parser.add_argument("--json", type=Path, help="Write all figures here.")
    parser.add_argument("--pack-once", nargs=3, metavar=("FILES", "BUNDLE", "KEY"))
    parser.add_argument("--part-bytes", type=int, default=32 << 20)
    options = parser.parse_args()
    if options.pack_once:
        pack_once(*map(Path, options.pack_once), options.part_bytes)
        return
    sizes = []
    for gib in options.sizes:
        with tempfile.TemporaryDirectory(dir=options.folder, prefix=".bench-") as folder:
            sizes.append(measure(Path(folder), gib, options.rounds))
        report(sizes)
        if options.json:
            options.json.write_text(json.dumps([asdict(size) for size in sizes], indent=1) + "\n")


def pack_once(files: Path, bundle: Path, key: Path, part_bytes: int) -> None:
    """Pack and seal: what one measured process does."""
    from sealift.bundler.pack import BundleMeta
    from sealift.bundler.seal import write_bundle
    from sealift.keys.signer import generate
    from sealift.manifests.recipe import Task

    signer = generate()
    key.write_bytes(signer.public.pem)
    meta = BundleMeta(
        name="bench", version="1.0.0", license="Apache-2.0", architecture="none",
        task=Task.CHAT, created="2026-01-01T00:00:00Z",
    )  # fmt: skip
    write_bundle(files, meta, [], signer, bundle, part_bytes=part_bytes)


def measure(work: Path, gib: float, rounds: int) -> Size:
    """Measure one size; each round runs every contender once."""
    size = Size(gib=gib)
    data = work / "files" / "cpu-int4" / "model.onnx.data"
    # Elsewhere: a child's peak memory starts with that of the process that starts it.
    run(sys.executable, _WEIGHTS, data, str(int(gib * _GIB)))
    for _ in range(rounds):
        _packing(size, work, data)
    size.packed_gib = tree_bytes(work / "bundle") / _GIB
    shell('tar -I "zstd -1 -T0" -cf "$1" -C "$2" . && cd "$3" && sha256sum data.tar.zst > SUMS',
          work / "data.tar.zst", work / "files", work)  # fmt: skip
    shutil.rmtree(work / "files")  # an 8 GiB round needs room for one copy of each form
    for _ in range(rounds):
        _importing(size, work)
    for _ in range(rounds):
        _verifying(size, work)
    return size


def _packing(size: Size, work: Path, data: Path) -> None:
    bundle, frame = work / "bundle", work / "frame.zst"
    shutil.rmtree(bundle, ignore_errors=True)
    drop_cache([data])
    size.note("pack", run(sys.executable, __file__, "--pack-once", work / "files", bundle,
                          work / "signer.pub"))  # fmt: skip
    drop_cache([data])
    size.note("zstd", shell('zstd -q -1 -T0 "$1" -o "$2" && sync -f "$2"', data, frame))
    frame.unlink()


def _importing(size: Size, work: Path) -> None:
    bundle, archive, home, plain = (
        work / name for name in ("bundle", "data.tar.zst", "home", "plain")
    )
    extract = 'mkdir "$2" && tar --zstd -xf "$1" -C "$2" && sync -f "$2"'
    contenders: dict[str, Callable[[], Spent]] = {
        "import": lambda: run("sealift", "import", bundle, "--home", home, "--key",
                              work / "signer.pub"),
        "tar": lambda: shell(extract, archive, plain),
        "sha256sum+tar": lambda: shell(f'cd "$3" && sha256sum --quiet -c SUMS && {extract}',
                                       archive, plain, work),
    }  # fmt: skip
    for name, contender in contenders.items():
        drop_cache([bundle, archive])
        size.note(name, contender())
        for folder in (home, plain):
            shutil.rmtree(folder, ignore_errors=True)


def _verifying(size: Size, work: Path) -> None:
    blobs = sorted((work / "bundle/blobs/sha256").iterdir())
    warm_cache(blobs)
    size.note("verify", run("sealift", "verify", work / "bundle", "--key", work / "signer.pub"))
    size.note("hashlib", run(sys.executable, "-c", _HASHLIB, *blobs))


def report(sizes: list[Size]) -> None:
    """Print the table of everything measured so far."""
    columns = [f"{size.gib:g} GiB" for size in sizes]
    rows: list[tuple[str, str, list[str]]] = [
        ("import / (tar + sync)", ">= 1.5",
         [f"{size.ratio('tar', 'import'):.2f}" for size in sizes]),
        ("import / (sha256sum + tar + sync)", ">= 3",
         [f"{size.ratio('sha256sum+tar', 'import'):.2f}" for size in sizes]),
        ("verify / hashlib on all cores", ">= 0.8",
         [f"{size.ratio('hashlib', 'verify'):.2f}" for size in sizes]),
        ("pack / zstd -1 -T0 + sync", ">= 0.8",
         [f"{size.ratio('zstd', 'pack'):.2f}" for size in sizes]),
        *((f"peak memory of {name}, MB", "<= 350", [f"{s.peak_mb[name]:.0f}" for s in sizes])
          for name in ("import", "verify", "pack")),
        *((f"{name}, seconds a GiB", "straight", [f"{s.median(name) / s.gib:.2f}" for s in sizes])
          for name in ("import", "tar", "sha256sum+tar", "verify", "hashlib", "pack", "zstd")),
    ]  # fmt: skip
    print(f"\n{os.cpu_count()} processors; medians of {len(sizes[0].seconds['import'])} rounds; "
          f"packed to {sizes[0].packed_gib / sizes[0].gib:.3f}")  # fmt: skip
    print(f"{'':36}{'bar':>9}" + "".join(f"{column:>9}" for column in columns))
    for label, bar, values in rows:
        print(f"{label:36}{bar:>9}" + "".join(f"{value:>9}" for value in values), flush=True)


def tree_bytes(folder: Path) -> int:
    """Return the bytes of all files."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


if __name__ == "__main__":
    main()
