"""Check a model's folder against its signed statement, at the moment it is loaded.

Small files are read once: what is hashed is what is parsed. Weights are hashed from the file that
onnxruntime maps, and the file must be the same one afterwards. What this cannot see: someone with
write access to the store who changes mapped weights in place after the load.

Weights may be hashed while onnxruntime copies and packs them (`hold_rest` first, then `check_rest`
in a thread): they are numbers, no parser reads them, and the model answers nothing before their
hash was compared. Everything that is parsed (graph, tokenizer, template) goes through `read`.

Steps, marked in the code:
  1. the folder holds exactly the files that the statement lists for it
  2. each is a regular file (no link) of the listed size
  3. each has the listed sha256
  4. after loading, no file was swapped for another, not even for a while
"""

import hashlib
import os
import stat
from dataclasses import dataclass, field
from io import FileIO
from pathlib import Path

from sealift.runtime.engine.errors import ModelIntegrityError
from sealift.runtime.engine.source import ModelSource, SourceFile

__all__ = ["Identity", "VerifiedFolder"]

# Small enough to stay in the processor's cache between being read and being hashed.
_READ_BYTES = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Which file it is, and when it was last written; of a folder, when an entry of it changed."""

    device: int
    inode: int
    size_bytes: int
    mtime_ns: int

    @classmethod
    def of(cls, status: os.stat_result) -> "Identity":
        """Take what counts of a `stat`."""
        return cls(
            device=status.st_dev,
            inode=status.st_ino,
            size_bytes=status.st_size,
            mtime_ns=status.st_mtime_ns,
        )


@dataclass(slots=True, kw_only=True)
class VerifiedFolder:
    """One variant's folder while it is being checked and loaded."""

    source: ModelSource
    variant: str
    verified_bytes: int = 0
    _files: dict[str, SourceFile] = field(default_factory=dict)
    _identities: dict[str, Identity] = field(default_factory=dict)
    _held: dict[str, FileIO] = field(default_factory=dict)
    _done: set[str] = field(default_factory=set)
    _folder: Identity | None = None

    @classmethod
    def open(cls, source: ModelSource, variant: str) -> "VerifiedFolder":
        """Compare the folder's listing with the statement's (step 1).

        Raises:
            ModelIntegrityError: a file too many or too few, by name.
        """
        folder = cls(source=source, variant=variant)
        prefix = f"{variant}/"
        for file in source.files:
            # Files beside the variants (the package manifest) describe this one too.
            if file.path.startswith(prefix) or "/" not in file.path:
                folder._files[file.path] = file
        folder._folder = folder._look()
        found = set(_walk(folder.path, prefix))
        listed = {path for path in folder._files if path.startswith(prefix)}
        for path in sorted(found - listed):  # 1.
            raise folder._error(path, "the signed statement does not list it")
        for path in sorted(listed - found):  # 1.
            raise folder._error(path, "missing")
        return folder

    @property
    def path(self) -> Path:
        """The variant's folder."""
        return Path(self.source.directory) / self.variant

    @property
    def files(self) -> tuple[SourceFile, ...]:
        """The signed files of the variant's folder."""
        return tuple(
            file for path, file in self._files.items() if path.startswith(f"{self.variant}/")
        )

    def read(self, name: str) -> bytes:
        """Return the bytes of a file of the variant, checked.

        Raises:
            ModelIntegrityError: they are not the signed ones.
        """
        path = f"{self.variant}/{name}"
        if path not in self._files:
            raise self._error(path, "the signed statement does not list it")
        with self._open(path) as stream:
            data = stream.read(self._files[path].size_bytes + 1)
        self._check_hash(path, len(data), hashlib.sha256(data).hexdigest())
        return data

    def hold_rest(self, *, unopened_from_bytes: int | None = None) -> None:
        """Open every file that `read` did not, so that what is hashed is what is there now.

        Args:
            unopened_from_bytes: files of this size or more are compared in kind and size, and not
                hashed: nothing of this load reads them. None: all are hashed.

        Raises:
            ModelIntegrityError: one is missing, no regular file, or not of the listed size.
        """
        for path, file in self._files.items():
            if path in self._done or path in self._held:
                continue
            stream = self._open(path)
            if unopened_from_bytes is not None and file.size_bytes >= unopened_from_bytes:
                stream.close()
            else:
                self._held[path] = stream

    def check_rest(self) -> None:
        """Check every file that is held.

        Raises:
            ModelIntegrityError: one is not the signed one.
        """
        while self._held:
            path, stream = self._held.popitem()
            with stream:
                self._check_file(path, stream)

    def close(self) -> None:
        """Let go of files that are still held."""
        while self._held:
            self._held.popitem()[1].close()

    def check_unchanged(self) -> None:
        """Check that every file is still the one that was hashed (step 4)."""
        for path, identity in self._identities.items():
            if Identity.of(os.lstat(self._absolute(path))) != identity:
                raise self._error(path, "changed while it was loaded")
        # A file that was swapped and put back has its old identity; its folder has not.
        if self._look() != self._folder:
            raise self._error(self.variant, "changed while it was loaded")

    def _check_file(self, path: str, stream: FileIO) -> None:
        digest = hashlib.sha256()
        size_bytes = 0
        buffer = bytearray(min(_READ_BYTES, self._files[path].size_bytes + 1))
        view = memoryview(buffer)
        while count := stream.readinto(buffer):
            digest.update(view[:count])
            size_bytes += count
        self._check_hash(path, size_bytes, digest.hexdigest())

    def _open(self, path: str) -> FileIO:
        try:
            descriptor = os.open(self._absolute(path), os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except OSError as error:
            raise self._error(path, f"cannot be read: {error.strerror}") from error
        status = os.fstat(descriptor)
        expected = self._files[path].size_bytes
        problem = None
        if not stat.S_ISREG(status.st_mode):
            problem = "not a regular file"
        elif status.st_size != expected:
            problem = f"expected {expected} bytes, got {status.st_size}"
        if problem is not None:  # 2.
            os.close(descriptor)
            raise self._error(path, problem)
        self._identities[path] = Identity.of(status)
        return os.fdopen(descriptor, "rb", buffering=0)

    def _check_hash(self, path: str, size_bytes: int, sha256: str) -> None:
        expected = self._files[path]
        if size_bytes != expected.size_bytes:  # 2.
            raise self._error(path, f"expected {expected.size_bytes} bytes, got {size_bytes}")
        if sha256 != expected.sha256:  # 3.
            raise self._error(path, f"expected sha256 {expected.sha256}, got {sha256}")
        self._done.add(path)
        self.verified_bytes += size_bytes

    def _look(self) -> Identity | None:
        try:
            return Identity.of(os.lstat(self.path))
        except OSError:
            return None  # every listed file is then missing, and named so

    def _absolute(self, path: str) -> Path:
        return Path(self.source.directory) / path

    def _error(self, path: str, problem: str) -> ModelIntegrityError:
        return ModelIntegrityError(
            f"{self.source.name}:{self.source.version}: {path}: {problem}",
            hint="run `sealift audit verify`, then import the bundle again",
        )


def _walk(folder: Path, prefix: str) -> list[str]:
    found = []
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError:
        return []  # every listed file is then missing, and named so
    for entry in entries:
        path = f"{prefix}{entry.name}"
        if entry.is_dir(follow_symlinks=False):
            found += _walk(Path(entry.path), f"{path}/")
        else:
            found.append(path)
    return found
