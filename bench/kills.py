"""SIGKILL an import at random moments, many times: is the store valid, and is nothing read twice?

    python bench/kills.py --kills 200 --mib 256 --folder /some/disk

After each kill the whole home is audited, every blob is hashed, and the next run must not fetch a
part that the one before had verified and written. When an import ends before its kill, its files
are compared with the signed ones, and all begins anew.
"""

import argparse
import hashlib
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path

from process import run

_WEIGHTS = Path(__file__).with_name("weights.py")
_MEDIUM = Path(__file__).with_name("medium.py")


def main() -> None:
    """Make a bundle, kill imports of it, print what was seen."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--mib", type=int, default=256)
    parser.add_argument("--folder", type=Path, default=Path.cwd())
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--import-noting", nargs=4, metavar=("BUNDLE", "HOME", "KEY", "NOTES"))
    options = parser.parse_args()
    if options.import_noting:
        import_noting(*map(Path, options.import_noting))
        return
    with tempfile.TemporaryDirectory(dir=options.folder, prefix=".bench-") as folder:
        kill_imports(Path(folder), options.kills, options.mib, random.Random(options.seed))


def import_noting(bundle: Path, home: Path, key: Path, notes: Path) -> None:
    """Import, and note each part that is fetched from the medium as it is opened."""
    from sealift.keys.public_key import PublicKey
    from sealift.manifests.digest import Digest
    from sealift.media.folder import MediumFolder
    from sealift.media.source import PartStream
    from sealift.runtime.importer.importer import import_medium
    from sealift.runtime.store.store import Store

    log = os.open(notes, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    class Noting:
        """The folder, and a note of each part that is opened."""

        is_stream = False

        def __init__(self, folder: MediumFolder) -> None:
            self._folder = folder
            self.label = folder.label

        def read(self, path: str, *, size_max: int) -> bytes:
            return self._folder.read(path, size_max=size_max)

        def read_blob(self, digest: Digest, *, size_max: int) -> bytes:
            return self._folder.read_blob(digest, size_max=size_max)

        def listing(self) -> Mapping[str, int]:
            return self._folder.listing()

        def plan_reads(self, blobs: Sequence[Digest]) -> None:
            self._folder.plan_reads(blobs)

        def open_part(self, blob: Digest, size_bytes: int) -> AbstractContextManager[PartStream]:
            os.write(log, f"{blob.hex}\n".encode())
            return self._folder.open_part(blob, size_bytes)

        def next_round(self) -> bool:
            return False

    with MediumFolder.open(bundle) as folder:
        import_medium(Noting(folder), Store.open(home), key=PublicKey.parse(key.read_bytes()))


def kill_imports(work: Path, kills: int, mib: int, moments: random.Random) -> None:
    """Kill `kills` imports and check the home after each."""
    data = work / "files" / "cpu-int4" / "model.onnx.data"
    run(sys.executable, _WEIGHTS, data, str(mib << 20))
    expected = hashlib.sha256(data.read_bytes()).hexdigest()
    bundle, key, home = work / "bundle", work / "signer.pub", work / "home"
    part_bytes = str(4 << 20)
    run(sys.executable, _MEDIUM, "--pack-once", work / "files", bundle, key, "--part-bytes",
        part_bytes)  # fmt: skip
    tar_of = _archives(bundle, key)
    whole_s = _import(bundle, home, key, work / "notes", None)
    _remove(home)
    killed = ended = again = runs = fetched = 0
    while killed < kills:
        held = _held(home)
        notes = work / "notes"
        notes.unlink(missing_ok=True)
        _import(bundle, home, key, notes, moments.uniform(0.05, whole_s * 1.1))
        runs += 1
        opened = notes.read_text().split() if notes.exists() else []
        fetched += len(opened)
        again += len({tar_of[hexa] for hexa in opened if len(hexa) == 64} & held)
        installed = _check(home)
        if installed:
            ended += 1
            assert installed == expected, "the installed file is not the signed one"
            _remove(home)
        else:
            killed += 1
        if sys.stderr.isatty() or killed % 20 == 0:
            print(f"{killed} killed, {ended} ended", file=sys.stderr, flush=True)
    print(f"{killed} kills in {runs} runs; store valid after each; {ended} imports ended with the "
          f"signed file; {fetched} parts fetched, {again} of them again after they were verified; "
          f"an undisturbed import takes {whole_s:.1f} s")  # fmt: skip


def _import(bundle: Path, home: Path, key: Path, notes: Path, kill_after_s: float | None) -> float:
    started = time.perf_counter()
    child = subprocess.Popen(
        [sys.executable, __file__, "--import-noting", str(bundle), str(home), str(key), str(notes)]
    )
    try:
        child.wait(kill_after_s)
    except subprocess.TimeoutExpired:
        child.send_signal(signal.SIGKILL)
        child.wait()
    if child.returncode not in (0, -signal.SIGKILL):
        raise SystemExit(f"the import ended with {child.returncode}")
    return time.perf_counter() - started


def _archives(bundle: Path, key: Path) -> dict[str, str]:
    from sealift.keys.public_key import PublicKey
    from sealift.keys.trust_root import TrustRoot
    from sealift.media.folder import MediumFolder
    from sealift.media.medium import read_medium

    trust = TrustRoot.of([PublicKey.parse(key.read_bytes())])
    with MediumFolder.open(bundle) as folder:
        (carried,) = read_medium(folder, trust).bundles
    return {part.blob.hex: part.tar.hex for part in carried.bundle.manifest.parts}


def _held(home: Path) -> set[str]:
    """Parts that earlier runs verified and wrote."""
    from sealift.runtime.importer.journal import Journal

    journals = (home / "staging").glob("*/parts") if home.exists() else ()
    return {hexa for path in journals for hexa in Journal.read(path)}


def _check(home: Path) -> str | None:
    """Audit the home and hash every blob; return the digest of the installed weights, if any."""
    from sealift.runtime.store.audit_verify import audit_verify

    if not (home / "log" / "checkpoint").exists():
        return None  # killed before there was a store
    report = audit_verify(home)
    assert report.failures == (), report.failures
    for blob in _blobs(home):
        digest = hashlib.sha256(blob.read_bytes()).hexdigest()
        assert digest == blob.name, f"{blob}: torn"
    installed = list(home.glob("models/*/*/cpu-int4/model.onnx.data"))
    return hashlib.sha256(installed[0].read_bytes()).hexdigest() if installed else None


def _blobs(home: Path) -> Iterator[Path]:
    folder = home / "blobs/sha256"
    return iter(folder.iterdir()) if folder.exists() else iter(())


def _remove(home: Path) -> None:
    run("rm", "-rf", home)


if __name__ == "__main__":
    main()
