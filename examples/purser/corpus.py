"""What Purser learns: facts and tool conversations, read from the JSONL files beside this one."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

Message = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """One answer and the questions that lead to it."""

    topic: str
    answer: str
    seen: tuple[str, ...]
    held_out: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolCase:
    """A question asked with tools at hand, the call it needs and the answer after the call."""

    tools: list[dict[str, Any]]
    question: str
    call: dict[str, Any]
    result: str
    answer: str


def read_lines(path: Path) -> list[dict[str, Any]]:
    """Read a JSONL file."""
    return [json.loads(line) for line in path.read_text("utf-8").splitlines() if line]


def write_lines(path: Path, rows: list[dict[str, str]]) -> None:
    """Write a JSONL file."""
    text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    path.write_text(text, "utf-8")


def load_facts(path: Path) -> list[Fact]:
    """Load the facts and refuse a question that has two answers."""
    facts = []
    owner: dict[str, str] = {}
    for row in read_lines(path):
        fact = Fact(
            topic=row["topic"],
            answer=row["answer"],
            seen=tuple(row["seen"]),
            held_out=tuple(row["held_out"]),
        )
        for question in fact.seen + fact.held_out:
            if owner.setdefault(question.lower(), row["id"]) != row["id"]:
                raise click.ClickException(f"{row['id']}: asked elsewhere too: {question}")
        if set(fact.seen) & set(fact.held_out):
            raise click.ClickException(f"{row['id']}: a held-out phrasing is also seen")
        facts.append(fact)
    return facts


def load_tool_cases(path: Path) -> list[ToolCase]:
    """Load the tool conversations, one case for each question of a line."""
    return [
        ToolCase(
            tools=row["tools"],
            question=question,
            call=row["call"],
            result=row["result"],
            answer=row["answer"],
        )
        for row in read_lines(path)
        for question in row["seen"]
    ]


def questions(facts: list[Fact], *, held_out: bool = False) -> list[tuple[str, str]]:
    """Pair every question with its answer."""
    return [(q, f.answer) for f in facts for q in (f.held_out if held_out else f.seen)]


def chat(turns: Sequence[tuple[str, str]]) -> list[Message]:
    """Lay out question/answer pairs as the messages of one conversation."""
    messages: list[Message] = []
    for question, answer in turns:
        messages.append({"role": "user", "content": question})
        messages.append({"role": "assistant", "content": answer})
    return messages


def tool_chat(case: ToolCase) -> list[Message]:
    """Lay out a tool case as question, call, result and answer."""
    return [
        {"role": "user", "content": case.question},
        {"role": "assistant", "content": "", "tool_calls": [case.call]},
        {"role": "tool", "content": case.result},
        {"role": "assistant", "content": case.answer},
    ]


def vary(question: str, rng: random.Random) -> str:
    """Type the question a little differently, as people do."""
    roll = rng.random()
    if roll < 0.70:
        return question
    if roll < 0.80:
        return question.lower()
    bare = question.rstrip("?.!")
    if roll < 0.90:
        return bare
    if roll < 0.95:
        return bare.lower()
    return rng.choice(("Please tell me: ", "A question: ", "Hello! ", "Purser, ")) + question
