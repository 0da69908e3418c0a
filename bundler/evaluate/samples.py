"""What a model is asked in an evaluation: the recipe's lines, or a few of our own.

Lines are JSON objects: `{"prompt", "answer"?}` for chat, `{"text"}` for embed and classify,
`{"query", "document"}` for rerank.
"""

from dataclasses import dataclass
from pathlib import Path

import msgspec

from sealift.manifests import strict_json
from sealift.manifests.errors import ManifestError, RecipeError
from sealift.manifests.recipe import EvaluateSpec, Task

__all__ = ["Prompt", "Samples", "read_samples"]

_LINES_MAX = 100_000

_OWN_SENTENCES = (
    "The ferry leaves at seven and returns before dark.",
    "How do I reset the password of my account?",
    "Water boils at 100 degrees Celsius at sea level.",
    "The committee postponed its decision until next month.",
    "A short circuit burned out the pump last night.",
    "She plays the violin in a small orchestra.",
    "Install the update, then restart the server.",
    "Bread needs flour, water, salt and time.",
)
_OWN_PROMPTS = (
    "What is the capital of France?",
    "Write one sentence about the sea.",
    "List three colours.",
    "Explain in one sentence what a checksum is.",
)


class _ChatLine(msgspec.Struct, frozen=True):
    prompt: str
    answer: str | None = None


class _TextLine(msgspec.Struct, frozen=True):
    text: str


class _PairLine(msgspec.Struct, frozen=True):
    query: str
    document: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompt:
    """One sample: a text, the document beside it (rerank), the answer expected (chat)."""

    text: str
    document: str | None = None
    answer: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Samples:
    """Everything an evaluation reads."""

    prompts: tuple[Prompt, ...]
    text: str


def read_samples(task: Task, spec: EvaluateSpec, recipe_dir: Path) -> Samples:
    """Read the recipe's evaluation files.

    Raises:
        RecipeError: a file is missing, or a line is not of the task's form; with its number.
    """
    prompts = (
        _own_prompts(task) if spec.prompts is None else _read_lines(task, recipe_dir / spec.prompts)
    )
    if not prompts:
        raise RecipeError("evaluate.prompts: expected at least one line, got none")
    text = _read_text(recipe_dir / spec.text) if spec.text is not None else ""
    if not text and task is Task.CHAT and spec.prompts is None:
        text = " ".join(_OWN_SENTENCES)
    return Samples(prompts=prompts, text=text)


def _read_lines(task: Task, path: Path) -> tuple[Prompt, ...]:
    lines = [line for line in _read_text(path).splitlines() if line.strip()]
    if len(lines) > _LINES_MAX:
        raise RecipeError(f"{path.name}: expected at most {_LINES_MAX} lines, got {len(lines)}")
    found = []
    for number, line in enumerate(lines, 1):
        try:
            found.append(_prompt(task, line.encode()))
        except ManifestError as error:
            raise RecipeError(f"{path.name}:{number}: {error.message}") from error
    return tuple(found)


def _prompt(task: Task, line: bytes) -> Prompt:
    match task:
        case Task.CHAT:
            chat = strict_json.decode(line, _ChatLine, what="line")
            return Prompt(text=chat.prompt, answer=chat.answer)
        case Task.RERANK:
            pair = strict_json.decode(line, _PairLine, what="line")
            return Prompt(text=pair.query, document=pair.document)
        case _:
            return Prompt(text=strict_json.decode(line, _TextLine, what="line").text)


def _own_prompts(task: Task) -> tuple[Prompt, ...]:
    match task:
        case Task.CHAT:
            return tuple(Prompt(text=text) for text in _OWN_PROMPTS)
        case Task.RERANK:
            return tuple(Prompt(text=q, document=d) for q in _OWN_PROMPTS for d in _OWN_SENTENCES)
        case _:
            return tuple(Prompt(text=text) for text in _OWN_SENTENCES)


def _read_text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise RecipeError(f"evaluate: {path}: cannot be read: {error}") from error
