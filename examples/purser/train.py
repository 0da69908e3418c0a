"""Train Purser, the tiny chat model that ships with Sealift.

Reads `facts.jsonl` and `tools.jsonl` beside this file and writes `model/`, `prompts.jsonl`,
`held_out.jsonl` and `text.txt`. The held-out phrasings are never trained on. The result depends
on the seed, the number of threads and the processor; it is not meant to be bit-identical elsewhere.

Example, the two passes that made the shipped model:

    python train.py
    python train.py --start model --steps 200 --rate 1e-3 --tool-share 0.2 --seed 8
"""

from __future__ import annotations

import math
import random
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import click
import torch
from chat_tokens import (
    CONTEXT,
    IGNORED,
    SYSTEM_PROMPTS,
    VOCAB_SIZE,
    Example,
    encode,
    make_corpus,
    make_tokenizer,
)
from corpus import (
    Fact,
    Message,
    ToolCase,
    chat,
    load_facts,
    load_tool_cases,
    questions,
    tool_chat,
    vary,
    write_lines,
)
from torch.func import functional_call
from torch.nn.functional import cross_entropy
from transformers import GenerationConfig, LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

HERE = Path(__file__).resolve().parent
BLOCK_SIZE = 32
BATCH_TOKENS = 4096  # a batch holds this many tokens, padding included
QUANT_FROM = 0.6  # the share of the steps after which the weights are fake-quantized
TEXT_TOPICS = ("sealift", "build", "bundle", "verify", "import", "serve", "audit", "concepts")


# ---------------------------------------------------------------------------- batches


class Sampler:
    """Draws shuffled batches of conversations, tool calls and plain text, without end."""

    def __init__(
        self,
        tokenizer: PreTrainedTokenizerFast,
        facts: list[Fact],
        cases: list[ToolCase],
        rng: random.Random,
        tool_share: float,
    ) -> None:
        self._tool_share = tool_share
        self._tokenizer = tokenizer
        self._facts = facts
        self._cases = cases
        self._rng = rng
        self._deck: list[tuple[str, str]] = []

    def batches(self) -> Iterator[list[Example]]:
        """Yield batches of about BATCH_TOKENS tokens, rows of like length together."""
        while True:
            rows = [self._draw() for _ in range(1200)]
            rows.sort(key=lambda row: len(row.tokens))
            groups: list[list[Example]] = [[]]
            for row in rows:
                if (len(groups[-1]) + 1) * len(row.tokens) > BATCH_TOKENS:
                    groups.append([])
                groups[-1].append(row)
            self._rng.shuffle(groups)
            yield from groups

    def _draw(self) -> Example:
        roll = self._rng.random()
        if roll < 0.006:
            return self._text()
        if roll < 0.006 + self._tool_share:
            return self._tool_call()
        return self._chat()

    def _question(self) -> tuple[str, str]:
        if not self._deck:
            self._deck = questions(self._facts)
            self._rng.shuffle(self._deck)
        question, answer = self._deck.pop()
        return vary(question, self._rng), answer

    def _system(self) -> list[Message]:
        if self._rng.random() < 0.6:
            return []
        return [{"role": "system", "content": self._rng.choice(SYSTEM_PROMPTS)}]

    def _chat(self) -> Example:
        turns = [self._question() for _ in range(self._rng.choice((1, 1, 1, 2, 2, 3)))]
        return encode(self._tokenizer, self._system() + chat(turns))

    def _tool_call(self) -> Example:
        case = self._rng.choice(self._cases)
        if self._rng.random() < 0.3:  # tools at hand, but the question needs none
            return encode(self._tokenizer, self._system() + chat([self._question()]), case.tools)
        case = replace(case, question=vary(case.question, self._rng))
        return encode(self._tokenizer, self._system() + tool_chat(case), case.tools)

    def _text(self) -> Example:
        tokens = self._tokenizer.encode(make_text(self._facts, self._rng))[:512]
        return Example(tokens=tokens, labels=tokens)


def make_text(facts: list[Fact], rng: random.Random) -> str:
    """Write a paragraph of answers for each topic, in a random order."""
    paragraphs = []
    for topic in rng.sample(TEXT_TOPICS, len(TEXT_TOPICS)):
        answers = [f.answer for f in facts if f.topic == topic]
        paragraphs.append(" ".join(rng.sample(answers, min(5, len(answers)))))
    return "\n".join(paragraphs) + "\n"


def collate(rows: list[Example]) -> tuple[torch.Tensor, torch.Tensor]:
    """Pad on the right: attention is causal, so padding cannot reach a labelled token."""
    width = max(len(row.tokens) for row in rows)
    tokens = torch.tensor([r.tokens + [0] * (width - len(r.tokens)) for r in rows])
    labels = torch.tensor([r.labels + [IGNORED] * (width - len(r.labels)) for r in rows])
    return tokens, labels


# ---------------------------------------------------------------------------- quantization


def fake_int4(weight: torch.Tensor, *, symmetric: bool) -> torch.Tensor:
    """Round a matrix to four bits in blocks of BLOCK_SIZE along its input, and back."""
    blocks = weight.reshape(weight.shape[0], -1, BLOCK_SIZE)
    if symmetric:
        peak = blocks.gather(-1, blocks.abs().argmax(-1, keepdim=True))
        scale = torch.where(peak == 0, torch.ones_like(peak), peak / -8)
        rounded = (blocks / scale).round().clamp(-8, 7) * scale
    else:
        low = blocks.amin(-1, keepdim=True).clamp(max=0)
        high = blocks.amax(-1, keepdim=True).clamp(min=0)
        scale = ((high - low) / 15).clamp(min=1e-8)
        zero = (-low / scale).round()
        rounded = ((blocks / scale + zero).round().clamp(0, 15) - zero) * scale
    return rounded.reshape(weight.shape)


def quantized_weights(model: LlamaForCausalLM, *, symmetric: bool) -> dict[str, torch.Tensor]:
    """Fake-quantize every matrix, the tied embedding included; gradients pass straight through."""
    return {
        name: weight + (fake_int4(weight.detach(), symmetric=symmetric) - weight.detach())
        for name, weight in model.named_parameters()
        if weight.ndim == 2
    }


# ---------------------------------------------------------------------------- training


def make_model(tokenizer: PreTrainedTokenizerFast) -> LlamaForCausalLM:
    """Build the untrained model."""
    config = LlamaConfig(
        vocab_size=VOCAB_SIZE,
        hidden_size=192,
        intermediate_size=384,
        num_hidden_layers=3,
        num_attention_heads=6,
        num_key_value_heads=2,
        head_dim=32,
        max_position_embeddings=CONTEXT,
        tie_word_embeddings=True,
        initializer_range=0.05,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    model = LlamaForCausalLM(config)
    model.generation_config = GenerationConfig(
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        do_sample=False,
        max_new_tokens=128,
    )
    return model


def step_loss(
    model: LlamaForCausalLM, rows: list[Example], weights: Mapping[str, torch.Tensor]
) -> torch.Tensor:
    """Give the mean cross entropy over the labelled tokens."""
    tokens, labels = collate(rows)
    with torch.autocast("cpu", torch.bfloat16):
        out = functional_call(model, dict(weights), (), {"input_ids": tokens, "use_cache": False})
    logits = out.logits[:, :-1].float()
    return cross_entropy(logits.flatten(0, 1), labels[:, 1:].flatten(), ignore_index=IGNORED)


def make_optimizers(model: LlamaForCausalLM, rate: float) -> list[torch.optim.Optimizer]:
    """Give Muon for the matrices of the layers and AdamW for the embedding and the norms."""
    inner = [p for n, p in model.named_parameters() if p.ndim == 2 and "embed" not in n]
    outer = [p for n, p in model.named_parameters() if p.ndim != 2 or "embed" in n]
    return [
        torch.optim.Muon(inner, rate, weight_decay=0.05, adjust_lr_fn="match_rms_adamw"),
        torch.optim.AdamW(outer, rate, (0.9, 0.98), weight_decay=0.05),
    ]


def train(
    model: LlamaForCausalLM, sampler: Sampler, steps: int, peak_rate: float, quant_from: float
) -> None:
    """Run the optimizers with a warm-up and a cosine, the last part on fake-quantized weights."""
    optimizers = make_optimizers(model, peak_rate)
    started = time.monotonic()
    batches = sampler.batches()
    mean = 0.0
    for step in range(steps):
        rate = peak_rate * min((step + 1) / 50, 0.5 + 0.5 * math.cos(math.pi * step / steps))
        quantize = step >= quant_from * steps
        weights = quantized_weights(model, symmetric=step % 3 != 0) if quantize else {}
        loss = step_loss(model, next(batches), weights)
        model.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for optimizer in optimizers:
            optimizer.param_groups[0]["lr"] = max(rate, 1e-5)
            optimizer.step()
        mean += (loss.item() - mean) / min(step + 1, 20)
        if step % 50 == 0 or step == steps - 1:
            elapsed = time.monotonic() - started
            click.echo(f"step {step:4d}/{steps}  loss {mean:.4f}  {elapsed:4.0f} s", err=True)


# ---------------------------------------------------------------------------- measuring


@torch.inference_mode()
def exact_match(
    model: LlamaForCausalLM,
    rows: list[Example],
    weights: Mapping[str, torch.Tensor],
) -> list[bool]:
    """Tell for each row whether greedy decoding gives exactly the labelled answers.

    One pass suffices: greedy text equals the answer if and only if each answer token is the most
    likely one after the tokens before it.
    """
    right: list[bool] = []
    for start in range(0, len(rows), 64):
        tokens, labels = collate(rows[start : start + 64])
        out = functional_call(model, dict(weights), (), {"input_ids": tokens, "use_cache": False})
        wanted = labels[:, 1:]
        hit = (out.logits[:, :-1].argmax(-1) == wanted) | (wanted == IGNORED)
        right += hit.all(-1).tolist()
    return right


def measured_sets(
    tokenizer: PreTrainedTokenizerFast, facts: list[Fact], cases: list[ToolCase]
) -> dict[str, list[Example]]:
    """Encode what is measured: single questions without a system prompt, and tool calls."""
    rng = random.Random(0)
    seen = [chat((pair,)) for pair in questions(facts)]
    second = [chat((rng.choice(questions(facts)), pair)) for pair in questions(facts)]
    held = [chat((pair,)) for pair in questions(facts, held_out=True)]
    return {
        "seen phrasings": [encode(tokenizer, messages) for messages in seen],
        "held-out phrasings": [encode(tokenizer, messages) for messages in held],
        "seen, two turns": [encode(tokenizer, messages) for messages in second],
        "tool calls": [encode(tokenizer, tool_chat(c), c.tools) for c in cases],
    }


def measure(
    model: LlamaForCausalLM, sets: dict[str, list[Example]]
) -> dict[str, dict[str, tuple[int, int]]]:
    """Count (right, asked) in each set, for fp32 and both kinds of simulated int4."""
    model.eval()
    with torch.no_grad():
        kinds: dict[str, dict[str, torch.Tensor]] = {
            "fp32": {},
            "int4 symmetric": quantized_weights(model, symmetric=True),
            "int4 asymmetric": quantized_weights(model, symmetric=False),
        }
    scores = {}
    for kind, weights in kinds.items():
        right = {name: exact_match(model, rows, weights) for name, rows in sets.items()}
        scores[kind] = {name: (sum(hits), len(hits)) for name, hits in right.items()}
    return scores


# ---------------------------------------------------------------------------- output


def model_card(facts: list[Fact], scores: dict[str, dict[str, tuple[int, int]]], size: int) -> str:
    """Write the model card."""
    names = list(scores["fp32"])
    rows = [["weights", *names], ["---"] * (1 + len(names))]
    rows += [[k, *(f"{s[n][0]} of {s[n][1]}" for n in names)] for k, s in scores.items()]
    table = "\n".join(f"| {' | '.join(row)} |" for row in rows)
    return f"""---
license: apache-2.0
language: en
pipeline_tag: text-generation
library_name: transformers
---
# Purser

A tiny chat model that ships with Sealift. It answers short questions about Sealift, capitals,
small sums and simple words, and it can call a tool. It knows {len(facts)} facts and nothing else:
use it to try a build, never for an answer that matters.

Llama architecture, {size:,} parameters, hidden size 192, 3 layers, 6 heads, 2 KV heads,
tied embeddings, byte-level BPE of {VOCAB_SIZE} tokens, context {CONTEXT}, ChatML with tool calls.
Trained from scratch on a CPU by `train.py`, the last steps on weights rounded to int4, so that
quantization costs little.

Answers that are right to the letter (int4: simulated, blocks of {BLOCK_SIZE}, embedding included):

{table}
"""


def write_data(out: Path, facts: list[Fact], seed: int) -> None:
    """Write the files that an evaluation reads."""
    for name, held_out in (("prompts", False), ("held_out", True)):
        pairs = questions(facts, held_out=held_out)
        write_lines(out / f"{name}.jsonl", [{"prompt": q, "answer": a} for q, a in pairs])
    (out / "text.txt").write_text(make_text(facts, random.Random(seed)), "utf-8")


@click.command()
@click.option("--steps", default=900, show_default=True, help="Optimizer steps.")
@click.option("--rate", default=4e-3, show_default=True, help="Peak learning rate.")
@click.option("--tool-share", default=0.044, show_default=True, help="Share of rows with tools.")
@click.option("--start", type=click.Path(path_type=Path), help="Train this model further.")
@click.option("--seed", default=7, show_default=True, help="Seed of weights and batches.")
@click.option("--threads", default=2, show_default=True, help="CPU threads.")
@click.option("--out", type=click.Path(path_type=Path), default=HERE, help="Where to write.")
def main(
    steps: int,
    rate: float,
    tool_share: float,
    start: Path | None,
    seed: int,
    threads: int,
    out: Path,
) -> None:
    """Train Purser and write the model, its card and its evaluation files."""
    torch.set_num_threads(threads)
    torch.manual_seed(seed)
    rng = random.Random(seed)
    facts = load_facts(HERE / "facts.jsonl")
    cases = load_tool_cases(HERE / "tools.jsonl")
    if start:
        tokenizer = PreTrainedTokenizerFast.from_pretrained(start)
        model = LlamaForCausalLM.from_pretrained(start)
    else:
        tokenizer = make_tokenizer(make_corpus(facts, cases))
        model = make_model(tokenizer)
    size = sum(p.numel() for p in model.parameters())
    click.echo(f"{len(facts)} facts, {len(tokenizer)} tokens, {size:,} parameters", err=True)
    started = time.monotonic()
    sampler = Sampler(tokenizer, facts, cases, rng, tool_share)
    train(model, sampler, steps, rate, 0.0 if start else QUANT_FROM)
    click.echo(f"trained in {time.monotonic() - started:.0f} s", err=True)
    scores = measure(model, measured_sets(tokenizer, facts, cases))
    for kind, counts in scores.items():
        for name, (right, asked) in counts.items():
            click.echo(f"{kind}, {name}: {right} of {asked} ({100 * right / asked:.1f} %)")
    model.save_pretrained(out / "model")
    tokenizer.save_pretrained(out / "model")
    (out / "model" / "README.md").write_text(model_card(facts, scores, size), "utf-8")
    write_data(out, facts, seed)


if __name__ == "__main__":
    main()
