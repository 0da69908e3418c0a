"""Small real bundles for tests: packed and sealed by the product, with several parts a file."""

import random
from dataclasses import dataclass
from pathlib import Path

from sealift.bundler.attest import Attestation
from sealift.bundler.pack import BundleMeta
from sealift.bundler.seal import write_bundle
from sealift.keys.signer import MemorySigner, generate
from sealift.manifests.recipe import Precision, Task
from sealift.manifests.serving import DecoderShape, ServingConfig
from sealift.manifests.statement import PREDICATE_EVALUATION, PREDICATE_PROVENANCE
from tests.vectors.model_files import graph, model, tokenizer
from tests.vectors.wire import message

PART_BYTES = 64 * 1024
STATEMENTS = (
    Attestation(predicate_type=PREDICATE_PROVENANCE, predicate={"buildDefinition": {"n": 1}}),
    Attestation(predicate_type=PREDICATE_EVALUATION, predicate={"result": "PASSED", "kl": 0.25}),
)
SERVING = ServingConfig(
    task=Task.CHAT,
    precision=Precision.INT4,
    graph="model.onnx",
    max_length=64,
    chat_template="chat_template.jinja",
    decoder=DecoderShape(layers=1, kv_heads=1, head_size=8, vocab_size=16),
)
_UINT8 = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Sealed:
    """A bundle on the disk, the files that went into it, and who signed it."""

    bundle: Path
    files: Path
    signer: MemorySigner

    def paths(self) -> list[Path]:
        """Every file of the bundle."""
        return sorted(path for path in self.bundle.rglob("*") if path.is_file())

    def part_blobs(self) -> list[Path]:
        """The blobs that carry parts, in the order of the manifest."""
        return [
            self.bundle / "blobs/sha256" / line.split()[0]
            for line in (self.bundle / "CONTENTS.txt").read_text().splitlines()
            if line.split()[1] in ("raw", "zstd")
        ]


def make_files(root: Path, *, seed: int = 1, large_bytes: int = 3 * PART_BYTES + 12_345) -> Path:
    """Write a small model folder: compressible, incompressible, empty, equal, and large files."""
    source = random.Random(seed)
    for variant in ("cpu-int4", "cpu-fp32"):
        folder = root / variant
        folder.mkdir(parents=True)
        (folder / "serving.json").write_bytes(SERVING.encode())
        (folder / "chat_template.jinja").write_text("{{ messages[0].content }}")
        (folder / "tokenizer.json").write_bytes(tokenizer())
        (folder / "model.onnx").write_bytes(_graph(source.randbytes(4900)))
    (root / "cpu-int4" / "model.onnx.data").write_bytes(source.randbytes(large_bytes))
    (root / "cpu-fp32" / "model.onnx.data").write_bytes(
        bytes(source.choices(range(40), k=large_bytes))
    )
    (root / "manifest.json").write_text('{"variants": []}')
    (root / "empty.txt").touch()
    return root


def _graph(weights: bytes) -> bytes:
    table = message((1, len(weights)), (2, _UINT8), (8, "table"), (9, weights))
    return model(graph(table=table))


def meta(
    *, name: str = "demo", version: str = "1.0.0", sequence: int = 1,
    created: str = "2026-01-02T03:04:05Z", audience: tuple[str, ...] = (),
) -> BundleMeta:  # fmt: skip
    """Describe a bundle."""
    return BundleMeta(
        name=name,
        version=version,
        license="Apache-2.0",
        architecture="llama",
        task=Task.CHAT,
        created=created,
        sequence=sequence,
        audience=audience,
    )


def seal_files(
    folder: Path, described: BundleMeta | None = None, *, signer: MemorySigner | None = None,
    seed: int = 1, part_bytes: int = PART_BYTES, large_bytes: int = 3 * PART_BYTES + 12_345,
    files: Path | None = None,
) -> Sealed:  # fmt: skip
    """Make files (or take those given) and seal them below `folder`."""
    signer = signer or generate()
    files = files or make_files(folder / "files", seed=seed, large_bytes=large_bytes)
    bundle = folder / "bundle"
    write_bundle(files, described or meta(), STATEMENTS, signer, bundle, part_bytes=part_bytes)
    return Sealed(bundle=bundle, files=files, signer=signer)


def flip(path: Path, position: int | None = None) -> None:
    """Change one byte, in place; middle of the file unless told."""
    mode = path.stat().st_mode
    path.chmod(0o644)
    with path.open("r+b") as file:
        file.seek(path.stat().st_size // 2 if position is None else position)
        byte = file.read(1)[0]
        file.seek(-1, 1)
        file.write(bytes([byte ^ 1]))
    path.chmod(mode)


def tree(root: Path) -> dict[str, bytes]:
    """Return every file below a folder, by its path."""
    return {
        str(path.relative_to(root)): path.read_bytes()
        for path in sorted(root.rglob("*"))
        if path.is_file()
    }
