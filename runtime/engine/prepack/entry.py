"""One entry of the cache on the disk: open it to load from it, or write it.

    <root>/<model digest>.<variant>/model.onnx        the graph as onnxruntime optimized it
                                    model.onnx.data   its weights, mapped by onnxruntime
                                    seal              see `seal.py`

Steps of opening an entry, marked in the code:
  1. the folder and its files are ours, and no one else can read or write them: weights stay mapped
     for as long as the model is loaded, so nobody may change them later either
  2. the seal was written with this host's key
  3. it is bound to exactly the signed bytes, onnxruntime, processor and options of this load
  4. the graph has the sealed sha256; only now it is parsed
  5. the data have the sealed code. This may run while onnxruntime maps them: they are numbers to be
     multiplied, nothing parses them, and no answer is given before the code was compared
  6. after loading, no file was swapped or written: what was checked is what is mapped
"""

import hashlib
import hmac
import os
import shutil
import stat
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sealift.media.durable import sync_folder
from sealift.media.regular_file import open_regular
from sealift.runtime.engine.integrity import Identity
from sealift.runtime.engine.prepack.seal import (
    SEAL_BYTES_MAX,
    Binding,
    PrepackError,
    Seal,
    data_code,
    encode_seal,
    parse_seal,
)
from sealift.runtime.engine.prepack_spec import PrepackCacheSpec, entry_name, partial_prefix

__all__ = ["DATA", "GRAPH", "PrepackEntry", "write_entry"]

GRAPH: Final = "model.onnx"
DATA: Final = "model.onnx.data"
_SEAL: Final = "seal"
_GRAPH_BYTES_MAX: Final = 1 << 30
_SALT_BYTES: Final = 32
_OTHERS: Final = 0o077


@dataclass(slots=True, kw_only=True)
class PrepackEntry:
    """An entry whose graph is checked; its data are not, until `check_data` returned."""

    folder: Path
    graph: bytes
    checked_bytes: int
    _seal: Seal
    _key: bytes
    _data: int
    _identities: dict[str, Identity]

    @classmethod
    def open(cls, spec: PrepackCacheSpec, binding: Binding) -> "PrepackEntry | None":
        """Check an entry's seal and graph; None: there is no entry.

        Raises:
            PrepackError: there is one, and it must not be used.
        """
        root = Path(spec.folder)
        folder = root / entry_name(binding.model_digest, binding.variant)
        try:
            status = os.lstat(folder)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise PrepackError(f"{folder.name}: {error.strerror}") from error
        try:
            _check_private(os.lstat(root), stat.S_ISDIR, "cache folder")  # 1.
            _check_private(status, stat.S_ISDIR, folder.name)  # 1.
            return cls._open(folder, spec.key, binding)
        except OSError as error:
            raise PrepackError(f"{folder.name}: {error}") from error

    @classmethod
    def _open(cls, folder: Path, key: bytes, binding: Binding) -> "PrepackEntry":
        identities: dict[str, Identity] = {}
        seal = parse_seal(_read(folder, _SEAL, SEAL_BYTES_MAX, identities), key)  # 2.
        _check_binding(seal.binding, binding)  # 3.
        graph = _read(folder, GRAPH, _GRAPH_BYTES_MAX, identities)
        got = hashlib.sha256(graph).hexdigest()
        if got != seal.graph_sha256:  # 4.
            raise PrepackError(f"{GRAPH}: expected sha256 {seal.graph_sha256}, got {got}")
        return cls(
            folder=folder,
            graph=graph,
            checked_bytes=len(graph),
            _seal=seal,
            _key=key,
            _data=_open_file(folder, DATA, identities),
            _identities=identities,
        )

    def __enter__(self) -> "PrepackEntry":
        return self

    def __exit__(self, *failure: object) -> None:
        os.close(self._data)

    def check_data(self, *, threads: int) -> None:
        """Check the weights (step 5).

        Raises:
            PrepackError: they are not the sealed ones.
        """
        seal = self._seal
        try:
            got = os.fstat(self._data).st_size
            if got != seal.data_bytes:
                raise PrepackError(f"{DATA}: expected {seal.data_bytes} bytes, got {got}")
            code = data_code(self._data, got, key=self._key, salt=seal.salt, threads=threads)
        except OSError as error:
            raise PrepackError(f"{DATA}: {error}") from error
        if not hmac.compare_digest(code, seal.data_code):
            raise PrepackError(f"{DATA}: not the sealed bytes")
        self.checked_bytes += got

    def check_unchanged(self) -> None:
        """Check that every file is still the one that was checked (step 6).

        Raises:
            PrepackError: one is not.
        """
        for name, identity in self._identities.items():
            try:
                found = Identity.of(os.lstat(self.folder / name))
            except OSError as error:
                raise PrepackError(f"{name}: {error.strerror}") from error
            if found != identity:
                raise PrepackError(f"{name}: changed while it was loaded")


def write_entry(
    spec: PrepackCacheSpec, binding: Binding, save: Callable[[Path], None], *, threads: int
) -> int:
    """Have `save` fill a new folder with graph and data, seal it, and put it in its place.

    Returns the entry's size. Whatever fails, nothing is left behind.

    Raises:
        PrepackError: another process wrote the entry meanwhile.
        OSError: the disk is full, or fails.
    """
    root = Path(spec.folder)
    folder = root / entry_name(binding.model_digest, binding.variant)
    partial = Path(tempfile.mkdtemp(prefix=partial_prefix(folder.name), dir=root))  # 0700
    try:
        save(partial)
        size_bytes = _seal_entry(partial, spec.key, binding, threads)
        try:
            partial.rename(folder)
        except OSError as error:
            if folder.exists():
                raise PrepackError(f"{folder.name}: another process wrote it") from error
            raise
        sync_folder(root)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return size_bytes


def _seal_entry(folder: Path, key: bytes, binding: Binding, threads: int) -> int:
    graph = (folder / GRAPH).read_bytes()
    (folder / DATA).touch(mode=0o600)  # a graph whose weights are all small has none
    descriptor = os.open(folder / DATA, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    salt = os.urandom(_SALT_BYTES)
    try:
        os.fsync(descriptor)  # a full disk may say so only now
        size_bytes = os.fstat(descriptor).st_size
        code = data_code(descriptor, size_bytes, key=key, salt=salt, threads=threads)
    finally:
        os.close(descriptor)
    seal = Seal(
        salt=salt,
        binding=binding,
        graph_sha256=hashlib.sha256(graph).hexdigest(),
        data_bytes=size_bytes,
        data_code=code,
    )
    encoded = encode_seal(seal, key)
    (folder / _SEAL).write_bytes(encoded)
    for name in (GRAPH, DATA, _SEAL):
        (folder / name).chmod(0o400)  # never written again
    return size_bytes + len(graph) + len(encoded)


def _read(folder: Path, name: str, size_max: int, identities: dict[str, Identity]) -> bytes:
    with os.fdopen(_open_file(folder, name, identities), "rb") as file:
        data = file.read(size_max + 1)
    if len(data) > size_max:
        raise PrepackError(f"{name}: expected at most {size_max} bytes")
    return data


def _open_file(folder: Path, name: str, identities: dict[str, Identity]) -> int:
    descriptor = open_regular(folder / name)  # never a link
    status = os.fstat(descriptor)
    try:
        _check_private(status, stat.S_ISREG, name)  # 1.
    except PrepackError:
        os.close(descriptor)
        raise
    identities[name] = Identity.of(status)
    return descriptor


def _check_private(status: os.stat_result, is_kind: Callable[[int], bool], what: str) -> None:
    if not is_kind(status.st_mode):
        raise PrepackError(f"{what}: not a plain file or folder")
    if status.st_uid != os.geteuid():
        raise PrepackError(f"{what}: expected user {os.geteuid()}, it belongs to {status.st_uid}")
    if status.st_mode & _OTHERS:
        mode = stat.S_IMODE(status.st_mode)
        raise PrepackError(f"{what}: open to others (mode {mode:04o})")


def _check_binding(sealed: Binding, wanted: Binding) -> None:
    for name in wanted.__struct_fields__:
        if getattr(sealed, name) != getattr(wanted, name):
            raise PrepackError(f"written for another {name.replace('_', ' ')}")
