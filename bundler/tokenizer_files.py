"""The tokenizer and its papers in a variant folder, checked with the library that will serve it.

Guarantees: `tokenizer.json` loads with `tokenizers` alone, and a chat variant has its template as
`chat_template.jinja` whichever of its three hiding places the source used.
"""

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeGuard

from sealift.bundler.errors import SourceError
from sealift.manifests.recipe import Task

__all__ = [
    "CHAT_TEMPLATE_FILE",
    "TOKENIZER_FILE",
    "TokenizerFacts",
    "sentence_limit",
    "write_tokenizer",
]

TOKENIZER_FILE = "tokenizer.json"
CHAT_TEMPLATE_FILE = "chat_template.jinja"

_COPIED = (
    TOKENIZER_FILE,
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "config.json",
    "generation_config.json",
)
_SPECIAL = ("bos_token", "eos_token", "pad_token", "unk_token")
# A tokenizer without a limit of its own says so with a huge number.
_MAX_LENGTH_SANE = 1 << 24


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenizerFacts:
    """What `serving.json` says of a tokenizer."""

    special_tokens: dict[str, str]
    eos_token_ids: tuple[int, ...]
    pad_token_id: int
    max_length: int | None
    vocab_size: int


def write_tokenizer(source: Path, out: Path, task: Task) -> TokenizerFacts:
    """Copy the tokenizer's files and, for a chat model, write its template out.

    Raises:
        SourceError: no fast tokenizer, one that does not load, or no chat template.
    """
    tokenizer = _load_tokenizer(source)
    for name in _COPIED:
        if (source / name).is_file():
            shutil.copyfile(source / name, out / name)
    if task is Task.CHAT:
        (out / CHAT_TEMPLATE_FILE).write_text(_chat_template(source), encoding="utf-8")
    special = _special_tokens(source)
    length = _read_json(source / "tokenizer_config.json").get("model_max_length")
    max_length = int(length) if isinstance(length, (int, float)) else 0
    return TokenizerFacts(
        special_tokens=special,
        eos_token_ids=_eos_ids(source, tokenizer, special),
        pad_token_id=_pad_id(source, tokenizer, special),
        max_length=max_length if 0 < max_length < _MAX_LENGTH_SANE else None,
        vocab_size=tokenizer.get_vocab_size(with_added_tokens=True),
    )


def sentence_limit(source: Path) -> int | None:
    """How many tokens sentence-transformers lets the model read, where it says so."""
    limit = _read_json(source / "sentence_bert_config.json").get("max_seq_length")
    return limit if isinstance(limit, int) and limit > 0 else None


def _load_tokenizer(source: Path) -> Any:
    from tokenizers import Tokenizer

    path = source / TOKENIZER_FILE
    if not path.is_file():
        raise SourceError(
            f"{TOKENIZER_FILE}: expected a fast tokenizer, got none",
            hint="convert it where the model is trusted: "
            "AutoTokenizer.from_pretrained(…).save_pretrained(…) writes tokenizer.json",
        )
    try:
        return Tokenizer.from_file(str(path))
    except Exception as error:  # the library raises bare Exception, nothing narrower
        raise SourceError(f"{TOKENIZER_FILE}: cannot be loaded: {error}") from error


def _chat_template(source: Path) -> str:
    path = source / CHAT_TEMPLATE_FILE
    if path.is_file():
        return path.read_text(encoding="utf-8")
    for name in ("chat_template.json", "tokenizer_config.json"):
        template = _read_json(source / name).get("chat_template")
        if isinstance(template, list):
            named = {t.get("name"): t.get("template") for t in template if isinstance(t, dict)}
            template = named.get("default")
        if isinstance(template, str):
            return template
    raise SourceError(
        "chat template: expected one in chat_template.jinja or tokenizer_config.json, got none",
        hint="a base model answers no chats; use its instruct version, or add chat_template.jinja",
    )


def _special_tokens(source: Path) -> dict[str, str]:
    found: dict[str, str] = {}
    for name in ("special_tokens_map.json", "tokenizer_config.json"):
        config = _read_json(source / name)
        for key in _SPECIAL:
            value = config.get(key)
            value = value.get("content") if isinstance(value, dict) else value
            if isinstance(value, str):
                found[key] = value
    return found


def _eos_ids(source: Path, tokenizer: Any, special: dict[str, str]) -> tuple[int, ...]:
    ids: set[int] = set()
    for name in ("generation_config.json", "config.json"):
        value = _read_json(source / name).get("eos_token_id")
        ids.update(i for i in (value if isinstance(value, list) else [value]) if _is_id(i))
    # A chat model ends its turn with the tokenizer's own mark, which configurations often forget.
    turn_end = tokenizer.token_to_id(special["eos_token"]) if "eos_token" in special else None
    if turn_end is not None:
        ids.add(turn_end)
    return tuple(sorted(ids))


def _pad_id(source: Path, tokenizer: Any, special: dict[str, str]) -> int:
    if "pad_token" in special:
        found = tokenizer.token_to_id(special["pad_token"])
        if found is not None:
            return int(found)
    value = _read_json(source / "config.json").get("pad_token_id")
    return value if _is_id(value) else 0


def _is_id(value: object) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _read_json(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    value = json.loads(path.read_bytes())
    return value if isinstance(value, dict) else {}
