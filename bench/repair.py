"""With 10 % parity: which losses does an import survive? Random ones, at the bar and beyond it.

    python bench/repair.py --patterns 20 --folder /some/disk

Each pattern deletes, truncates or flips a byte in a random tenth of all parts on the medium (repair
parts count as parts); the import must install the signed file. Then 11 %, rounded up: it must be
refused, and the message must name a part that is lost.
"""

import argparse
import hashlib
import random
import shutil
import sys
import tempfile
import time
from pathlib import Path

from process import run

_WEIGHTS = Path(__file__).with_name("weights.py")


def main() -> None:
    """Make a medium, spoil it in many ways, print what was seen."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--patterns", type=int, default=20)
    parser.add_argument("--parts", type=int, default=100)
    parser.add_argument("--folder", type=Path, default=Path.cwd())
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder, prefix=".bench-") as folder:
        spoil_media(Path(folder), options.patterns, options.parts, random.Random(options.seed))


def spoil_media(work: Path, patterns: int, parts: int, chance: random.Random) -> None:
    """Spoil `patterns` media at 10 %, and as many at 11 %."""
    data = work / "files" / "cpu-int4" / "model.onnx.data"
    part_bytes = 1 << 20
    run(sys.executable, _WEIGHTS, data, str(parts * part_bytes - 4321))
    expected = hashlib.sha256(data.read_bytes()).hexdigest()
    medium = _write_medium(work, part_bytes)
    blobs = _part_blobs(medium)
    tenth, more = len(blobs) // 10, -(-len(blobs) * 11 // 100)
    print(f"{len(blobs)} parts on the medium, repair parts included")
    plain_s = _timed_import(medium, work, expected)
    rebuilt = []
    for _ in range(patterns):
        copy = _spoiled(medium, work / "spoiled", chance.sample(blobs, tenth), chance)
        rebuilt.append(_timed_import(copy, work, expected))
    print(f"{patterns} patterns of {tenth} lost parts: all imports installed the signed file, in "
          f"{sum(rebuilt) / len(rebuilt):.2f} s (undamaged: {plain_s:.2f} s)")  # fmt: skip
    for _ in range(patterns):
        lost = chance.sample(blobs, more)
        _require_refusal(_spoiled(medium, work / "spoiled", lost, chance), work, lost)
    print(f"{patterns} patterns of {more} lost parts: all imports refused, naming lost parts")


def _write_medium(work: Path, part_bytes: int) -> Path:
    from sealift.bundler.pack import BundleMeta
    from sealift.bundler.seal import write_bundle
    from sealift.keys.signer import generate
    from sealift.manifests.recipe import Task
    from sealift.media.writer import WriteRequest, write_media

    signer = generate()
    (work / "signer.pub").write_bytes(signer.public.pem)
    meta = BundleMeta(
        name="bench", version="1.0.0", license="Apache-2.0", architecture="none",
        task=Task.CHAT, created="2026-01-01T00:00:00Z",
    )  # fmt: skip
    write_bundle(work / "files", meta, [], signer, work / "bundle", part_bytes=part_bytes)
    write_media(
        WriteRequest(
            sources=(work / "bundle",), target=work / "medium", parity_percent=10.0, signer=signer
        )
    )
    return work / "medium"


def _part_blobs(medium: Path) -> list[str]:
    lines = (medium / "CONTENTS.txt").read_text().splitlines()
    return [line.split()[0] for line in lines if line.split()[1] in ("zstd", "raw", "repair")]


def _spoiled(medium: Path, copy: Path, lost: list[str], chance: random.Random) -> Path:
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(medium, copy)
    for hexa in lost:
        path = copy / "blobs/sha256" / hexa
        match chance.randrange(3):
            case 0:
                path.unlink()
            case 1:
                with path.open("r+b") as file:
                    file.truncate(path.stat().st_size // 2)
            case _:
                with path.open("r+b") as file:
                    file.seek(chance.randrange(path.stat().st_size))
                    byte = file.read(1)[0]
                    file.seek(-1, 1)
                    file.write(bytes([byte ^ 1]))
    return copy


def _timed_import(medium: Path, work: Path, expected: str) -> float:
    from sealift.keys.public_key import PublicKey
    from sealift.runtime.importer.importer import import_bundle
    from sealift.runtime.importer.result import ImportResult
    from sealift.runtime.store.store import Store

    home = work / "home"
    started = time.perf_counter()
    key = PublicKey.parse((work / "signer.pub").read_bytes())
    result = import_bundle(medium, Store.open(home), key=key)
    seconds = time.perf_counter() - started
    assert isinstance(result, ImportResult), result
    got = hashlib.sha256((result.path / "cpu-int4/model.onnx.data").read_bytes()).hexdigest()
    assert got == expected, "the installed file is not the signed one"
    shutil.rmtree(home)
    return seconds


def _require_refusal(medium: Path, work: Path, lost: list[str]) -> None:
    from sealift.keys.public_key import PublicKey
    from sealift.media.errors import RepairError
    from sealift.runtime.importer.importer import import_bundle
    from sealift.runtime.store.store import Store

    home = work / "home"
    store = Store.open(home)
    refusal = None
    try:
        import_bundle(medium, store, key=PublicKey.parse((work / "signer.pub").read_bytes()))
    except RepairError as error:
        refusal = error.message
    assert refusal is not None, "expected a refusal"
    assert any(hexa in refusal for hexa in lost), refusal
    assert store.models() == ()
    shutil.rmtree(home)


if __name__ == "__main__":
    main()
