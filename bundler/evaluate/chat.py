"""A chat model against its reference: token distributions, perplexity, greedy answers.

Prompts go through the variant's own `tokenizer.json` and `chat_template.jinja`, as they will when
served, so that a broken tokenizer or template cannot hide. The answers come from the serving graph
with its cache, the distributions from the untouched graph.

Metrics: `kl` (nats, mean over every measured position), `top1_agreement`, `perplexity` and
`perplexity_fp32` on the recipe's text, `same_answer` (share of greedy answers equal to the
reference's) and, where lines carry an answer, `exact_match` and `exact_match_fp32` (share equal to
it, of the variant and of the reference). `exact_of_fp32` is what `min_exact` limits:
`exact_match` as a share of `exact_match_fp32`, or `same_answer` where no answers are given.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from sealift.bundler.errors import SourceError
from sealift.bundler.evaluate.metrics import TokenTally, exact_share
from sealift.bundler.evaluate.reference import TorchDecoder
from sealift.bundler.evaluate.samples import Samples
from sealift.bundler.evaluate.sessions import FullLogits, GreedyDecoder
from sealift.bundler.export.serving_graph import SERVING_GRAPH
from sealift.bundler.tokenizer_files import CHAT_TEMPLATE_FILE, TOKENIZER_FILE
from sealift.manifests.progress import Advance
from sealift.manifests.serving import DecoderShape, ServingConfig

__all__ = ["ChatEvaluation"]

Answer = tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Bounds:
    new_tokens: int = 64
    new_tokens_most: int = 256
    prompt_tokens: int = 1024
    rows: int = 64
    cache_bytes: int = 512 << 20
    window_tokens: int = 256
    text_tokens: int = 8192
    scored_answers: int = 256


_BOUNDS = _Bounds()
_FLOAT_BYTES = 4


class _Generator(Protocol):
    def generate(
        self, rows: list[list[int]], *, new_tokens: int, eos: frozenset[int]
    ) -> list[Answer]: ...


class ChatEvaluation:
    """One model's samples and reference; the reference answers are computed once for all variants.

    Args:
        reference: the fp32 model.
        samples: what it is asked.
        variant: any exported variant's folder, for tokenizer and template.
        config: that variant's serving configuration.
    """

    def __init__(
        self, reference: TorchDecoder, samples: Samples, variant: Path, config: ServingConfig
    ) -> None:
        self._reference = reference
        self._samples = samples
        self._eos = frozenset(config.eos_token_ids)
        tokens = _Tokens(variant, config)
        self._tokens = tokens
        longest = min(_BOUNDS.prompt_tokens, config.max_length // 2)
        self._prompts = [tokens.chat(prompt.text)[-longest:] for prompt in samples.prompts]
        answers = (tokens.count(p.answer) for p in samples.prompts if p.answer is not None)
        # Room for every expected answer and its end token, within reason.
        self._new_tokens = min(max(_BOUNDS.new_tokens, *answers, 0), _BOUNDS.new_tokens_most)
        self._room = min(config.max_length, max(map(len, self._prompts)) + self._new_tokens)
        self._shape = _shape(config)
        self._rows = _rows(self._shape, self._room)
        self._windows = tokens.windows(samples.text)
        self._answers: list[Answer] | None = None

    def measure(self, folder: Path, advance: Advance) -> dict[str, float]:
        """Measure one variant folder; `advance` counts prompts and windows."""
        wanted = self._reference_answers(advance)
        tally = self._tally(FullLogits(folder / "model.onnx", self._shape), wanted, advance)
        decoder = GreedyDecoder(
            folder / SERVING_GRAPH, self._shape, rows=self._rows, max_length=self._room
        )
        found = self._generate(decoder, advance)
        return {**tally.metrics(), **self._exact(found, wanted)}

    @property
    def sample_counts(self) -> dict[str, int]:
        """How much was measured."""
        return {
            "prompts": len(self._prompts),
            "text_tokens": sum(map(len, self._windows)),
        }

    @property
    def total(self) -> int:
        """How far `advance` counts for the first variant."""
        return 2 * len(self._prompts) + len(self._windows) + len(self._scored())

    def _reference_answers(self, advance: Advance) -> list[Answer]:
        if self._answers is None:
            self._answers = self._generate(self._reference, advance)
        else:
            advance(len(self._prompts))
        return self._answers

    def _generate(self, generator: _Generator, advance: Advance) -> list[Answer]:
        answers: dict[int, Answer] = {}
        for batch in _equal_lengths(self._prompts, self._rows):
            rows = [self._prompts[index] for index in batch]
            room = self._room - len(rows[0])
            limit = min(self._new_tokens, room)
            found = generator.generate(rows, new_tokens=limit, eos=self._eos)
            answers.update(zip(batch, found, strict=True))
            advance(len(batch))
        return [answers[index] for index in range(len(self._prompts))]

    def _scored(self) -> list[int]:
        # Spread over the whole file, not its first lines only.
        step = max(1, -(-len(self._prompts) // _BOUNDS.scored_answers))
        return list(range(0, len(self._prompts), step))

    def _tally(self, graph: FullLogits, answers: list[Answer], advance: Advance) -> TokenTally:
        tally = TokenTally()
        for window in self._windows:
            reference, found = self._reference.logits(window), graph(window)
            tally.add(reference[:-1], found[:-1], window[1:])
            advance(1)
        for index in self._scored():
            prompt, answer = self._prompts[index], list(answers[index])
            ids = [*prompt, *answer]
            first = len(prompt) - 1
            tally.add(self._reference.logits(ids)[first:], graph(ids)[first:])
            advance(1)
        return tally

    def _exact(self, found: list[Answer], wanted: list[Answer]) -> dict[str, float]:
        metrics = {"same_answer": exact_share(found, wanted)}
        known = [(i, p.answer) for i, p in enumerate(self._samples.prompts) if p.answer is not None]
        if known:
            answers = [answer.strip() for _, answer in known]
            for name, rows in (("exact_match", found), ("exact_match_fp32", wanted)):
                texts = [self._tokens.text(rows[index]) for index, _ in known]
                metrics[name] = exact_share(texts, answers)
        best = metrics.get("exact_match_fp32", 0.0)
        metrics["exact_of_fp32"] = (
            min(metrics["exact_match"] / best, 1.0) if best else metrics["same_answer"]
        )
        return metrics


class _Tokens:
    """Text to token ids and back, with the variant's own files."""

    def __init__(self, variant: Path, config: ServingConfig) -> None:
        from tokenizers import Tokenizer

        self._tokenizer: Any = Tokenizer.from_file(str(variant / TOKENIZER_FILE))
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        self._template = (variant / CHAT_TEMPLATE_FILE).read_text(encoding="utf-8")
        self._special = dict(config.special_tokens)

    def chat(self, prompt: str) -> list[int]:
        """One user message, rendered with the generation prompt."""
        from jinja2 import TemplateError
        from transformers.utils.chat_template_utils import render_jinja_template

        try:
            (text,), _ = render_jinja_template(
                [[{"role": "user", "content": prompt}]],
                chat_template=self._template,
                add_generation_prompt=True,
                **self._special,
            )
        except TemplateError as error:
            raise SourceError(f"{CHAT_TEMPLATE_FILE}: cannot be rendered: {error}") from error
        ids: list[int] = self._tokenizer.encode(text, add_special_tokens=False).ids
        return ids

    def windows(self, text: str) -> list[list[int]]:
        """A text in windows, each with the marks (a BOS) that the tokenizer puts before text."""
        marks: list[int] = self._tokenizer.encode("").ids
        marks = marks[:1] if marks[:1] and len(marks) < _BOUNDS.window_tokens else []
        ids: list[int] = self._tokenizer.encode(text, add_special_tokens=False).ids
        ids = ids[: _BOUNDS.text_tokens]
        size = _BOUNDS.window_tokens
        cut = (marks + ids[start : start + size] for start in range(0, len(ids), size))
        return [window for window in cut if len(window) > 1]

    def count(self, text: str) -> int:
        """How many tokens an answer takes, its end token included."""
        return len(self._tokenizer.encode(text, add_special_tokens=False).ids) + 1

    def text(self, ids: Answer) -> str:
        """An answer as text, without special tokens."""
        return str(self._tokenizer.decode(list(ids), skip_special_tokens=True)).strip()


def _shape(config: ServingConfig) -> DecoderShape:
    if config.decoder is None:
        raise SourceError("serving.json: expected a decoder")
    return config.decoder


def _rows(shape: DecoderShape, length: int) -> int:
    row_bytes = 2 * shape.layers * shape.kv_heads * shape.head_size * length * _FLOAT_BYTES
    return max(1, min(_BOUNDS.rows, _BOUNDS.cache_bytes // row_bytes))


def _equal_lengths(prompts: Sequence[Sequence[int]], rows: int) -> list[list[int]]:
    """Indices in batches of one length each: no padding, so no padding to get wrong."""
    by_length: dict[int, list[int]] = {}
    for index, prompt in enumerate(prompts):
        by_length.setdefault(len(prompt), []).append(index)
    return [
        indices[start : start + rows]
        for _, indices in sorted(by_length.items())
        for start in range(0, len(indices), rows)
    ]
