"""From a recipe's `source` to a checked local folder, every file of it measured.

Guarantees: each returned file passed `source_rules` and its digest is of the bytes found; nothing
else of the folder is read. A hub source is downloaded by exact commit, allowed files only. It does
not protect against someone who changes the folder during the build: `recheck` notices that after
the fact.

    tree = resolve_source(recipe.source, recipe_dir)
    tree.digest          # one digest over all names and contents
"""

import hashlib
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from sealift.bundler.errors import HubError, SourceError
from sealift.bundler.source_rules import (
    ALLOWED_PATTERNS,
    HEAD_BYTES,
    check_config,
    check_head,
    check_name,
    is_allowed,
    is_bookkeeping,
    is_config,
)
from sealift.manifests import strict_json
from sealift.manifests.digest import Digest
from sealift.manifests.errors import ManifestError
from sealift.manifests.recipe import Source
from sealift.manifests.telemetry import disable_telemetry

__all__ = ["SourceFile", "SourceTree", "read_tree", "recheck", "resolve_source"]

_CHUNK_BYTES = 4 << 20
_CONFIG_BYTES_MAX = 8 << 20
_HUB_TIMEOUT_S = 20.0
# What is fetched. The hub's patterns cross slashes, ours do not: copies in subfolders (onnx/,
# original/) stay there. `consolidated*` is Mistral's second copy of the same weights.
_WANTED: Final[dict[str, Any]] = {
    "allow_patterns": list(ALLOWED_PATTERNS),
    "ignore_patterns": ["*/*.safetensors", "*/*.safetensors.index.json", "*/*.md", "consolidated*"],
}


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceFile:
    """One checked file, by its path inside the folder."""

    path: str
    size_bytes: int
    sha256: str
    mtime_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceTree:
    """A checked model folder: where it is, where it came from, and every file in it."""

    root: Path
    origin: str
    files: tuple[SourceFile, ...]

    @property
    def digest(self) -> Digest:
        """One digest over all names and contents, for provenance."""
        return Digest.of(strict_json.canonical([[f.path, f.sha256] for f in self.files]))

    @property
    def paths(self) -> frozenset[str]:
        """The names of all files."""
        return frozenset(file.path for file in self.files)


def resolve_source(source: Source, recipe_dir: Path) -> SourceTree:
    """Bring a source to a local folder and check it.

    Raises:
        SourceError: the folder is missing or holds what must not enter a bundle.
        HubError: the hub cannot be reached or does not have the revision.
    """
    if source.path is not None:
        root = (recipe_dir / source.path).resolve()
        return read_tree(root, origin=f"path:{source.path}")
    if source.hub is None or source.revision is None:
        raise SourceError("source: expected a path, or a hub name with a revision")
    root = _download(source.hub, source.revision)
    # The hub's cache is shared with other programs: what they fetched beside our files is not read.
    return read_tree(
        root, origin=f"hub:{source.hub}@{source.revision}", cache_of_hub=root.parents[1]
    )


def read_tree(root: Path, *, origin: str, cache_of_hub: Path | None = None) -> SourceTree:
    """Check and hash every file of a folder.

    Args:
        root: the model folder.
        origin: what provenance calls it.
        cache_of_hub: where a hub snapshot's links may point; unlisted files in it are skipped
            instead of refused. A plain folder may hold neither.

    Raises:
        SourceError: as `resolve_source`.
    """
    if not root.is_dir():
        raise SourceError(
            f"{root}: expected a model folder, got {'a file' if root.exists() else 'nothing'}",
            hint="source.path is relative to the recipe file",
        )
    # Names first: a refused folder is refused before its gigabytes are read.
    found = sorted(_walk(root, cache_of_hub))
    if cache_of_hub is not None:
        found = [path for path in found if is_allowed(path)]
    for path in found:
        check_name(path)
    files = tuple(_read_file(root, path) for path in found)
    if not any(file.path.endswith(".safetensors") for file in files):
        raise SourceError(f"{root}: expected weights as *.safetensors, found none")
    return SourceTree(root=root, origin=origin, files=files)


def recheck(tree: SourceTree) -> None:
    """Notice a source that was changed while it was being read.

    Raises:
        SourceError: a file's size or time differs from when it was hashed.
    """
    for file in tree.files:
        status = (tree.root / file.path).stat()
        if (status.st_size, status.st_mtime_ns) != (file.size_bytes, file.mtime_ns):
            raise SourceError(f"{tree.root / file.path}: changed during the build")


def _walk(root: Path, cache_of_hub: Path | None) -> Iterator[str]:
    for folder, names, files in os.walk(root, followlinks=False):
        here = Path(folder)
        for name in [*names, *files]:
            path = (here / name).relative_to(root).as_posix()
            if is_bookkeeping(path):
                continue
            _check_kind(here / name, path, cache_of_hub)
            if name in files:
                yield path
        names[:] = [n for n in names if not is_bookkeeping((here / n).relative_to(root).as_posix())]


def _check_kind(full: Path, path: str, cache_of_hub: Path | None) -> None:
    mode = full.lstat().st_mode
    if stat.S_ISLNK(mode):
        target = full.resolve()
        if cache_of_hub is None or not target.is_relative_to(cache_of_hub.resolve()):
            raise SourceError(f"{path}: a link in a model folder is refused, it points to {target}")
        mode = full.stat().st_mode
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        raise SourceError(f"{path}: expected a plain file")


def _read_file(root: Path, path: str) -> SourceFile:
    with (root / path).open("rb") as stream:
        status = os.fstat(stream.fileno())
        head = stream.read(HEAD_BYTES)
        check_head(path, head)
        hasher = hashlib.sha256(head)
        content = bytearray(head)
        while chunk := stream.read(_CHUNK_BYTES):
            hasher.update(chunk)
            if is_config(path):
                content += chunk
                if len(content) > _CONFIG_BYTES_MAX and not path.endswith(".index.json"):
                    raise SourceError(
                        f"{path}: expected at most {_CONFIG_BYTES_MAX} bytes, got more"
                    )
    if is_config(path):
        _check_json(path, bytes(content))
    return SourceFile(
        path=path,
        size_bytes=status.st_size,
        sha256=hasher.hexdigest(),
        mtime_ns=status.st_mtime_ns,
    )


def _check_json(path: str, content: bytes) -> None:
    try:
        check_config(path, strict_json.loads(content, what=path))
    except ManifestError as error:
        raise SourceError(error.message) from error


def _download(hub: str, revision: str) -> Path:
    disable_telemetry()
    import httpx2
    from huggingface_hub import HfApi, snapshot_download
    from huggingface_hub.errors import (
        GatedRepoError,
        HfHubHTTPError,
        LocalEntryNotFoundError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    try:
        # One quick question first: the download itself would retry for half a minute.
        HfApi().model_info(hub, revision=revision, timeout=_HUB_TIMEOUT_S)
        return Path(snapshot_download(repo_id=hub, revision=revision, **_WANTED))
    except (RepositoryNotFoundError, RevisionNotFoundError, GatedRepoError) as error:
        raise HubError(
            f"{hub}@{revision}: not found on the hub, or not open to you",
            hint="check the name and the commit; a gated model needs its terms accepted and "
            "HF_TOKEN",
        ) from error
    except (httpx2.HTTPError, HfHubHTTPError, LocalEntryNotFoundError, OSError) as error:
        cached = _from_cache(hub, revision)
        if cached is not None:
            return cached
        raise HubError(
            f"{hub}@{revision}: the hub could not be reached ({type(error).__name__})",
            hint="build on a connected host, or download the folder elsewhere and use source.path",
        ) from error


def _from_cache(hub: str, revision: str) -> Path | None:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    try:
        # The same patterns as online: the client takes a copy as whole only by what was wanted.
        return Path(
            snapshot_download(repo_id=hub, revision=revision, local_files_only=True, **_WANTED)
        )
    except LocalEntryNotFoundError:
        return None
