"""What is fuzzed: every reader of bytes that come from outside, one function each.

A target takes bytes and returns nothing. Only errors of ours may come out, and what is read must be
what its writer writes again, byte for byte. Anything else is a finding.
"""

import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager

import zstandard

from sealift.keys.envelope import Envelope
from sealift.keys.public_key import PublicKey
from sealift.manifests import strict_json
from sealift.manifests.bundle import Manifest
from sealift.manifests.custody import Custody
from sealift.manifests.digest import Digest
from sealift.manifests.errors import ManifestError, SealiftError
from sealift.manifests.have import Have
from sealift.manifests.limits import LIMITS
from sealift.manifests.oci import MEDIA_TYPE_CONFIG, Descriptor, blob_path
from sealift.manifests.parity import Parity
from sealift.manifests.recipe import Task
from sealift.manifests.serving import ServingConfig
from sealift.manifests.statement import SealStatement, parse_attestation
from sealift.manifests.volume import Volume
from sealift.media.errors import MediumError
from sealift.media.medium import read_unverified
from sealift.media.referrers import find_referrers
from sealift.media.source import PartStream
from sealift.media.stream_source import open_stream
from sealift.media.zstd_frame import check_frame
from sealift.runtime.audit.entry import Entry
from sealift.runtime.content.job import Answer
from sealift.runtime.content.json_rules import (
    check_config,
    check_genai,
    check_package,
    check_serving,
    check_tokenizer,
    load_object,
    templates_of,
)
from sealift.runtime.content.limits import ContentLimits
from sealift.runtime.content.magic import check_magic
from sealift.runtime.content.onnx_graph import inspect_graph
from sealift.runtime.content.pieces import check_pieces
from sealift.runtime.content.template_rules import check_template

__all__ = ["BETWEEN", "READERS", "TARGETS", "MemorySource"]

#: Stands between the documents of an input that has several.
BETWEEN = b"\n---\n"

_SUBJECT = Digest.of(b"subject")
_PREDICATE = "https://example.org/note/v1"
_FRAME_BYTES = 2048
_FILES = {
    "model.onnx": 400, "model.onnx.data": 512, "serving.json": 300, "tokenizer.json": 400,
    "chat_template.jinja": 60,
}  # fmt: skip
_LIMITS = ContentLimits(template_s=0.5, template_chars=1 << 16)
_PARTS: list[Manifest] = []


class MemorySource:
    """A medium in memory; implements `MediumSource`, without parts."""

    label = "memory"
    is_stream = False

    def __init__(self, files: Mapping[str, bytes]) -> None:
        self._files = dict(files)

    def read(self, path: str, *, size_max: int) -> bytes:
        """See `MediumSource`."""
        data = self._files.get(path)
        if data is None or len(data) > size_max:
            raise MediumError(path, "missing, or too large")
        return data

    def read_blob(self, digest: Digest, *, size_max: int) -> bytes:
        """See `MediumSource`."""
        data = self.read(blob_path(digest), size_max=size_max)
        if Digest.of(data, digest.algorithm) != digest:
            raise MediumError(blob_path(digest), "other bytes")
        return data

    def listing(self) -> Mapping[str, int]:
        """See `MediumSource`."""
        return {path: len(data) for path, data in self._files.items()}

    def plan_reads(self, blobs: Sequence[Digest]) -> None:
        """See `MediumSource`."""

    @contextmanager
    def open_part(self, blob: Digest, size_bytes: int) -> Iterator[PartStream]:
        """See `MediumSource`."""
        raise MediumError(blob_path(blob), "missing")
        yield

    def next_round(self) -> bool:
        """See `MediumSource`."""
        return False


def _json(data: bytes) -> None:
    value = strict_json.loads(data)
    encoded = strict_json.canonical(value)
    _same(strict_json.canonical(strict_json.loads(encoded)), encoded)


def _manifest(data: bytes) -> None:
    """A config and a manifest; `@CONFIG@` and `@SIZE@` stand for what names the former."""
    config, _, manifest = data.partition(BETWEEN)
    named = Descriptor.of(config, MEDIA_TYPE_CONFIG)
    manifest = manifest.replace(b"@CONFIG@", named.digest.encode())
    manifest = manifest.replace(b"@SIZE@", str(named.size).encode())
    _same(Manifest.parse(manifest, config).encode(), (manifest, config))
    Manifest.config_descriptor(manifest)


def _index(data: bytes) -> None:
    """Blobs and the index behind them; `@N@` in it stands for the digest of the n-th."""
    find_referrers(MemorySource(_linked(data.split(BETWEEN)[:4])))


def _linked(documents: Sequence[bytes]) -> dict[str, bytes]:
    index = documents[-1]
    for number, document in enumerate(documents[:-1]):
        index = index.replace(f"@{number}@".encode(), str(Digest.of(document)).encode())
    files = {blob_path(Digest.of(document)): document for document in documents[:-1]}
    return {**files, "index.json": index}


def _envelope(data: bytes) -> None:
    _same(Envelope.parse(data).encode(), data)


def _seal(data: bytes) -> None:
    _same(SealStatement.parse(data).encode(), data)


def _attestation(data: bytes) -> None:
    parse_attestation(data, manifest=_SUBJECT, predicate_type=_PREDICATE)


def _volume(data: bytes) -> None:
    _same(Volume.parse(data).encode(), data)


def _parity(data: bytes) -> None:
    predicate = strict_json.loads(data)
    _same(Parity.parse(predicate, _manifest_of_base()).predicate(), predicate)


def _custody(data: bytes) -> None:
    _same(Custody.parse(data, what="custody").statement(), data)


def _have(data: bytes) -> None:
    _same(Have.parse(data).encode(), data)


def _log_entry(data: bytes) -> None:
    _same(Entry.parse(data).encode(), data)


def _public_key(data: bytes) -> None:
    key = PublicKey.parse(data)
    _same(PublicKey.parse(key.pem), key)


def _zstd(data: bytes) -> None:
    """A frame that passes decodes to what it states, or is refused by the decoder."""
    check_frame(memoryview(data), _FRAME_BYTES)
    decompressor = zstandard.ZstdDecompressor(max_window_size=LIMITS.zstd_window_bytes)
    try:
        content = decompressor.decompress(data, allow_extra_data=False)
    except zstandard.ZstdError as error:
        raise ManifestError(str(error)) from error
    _same(len(content), _FRAME_BYTES)


class _Stream(io.BytesIO):
    def fileno(self) -> int:
        raise io.UnsupportedOperation


def _stream(data: bytes) -> None:
    with open_stream(_Stream(data)) as source:
        medium = read_unverified(source)
        blobs = [part.blob for carried in medium.bundles for part in carried.layout.parts]
        source.plan_reads(blobs)
        for carried in medium.bundles:
            for part in carried.layout.parts:
                _drain(source.open_part(part.blob, part.blob_bytes))


def _drain(opened: AbstractContextManager[PartStream]) -> None:
    scratch = memoryview(bytearray(1 << 16))
    with opened as stream:
        while stream.readinto(scratch):
            pass


def _onnx(data: bytes) -> None:
    inspect_graph(data, path="model.onnx", siblings=_FILES)


def _pieces(data: bytes) -> None:
    check_pieces(data, "tokenizer.model")


def _config(data: bytes) -> None:
    value = load_object(data, "config.json", bytes_max=1 << 20)
    list(templates_of(value))
    check_config(value, "config.json")


def _genai(data: bytes) -> None:
    value = load_object(data, "genai_config.json", bytes_max=1 << 20)
    check_genai(value, "genai_config.json", _FILES)


def _package(data: bytes) -> None:
    value = load_object(data, "manifest.json", bytes_max=1 << 20)
    check_package(value, "manifest.json", [f"cpu-fp32/{name}" for name in _FILES])


def _serving(data: bytes) -> None:
    task = Task.CHAT if b'"chat"' in data else Task.EMBED
    config = check_serving(data, "serving.json", _FILES, task)
    _same(ServingConfig.parse(config.encode()), config)


def _tokenizer(data: bytes) -> None:
    value = load_object(data, "tokenizer.json", bytes_max=1 << 20)
    check_tokenizer(value, "tokenizer.json")


def _template(data: bytes) -> None:
    source = data.decode("utf-8", "replace")
    check_template(
        source, "chat_template.jinja", special_tokens={"eos_token": "</s>"}, is_served=True,
        limits=_LIMITS,
    )  # fmt: skip


def _magic(data: bytes) -> None:
    check_magic("model.onnx.data", len(data), lambda offset, count: data[offset : offset + count])


def _answer(data: bytes) -> None:
    strict_json.decode(data, Answer)


def _manifest_of_base() -> Manifest:
    if not _PARTS:
        from tests.vectors.cases import BASE

        blobs: dict[str, bytes] = {}
        layout = BASE.layout(blobs)
        manifest = blobs[blob_path(layout.manifest.checked_digest)]
        config = blobs[blob_path(layout.config.checked_digest)]
        _PARTS.append(Manifest.parse(manifest, config))
    return _PARTS[0]


def _same(got: object, expected: object) -> None:
    if got != expected:
        raise AssertionError(f"read and written again: {got!r:.200}, from {expected!r:.200}")


def _checked(target: Callable[[bytes], None]) -> Callable[[bytes], None]:
    def run(data: bytes) -> None:
        try:
            target(data)
        except SealiftError as error:
            _same((str(error), error.message.isprintable()), (error.message, True))

    return run


#: The readers themselves, which raise what they raise.
READERS: dict[str, Callable[[bytes], None]] = {
        "json": _json, "manifest": _manifest, "index": _index, "envelope": _envelope,
        "seal": _seal, "attestation": _attestation, "volume": _volume, "parity": _parity,
        "custody": _custody, "have": _have, "log-entry": _log_entry, "public-key": _public_key,
        "zstd": _zstd, "stream": _stream, "onnx": _onnx, "pieces": _pieces, "config": _config,
        "genai": _genai, "package": _package, "serving": _serving, "tokenizer": _tokenizer,
        "template": _template, "magic": _magic, "answer": _answer,
}  # fmt: skip

TARGETS = {name: _checked(reader) for name, reader in READERS.items()}
