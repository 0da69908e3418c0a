"""Write the seeds that fuzzing starts from: real documents, and the hostile ones of the vectors.

python -m tests.fuzz.seed
"""

import json
import tempfile
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

from sealift.manifests import strict_json
from sealift.manifests.digest import Digest
from sealift.manifests.have import Have
from sealift.manifests.statement import attestation
from sealift.media.folder import MediumFolder
from sealift.media.stream_writer import plan_stream, write_stream
from sealift.runtime.audit.entry import Entry, Kind
from sealift.runtime.content.job import Answer
from tests.fuzz.targets import BETWEEN
from tests.vectors import case_content
from tests.vectors.cases import MEDIA
from tests.vectors.forge import SIGNER
from tests.vectors.model_files import TABLE, TEMPLATE, VARIANT, chat_files, files, model, tokenizer
from tests.vectors.vector import lay_out, read_changes
from tests.vectors.wire import frame, message, raw_blocks, rle_blocks

__all__ = ["CORPUS", "seeds"]

CORPUS = Path(__file__).resolve().parent / "corpus"
_DAY = "2026-01-03T00:00:00Z"


def seeds() -> dict[str, bytes]:
    """Return path below `corpus/` and bytes of every seed."""
    return {f"{target}/{name}": data for target, name, data in _seeds()}


def _seeds() -> Iterator[tuple[str, str, bytes]]:
    yield from _documents()
    yield from _content()
    yield "stream", "repairable", _stream()
    whole = raw_blocks(bytes(2048))
    yield "zstd", "raw", frame(whole, content_size=2048)
    yield "zstd", "window", frame(whole, content_size=2048, window_descriptor=0)
    yield "zstd", "bombs-rle", frame(rle_blocks(b"\0", 1), content_size=2048)
    yield "json", "index", MEDIA["base"]["index.json"]
    yield "json", "escapes", rb'{"a":["\ud83d\ude00",1e9,-0,null,true]}'


def _documents() -> Iterator[tuple[str, str, bytes]]:
    medium = MEDIA["repairable"]
    kinds: dict[str, list[bytes]] = {}
    for line in medium["CONTENTS.txt"].decode().splitlines():
        hexa, kind, *_ = line.split(" ")
        kinds.setdefault(kind, []).append(medium[f"blobs/sha256/{hexa}"])
    manifest, config = kinds["manifest"][0], kinds["config"][0]
    named = Digest.of(config)
    manifest = manifest.replace(str(named).encode(), b"@CONFIG@")
    manifest = manifest.replace(f'"size":{len(config)}'.encode(), b'"size":@SIZE@', 1)
    yield "manifest", "base", config + BETWEEN + manifest
    for kind in ("signature", "attestation", "parity"):
        yield "envelope", kind, kinds[kind][0]
    yield "seal", "base", _payload(kinds["signature"][0])
    predicate = json.loads(_payload(kinds["parity"][0]))["predicate"]
    yield "parity", "base", strict_json.canonical(predicate)
    note = attestation(
        name="demo", manifest=Digest.of(b"subject"), predicate={"n": 1},
        predicate_type="https://example.org/note/v1",
    )  # fmt: skip
    yield "attestation", "note", note
    yield "custody", "first", _payload(medium["custody/00001.sigstore.json"])
    yield "volume", "first", MEDIA["volume-1"]["volume.json"]
    have = Have(
        site_key=SIGNER.public.pem.decode(), time=_DAY, checkpoint="12 0123456789ab",
        files=("a" * 64,), parts=("b" * 64, "c" * 64),
    )  # fmt: skip
    yield "have", "one", have.encode()
    yield "public-key", "p384", SIGNER.public.pem
    entry = Entry(seq=3, time=_DAY, kind=Kind.KEY_TRUST, fields={"key_id": "a" * 64})
    yield "log-entry", "trust", entry.encode()
    yield "index", "base", _index()


def _payload(envelope: bytes) -> bytes:
    import base64

    return base64.b64decode(json.loads(envelope)["dsseEnvelope"]["payload"])


def _index() -> bytes:
    medium = MEDIA["base"]
    index = medium["index.json"]
    found = []
    for entry in json.loads(index)["manifests"]:
        data = medium["blobs/sha256/" + entry["digest"].removeprefix("sha256:")]
        index = index.replace(entry["digest"].encode(), f"@{len(found)}@".encode())
        found.append(data)
    return BETWEEN.join([*found, index])


def _content() -> Iterator[tuple[str, str, bytes]]:
    yield "onnx", "base", model()
    for row, name, changed in case_content.samples():
        for path, data in changed.items():
            target = _TARGET_OF.get(path.rpartition("/")[2])
            if target and len(data) < 8192:
                yield target, f"{row}-{name}", data
    inner = files()
    yield "serving", "embed", inner[f"{VARIANT}/serving.json"]
    yield "serving", "chat", chat_files(TEMPLATE)[f"{VARIANT}/serving.json"]
    yield "package", "base", inner["manifest.json"]
    yield "tokenizer", "words", tokenizer()
    yield "template", "plain", TEMPLATE.encode()
    yield "config", "plain", b'{"model_type":"llama","text_config":{"layers":[1,2]}}'
    yield "genai", "decoder", strict_json.canonical(_GENAI)
    piece = message((1, "a"), (3, 1))
    yield "pieces", "two", message((1, piece), (1, piece), (2, message((3, 1))))
    yield "magic", "floats", TABLE
    yield "answer", "empty", strict_json.canonical(Answer(isolation="network namespace"))


_TARGET_OF = {
    "model.onnx": "onnx", "config.json": "config", "tokenizer.json": "tokenizer",
    "chat_template.jinja": "template", "more.onnx.data": "magic",
}  # fmt: skip
_GENAI = {
    "model": {
        "decoder": {
            "filename": "model.onnx",
            "session_options": {"provider_options": [{"cpu": {"threads": "1"}}]},
        }
    },
    "search": {"max_length": 16},
}


def _stream() -> bytes:
    out = BytesIO()
    with tempfile.TemporaryDirectory() as name:
        lay_out(Path(name), read_changes("repairable"))
        with MediumFolder.open(Path(name)) as folder:
            plan = plan_stream(folder)
            write_stream(folder, plan, out, repeat=1, advance=lambda count: None)
    return out.getvalue()


def main() -> None:
    """Write the seeds."""
    for path, data in seeds().items():
        (CORPUS / path).parent.mkdir(parents=True, exist_ok=True)
        (CORPUS / path).write_bytes(data)


if __name__ == "__main__":
    main()
