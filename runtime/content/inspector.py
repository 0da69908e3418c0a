"""Every check of every file that is read whole, in an order in which each knows what it needs.

Pure but for `read`, and for the tokenizer library: runs in the limited process. Equal files of
several variants are checked once, save those whose check depends on their neighbours.
"""

from collections.abc import Callable, Mapping
from typing import Final

from sealift.manifests.digest import Digest
from sealift.manifests.serving import ServingConfig
from sealift.runtime.content.errors import ContentError
from sealift.runtime.content.file_rules import FileKind, check_text, kind_of, size_max
from sealift.runtime.content.job import Job, JobFile
from sealift.runtime.content.json_rules import (
    check_config,
    check_genai,
    check_package,
    check_serving,
    check_tokenizer,
    load_object,
    templates_of,
)
from sealift.runtime.content.magic import check_magic
from sealift.runtime.content.onnx_graph import inspect_graph
from sealift.runtime.content.pieces import check_pieces
from sealift.runtime.content.report import FileReport, GraphReport

__all__ = ["CHECKS", "Inspector"]

CHECKS: Final[Mapping[FileKind, tuple[str, ...]]] = {
    FileKind.GRAPH: ("name", "wire format", "domains", "operators", "external data"),
    FileKind.WEIGHTS: ("name", "first and last bytes"),
    FileKind.SERVING: ("name", "form", "files"),
    FileKind.PACKAGE: ("name", "json", "no code", "files"),
    FileKind.GENAI: ("name", "json", "no code", "files", "options"),
    FileKind.TOKENIZER: ("name", "json", "counts", "loads"),
    FileKind.VOCABULARY: ("name", "json", "counts"),
    FileKind.CONFIG: ("name", "json", "no code", "templates"),
    FileKind.TEMPLATE: ("name", "text", "no internals", "renders"),
    FileKind.PIECES: ("name", "wire format", "counts"),
    FileKind.TEXT: ("name", "text"),
}

# Their verdict depends on the folder they are in.
_BY_PLACE: Final = frozenset(
    {FileKind.GRAPH, FileKind.SERVING, FileKind.PACKAGE, FileKind.GENAI, FileKind.TEMPLATE}
)


class Inspector:
    """One inspection.

    Args:
        read: gives a file's bytes.
    """

    def __init__(self, job: Job, read: Callable[[JobFile], bytes]) -> None:
        self._job = job
        self._read = read
        self._serving: dict[str, ServingConfig] = {}
        self._checked: set[tuple[FileKind, str]] = set()
        self._graphs: list[GraphReport] = []

    def run(self) -> tuple[tuple[FileReport, ...], tuple[GraphReport, ...]]:
        """Check every file.

        Raises:
            ContentError: the first that is refused.
        """
        kinds = {file.path: kind_of(file.path) for file in self._job.files}
        # What a variant serves decides what its template must do.
        ordered = sorted(self._job.files, key=lambda f: kinds[f.path] is not FileKind.SERVING)
        for file in ordered:
            self._check(file, kinds[file.path])
        files = tuple(
            FileReport(
                path=file.path,
                kind=kinds[file.path].value,
                size_bytes=file.size_bytes,
                sha256=file.sha256,
                checks=CHECKS[kinds[file.path]],
            )
            for file in self._job.files
        )
        return files, tuple(self._graphs)

    def _check(self, file: JobFile, kind: FileKind) -> None:
        if kind not in _BY_PLACE and (kind, file.sha256) in self._checked:
            return
        self._checked.add((kind, file.sha256))
        bytes_max = size_max(kind, self._job.limits)
        if file.size_bytes > bytes_max:
            raise ContentError(
                file.path, f"expected at most {bytes_max} bytes, got {file.size_bytes}"
            )
        data = self._read(file)
        if Digest.of(data).hex != file.sha256:
            raise ContentError(file.path, "changed while it was inspected")
        # A graph or a text can be an archive as well: unpackers look at the end of a file alone.
        check_magic(file.path, len(data), lambda at, length: data[at : at + length])
        self._check_bytes(data, file.path, kind)

    def _check_bytes(self, data: bytes, path: str, kind: FileKind) -> None:
        limits, folder = self._job.limits, path.rpartition("/")[0]
        match kind:
            case FileKind.GRAPH:
                siblings = self._siblings(folder)
                graph = inspect_graph(data, path=path, siblings=siblings, limits=limits)
                self._graphs.append(graph)
            case FileKind.SERVING:
                names = self._siblings(folder)
                self._serving[folder] = check_serving(data, path, names, self._job.task)
            case FileKind.TEMPLATE:
                self._template(check_text(data, path), path, is_served=self._is_served(path))
            case FileKind.PIECES:
                check_pieces(data, path, limits)
            case FileKind.TEXT:
                check_text(data, path)
            case FileKind.WEIGHTS:
                raise ContentError(path, "weights are not read whole")
            case _:
                self._check_json(data, path, kind)

    def _check_json(self, data: bytes, path: str, kind: FileKind) -> None:
        limits = self._job.limits
        value = load_object(data, path, bytes_max=size_max(kind, limits), limits=limits)
        match kind:
            case FileKind.GENAI:
                check_genai(value, path, self._siblings(path.rpartition("/")[0]))
            case FileKind.PACKAGE:
                check_package(value, path, self._job.sizes)
            case FileKind.TOKENIZER:
                from sealift.runtime.content.tokenizer_rules import check_loads

                check_tokenizer(value, path, limits)
                del value  # the library reads the same bytes into a copy of its own
                check_loads(data, path)
            case FileKind.VOCABULARY:
                if len(value) > limits.vocabulary:
                    raise ContentError(path, f"expected at most {limits.vocabulary} entries")
            case _:
                check_config(value, path)
                for source in templates_of(value):
                    self._template(source, path, is_served=False)

    def _template(self, source: str, path: str, *, is_served: bool) -> None:
        from sealift.runtime.content.template_rules import check_template

        config = self._serving.get(path.rpartition("/")[0])
        check_template(
            source,
            path,
            special_tokens=config.special_tokens if config else {},
            is_served=is_served,
            limits=self._job.limits,
        )

    def _is_served(self, path: str) -> bool:
        folder, _, name = path.rpartition("/")
        config = self._serving.get(folder)
        return config is not None and config.chat_template == name

    def _siblings(self, folder: str) -> dict[str, int]:
        prefix = f"{folder}/" if folder else ""
        sizes = self._job.sizes.items()
        return {
            path.removeprefix(prefix): size
            for path, size in sizes
            if path.startswith(prefix) and "/" not in path.removeprefix(prefix)
        }
