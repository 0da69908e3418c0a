"""Which files of a model folder may be used, decided on names and bytes alone (no I/O).

Three walls, each by its own evidence: the name must be on the allow-list, the first bytes must not
be those of a pickle, archive or program (a pickle renamed to `tokenizer.model` is caught here), and
no configuration may name code to run (`auto_map`, `trust_remote_code`, foreign module types).

>>> check_name("pytorch_model.bin")
Traceback (most recent call last):
sealift.bundler.errors.SourceError: pytorch_model.bin: weights in a pickle-like format are refused
"""

import re
from fnmatch import fnmatchcase
from typing import Final

from sealift.bundler.errors import SourceError
from sealift.manifests.strict_json import JsonValue

__all__ = [
    "ALLOWED_PATTERNS",
    "HEAD_BYTES",
    "check_config",
    "check_head",
    "check_name",
    "is_allowed",
    "is_bookkeeping",
    "is_config",
]

#: Everything that an export reads, and the papers that travel with a model.
ALLOWED_PATTERNS: Final = (
    "*.safetensors",
    "*.safetensors.index.json",
    "added_tokens.json",
    "chat_template.jinja",
    "chat_template.json",
    "config.json",
    "config_sentence_transformers.json",
    "data_config.json",
    "generation_config.json",
    "merges.txt",
    "modules.json",
    "preprocessor_config.json",
    "processor_config.json",
    "sentence_bert_config.json",
    "sentencepiece.bpe.model",
    "special_tokens_map.json",
    "spiece.model",
    "tokenizer.json",
    "tokenizer.model",
    "tokenizer_config.json",
    "vocab.json",
    "vocab.txt",
    "[0-9]_*/config.json",
    "adapter_config.json",
    ".gitattributes",
    ".gitignore",
    "*.md",
    "LICENSE*",
    "LICENCE*",
    "NOTICE*",
    "USE_POLICY*",
)

HEAD_BYTES: Final = 16

_PICKLE_SUFFIXES = (
    *(".bin", ".pt", ".pth", ".pkl", ".pickle", ".ckpt", ".h5", ".hdf5", ".keras", ".msgpack"),
    *(".npz", ".npy", ".joblib", ".dill", ".ot", ".pb", ".tflite", ".nemo"),
    *(".tar", ".gz", ".zip", ".7z"),
)
_CODE_SUFFIXES = (
    *(".py", ".pyc", ".pyd", ".so", ".dll", ".dylib", ".exe"),
    *(".sh", ".bat", ".ps1", ".js", ".wasm"),
)
_MAGIC = (
    (b"PK\x03\x04", "a zip archive, as torch.save writes"),
    (b"\x89HDF\r\n", "an HDF5 file"),
    (b"\x93NUMPY", "a NumPy file"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"\x7fELF", "a program (ELF)"),
    (b"MZ", "a program (PE)"),
    (b"\xcf\xfa\xed\xfe", "a program (Mach-O)"),
    (b"\xca\xfe\xba\xbe", "a program (Mach-O)"),
    (b"#!", "a script"),
)
_PICKLE_OPCODE = re.compile(rb"\x80[\x02-\x05][\x8a\x95}\](.ch]")
_UNCHECKED = frozenset({"tokenizer.json", "vocab.json"})
_MODULE_TYPE = re.compile(r"sentence_transformers\.[A-Za-z0-9_.]+")


def check_name(path: str) -> None:
    """Refuse a file by its name, relative to the model folder.

    Raises:
        SourceError: a pickle-like format, code, or a name outside the allow-list.
    """
    suffix = f".{path.rpartition('.')[2].lower()}" if "." in path else ""
    if suffix in _PICKLE_SUFFIXES:
        raise SourceError(
            f"{path}: weights in a pickle-like format are refused",
            hint="such a file runs code when it is loaded; publish or convert to safetensors, "
            "and build from a folder without it",
        )
    if suffix in _CODE_SUFFIXES:
        raise SourceError(
            f"{path}: code in a model folder is refused",
            hint="only architectures built into transformers are supported",
        )
    if not is_allowed(path):
        raise SourceError(
            f"{path}: not on the list of files that a model folder may hold",
            hint="remove the file, or name the model by hub and revision: only listed files "
            "are fetched then",
        )


def check_head(path: str, head: bytes) -> None:
    """Refuse a file by its first bytes, whatever it is called.

    Raises:
        SourceError: a pickle, archive, program or script, or safetensors that are none.
    """
    for magic, what in _MAGIC:
        if head.startswith(magic):
            raise SourceError(f"{path}: expected a {_kind(path)}, got {what}")
    # A lone 0x80 may open other formats; a pickle follows it with a protocol and an opcode.
    if _PICKLE_OPCODE.match(head):
        raise SourceError(f"{path}: expected a {_kind(path)}, got a pickle")
    if path.endswith(".safetensors"):
        header_bytes = int.from_bytes(head[:8], "little")
        if len(head) < 10 or head[8:9] != b"{" or header_bytes > 100 << 20:
            raise SourceError(f"{path}: expected a safetensors header, got {head[:10]!r}")


def check_config(path: str, value: JsonValue) -> None:
    """Refuse a configuration that names code to run.

    Raises:
        SourceError: `auto_map`, `trust_remote_code`, `custom_pipelines`, or a module type that is
            not of sentence-transformers itself.
    """
    _walk(path, "", value)
    if path == "modules.json" and isinstance(value, list):
        for index, module in enumerate(value):
            kind = module.get("type") if isinstance(module, dict) else None
            if not isinstance(kind, str) or not _MODULE_TYPE.fullmatch(kind):
                raise SourceError(
                    f"{path}[{index}].type: expected a sentence_transformers module, got {kind!r}"
                )


def is_config(path: str) -> bool:
    """Whether the file is a configuration that `check_config` must see (not a vocabulary)."""
    return path.endswith(".json") and path not in _UNCHECKED


def is_allowed(path: str) -> bool:
    """Whether the name is on the list of files that a model folder may hold."""
    return any(_matches(path, pattern) for pattern in ALLOWED_PATTERNS)


def is_bookkeeping(path: str) -> bool:
    """Whether the path belongs to git or the hub's download cache: never read, never copied."""
    return path.split("/", 1)[0] in {".git", ".cache"}


def _walk(path: str, where: str, value: JsonValue) -> None:
    if isinstance(value, dict):
        for key, child in value.items():
            if key in {"auto_map", "custom_pipelines"} or (
                key == "trust_remote_code" and child is not False
            ):
                raise SourceError(
                    f"{path}: {where}{key}: a model that brings its own code is refused",
                    hint="only architectures built into transformers are supported",
                )
            _walk(path, f"{where}{key}.", child)
    elif isinstance(value, list):
        for index, child in enumerate(value):
            _walk(path, f"{where}{index}.", child)


def _matches(path: str, pattern: str) -> bool:
    # fnmatch lets `*` cross a slash; a pattern here speaks of one folder level only.
    return path.count("/") == pattern.count("/") and fnmatchcase(path, pattern)


def _kind(path: str) -> str:
    return f"{path.rpartition('.')[2]} file" if "." in path else "plain file"
