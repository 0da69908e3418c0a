"""Which files a model may have: each name has one kind, each kind a check of its own (pure).

>>> kind_of("cpu-int4/model.onnx").value
'graph'
>>> kind_of("cpu-int4/setup.py")
Traceback (most recent call last):
sealift.runtime.content.errors.ContentError: cpu-int4/setup.py: no file of a model has such a name
"""

import re
from enum import Enum
from typing import Final

from sealift.manifests.package import PACKAGE_FILE
from sealift.manifests.serving import SERVING_FILE
from sealift.runtime.content.errors import ContentError
from sealift.runtime.content.limits import ContentLimits

__all__ = ["FileKind", "check_text", "kind_of", "size_max"]


class FileKind(Enum):
    """What a file is, by its name alone."""

    GRAPH = "graph"
    WEIGHTS = "weights"
    SERVING = "serving"
    PACKAGE = "package"
    GENAI = "genai"
    TOKENIZER = "tokenizer"
    VOCABULARY = "vocabulary"
    CONFIG = "config"
    TEMPLATE = "template"
    PIECES = "pieces"
    TEXT = "text"


_BY_NAME: Final = {
    SERVING_FILE: FileKind.SERVING,
    "genai_config.json": FileKind.GENAI,
    "tokenizer.json": FileKind.TOKENIZER,
    "vocab.json": FileKind.VOCABULARY,
    "tokenizer.model": FileKind.PIECES,
    "spiece.model": FileKind.PIECES,
    "sentencepiece.bpe.model": FileKind.PIECES,
}
_BY_SUFFIX: Final = (
    (".onnx.data", FileKind.WEIGHTS),
    (".onnx", FileKind.GRAPH),
    (".json", FileKind.CONFIG),
    (".jinja", FileKind.TEMPLATE),
    (".txt", FileKind.TEXT),
    (".md", FileKind.TEXT),
)
# `LICENSE`, `LICENSE-APACHE-2.0`, `NOTICE`: a number may follow a dot, a suffix such as `.py` not.
_PAPER: Final = re.compile(r"(?:LICEN[SC]E|NOTICE|USE_POLICY)[A-Za-z0-9_-]*(?:\.[0-9]+)*")


def kind_of(path: str) -> FileKind:
    """Return the kind of a file, by its path relative to the model's folder.

    Raises:
        ContentError: no file of a model has such a name.
    """
    if path == PACKAGE_FILE:  # inside a variant the same name would be any configuration
        return FileKind.PACKAGE
    name = path.rpartition("/")[2]
    if name in _BY_NAME:
        return _BY_NAME[name]
    for suffix, kind in _BY_SUFFIX:
        if name.endswith(suffix):
            return kind
    if _PAPER.fullmatch(name):
        return FileKind.TEXT
    raise ContentError(path, "no file of a model has such a name")


def size_max(kind: FileKind, limits: ContentLimits) -> int:
    """Return the most bytes that a file of this kind may have; weights are not read whole."""
    match kind:
        case FileKind.GRAPH:
            return limits.graph_bytes
        case FileKind.TOKENIZER | FileKind.VOCABULARY | FileKind.PIECES:
            return limits.tokenizer_bytes
        case FileKind.TEMPLATE | FileKind.TEXT:
            return limits.text_bytes
        case _:
            return limits.json_bytes


def check_text(data: bytes, path: str) -> str:
    """Return a text file's text.

    Raises:
        ContentError: not UTF-8, holds NUL, or is a script that a shell would run.
    """
    if data.startswith(b"#!"):
        raise ContentError(path, "expected text, got a script")
    if b"\0" in data:
        raise ContentError(path, f"expected text, got NUL at byte {data.index(0)}")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ContentError(
            path, f"expected UTF-8 text, got something else at byte {error.start}"
        ) from error
