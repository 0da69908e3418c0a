"""Configuration files: data, and nothing that names code, a library or a file elsewhere (pure).

Every JSON file of a model is one strict JSON object. Beyond that, each kind has its own rules: what
`serving.json`, `genai_config.json`, the package manifest and the tokenizer may say.
"""

import re
from collections.abc import Collection, Iterator
from typing import Any, Final

from sealift.manifests import strict_json
from sealift.manifests.errors import ManifestError
from sealift.manifests.limits import Limits
from sealift.manifests.recipe import Task
from sealift.manifests.serving import ServingConfig
from sealift.runtime.content.errors import ContentError
from sealift.runtime.content.limits import CONTENT_LIMITS, ContentLimits

__all__ = [
    "check_config",
    "check_genai",
    "check_package",
    "check_serving",
    "check_tokenizer",
    "load_object",
    "templates_of",
]

# What makes transformers, or one of its friends, import code that comes with a model.
_CODE_KEYS: Final = frozenset(
    {"auto_map", "trust_remote_code", "remote_code", "custom_pipelines", "custom_generate",
     "custom_code", "code_revision", "custom_ops_library", "custom_op_library", "custom_ops_path"}
)  # fmt: skip
# `org/kernel` as attention is fetched from a hub and run.
_ATTENTION_KEYS: Final = frozenset({"attn_implementation", "_attn_implementation", "use_kernels"})
# All that genai may set; `custom_ops_library`, `ep_context_file_path`, `enable_profiling` load or
# write files, `config_entries` can do either.
_SESSION_KEYS: Final = frozenset(
    {"log_id", "log_severity_level", "log_verbosity_level", "intra_op_num_threads",
     "inter_op_num_threads", "enable_cpu_mem_arena", "enable_mem_pattern", "disable_quant_qdq",
     "enable_quant_qdq_cleanup", "disable_cpu_ep_fallback", "use_env_allocators",
     "graph_optimization_level", "provider_options"}
)  # fmt: skip
_PROVIDERS: Final = frozenset({"cpu", "cuda", "dml", "webgpu", "openvino", "nvtensorrtrtx"})
_PROVIDER_KEY: Final = re.compile(r"path|library|lib|file|dir|folder|cache|context|plugin|profil")
_PACKAGE_LIBRARY: Final = re.compile(r"librar|plugin|path")
_TOKENIZER_KEYS: Final = frozenset(
    {"version", "truncation", "padding", "added_tokens", "normalizer", "pre_tokenizer",
     "post_processor", "decoder", "model"}
)  # fmt: skip

_Object = dict[str, Any]


def load_object(
    data: bytes, path: str, *, bytes_max: int, limits: ContentLimits = CONTENT_LIMITS
) -> _Object:
    """Parse a file as one strict JSON object.

    Raises:
        ContentError: it is not.
    """
    bounds = Limits(json_bytes=bytes_max, json_depth=limits.json_depth)
    try:
        value = strict_json.loads(data, what=path, limits=bounds)
    except ManifestError as error:
        raise ContentError(path, error.message.removeprefix(f"{path}: ")) from error
    if not isinstance(value, dict):
        raise ContentError(path, "expected a JSON object")
    return value


def check_config(value: _Object, path: str) -> None:
    """Refuse a configuration that names code to run, at any depth.

    Raises:
        ContentError: it does.
    """
    for key, item in _items(value):
        name = key.casefold().replace("-", "_")
        # `false` and an empty map are what honest tools write for "none".
        if name in _CODE_KEYS and item:
            raise ContentError(path, f"key {key!r} names code to run")
        if name in _ATTENTION_KEYS and isinstance(item, str) and "/" in item:
            raise ContentError(path, f"key {key!r} names code to fetch: {item[:80]!r}")


def check_serving(data: bytes, path: str, names: Collection[str], task: Task) -> ServingConfig:
    """Read `serving.json`, for this task, with every file that it names beside it.

    Args:
        names: of the declared files of the same folder.

    Raises:
        ContentError: it is not so.
    """
    try:
        config = ServingConfig.parse(data)
    except ManifestError as error:
        raise ContentError(path, error.message) from error
    if config.task is not task:
        raise ContentError(path, f"task: expected {task.value}, got {config.task.value}")
    for name in (config.graph, config.tokenizer, config.chat_template):
        if name is not None and name not in names:
            raise ContentError(path, f"{name!r}: no declared file beside it")
    return config


def check_genai(value: _Object, path: str, names: Collection[str]) -> None:
    """Refuse a genai configuration that loads anything but declared files of its folder.

    Raises:
        ContentError: it would.
    """
    check_config(value, path)
    for key, item in _items(value):
        if key.endswith("filename") and not _is_one_of(item, names):
            raise ContentError(path, f"{key}: expected a declared file beside it, got {item!r:.80}")
        if key == "session_options":
            _check_session(item, path)
        if key == "provider_options":
            _check_providers(item, path)


def check_package(value: _Object, path: str, files: Collection[str]) -> None:
    """Refuse a package manifest whose variants lie anywhere but in declared folders.

    Args:
        files: every declared file of the model.

    Raises:
        ContentError: one does, or a library is named.
    """
    check_config(value, path)
    folders = {file.rpartition("/")[0] for file in files} - {""}
    for key, item in _items(value):
        if key == "variant_directory" and not _is_one_of(item, folders):
            raise ContentError(path, f"{key}: expected a folder of the model, got {item!r:.80}")
        if key == "model_file" and not any(f"{folder}/{item}" in files for folder in folders):
            raise ContentError(path, f"{key}: expected a declared file, got {item!r:.80}")
        if _PACKAGE_LIBRARY.search(key.casefold()):
            raise ContentError(path, f"key {key!r} names a file to load")


def check_tokenizer(value: _Object, path: str, limits: ContentLimits = CONTENT_LIMITS) -> int:
    """Bound what a tokenizer holds; return the number of its entries.

    Raises:
        ContentError: a field that the format lacks, or too much of something.
    """
    unknown = set(value) - _TOKENIZER_KEYS
    model = value.get("model")
    if unknown or not isinstance(model, dict):
        raise ContentError(path, f"not a tokenizer: {min(unknown, default='no model')!r:.80}")
    vocabulary = model.get("vocab", ())
    counts = (
        ("vocabulary", vocabulary, limits.vocabulary),
        ("merges", model.get("merges", ()), limits.merges),
        ("added tokens", value.get("added_tokens", ()), limits.added_tokens),
    )
    for what, items, items_max in counts:
        if not isinstance(items, dict | list | tuple):
            raise ContentError(path, f"{what}: expected a list or an object")
        if len(items) > items_max:
            raise ContentError(path, f"{what}: expected at most {items_max}, got {len(items)}")
    return len(vocabulary)


def templates_of(value: _Object) -> Iterator[str]:
    """Give every chat template that a configuration holds."""
    for key, item in _items(value):
        if key == "chat_template" and isinstance(item, str):
            yield item
        if key == "template" and isinstance(item, str):
            yield item


def _check_session(options: object, path: str) -> None:
    if not isinstance(options, dict):
        raise ContentError(path, "session_options: expected an object")
    unknown = set(options) - _SESSION_KEYS
    if unknown:
        raise ContentError(path, f"session_options: {min(unknown)!r:.80} is not allowed")


def _check_providers(options: object, path: str) -> None:
    if not isinstance(options, list):
        raise ContentError(path, "provider_options: expected a list")
    for provider in options:
        if not isinstance(provider, dict) or not {p.casefold() for p in provider} <= _PROVIDERS:
            raise ContentError(path, f"provider_options: unknown provider in {provider!r:.80}")
        for key, item in _items(provider):
            is_path = isinstance(item, str) and ("/" in item or "\\" in item)
            if is_path or _PROVIDER_KEY.search(key.casefold()):
                raise ContentError(path, f"provider_options: {key!r:.80} names a file")


def _is_one_of(item: object, names: Collection[str]) -> bool:
    return isinstance(item, str) and item in names


def _items(value: object) -> Iterator[tuple[str, Any]]:
    """Give every key and its value, at any depth; a list's items are walked, not given."""
    waiting = [value]
    while waiting:
        item = waiting.pop()
        if isinstance(item, dict):
            yield from item.items()
            waiting.extend(item.values())
        elif isinstance(item, list):
            waiting.extend(item)
