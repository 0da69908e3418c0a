"""Measure the engine: one command, every row a ratio of what ran in turns in this run.

    python bench/engine.py --cache ~/.cache/sealift-bench [--rounds 3] [--llama FOLDER] [--json]

Makes the Qwen2.5-0.5B shape with random weights once, in the cache folder, exports it int4 in
blocks of 128 as the bundler does, then runs each measurement in a process of its own: our engine,
onnxruntime-genai on the same folder, llama.cpp where the folder of its programs is given, and the
host's memory bandwidth. What else runs on the host lowers medians first: where it is not quiet,
trust the ratio of the best.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

os.environ["ORT_DISABLE_TELEMETRY"] = "1"
os.environ["HF_HUB_OFFLINE"] = "1"

import http_rate
import llama
import rates
import sharing
import speculation
from shape import SHAPE, VARIANT, prepare

Found = dict[str, list[float]]

CHILDREN: dict[str, Callable[[Path, int], Found]] = {
    "sealift": rates.measure_sealift,
    "genai": rates.measure_genai,
    "bandwidth": lambda folder, threads: rates.measure_bandwidth(threads),
    "prefix": sharing.measure_prefix,
    "interference": sharing.measure_interference,
    "form": sharing.measure_form,
    "speculation": speculation.measure_speculation,
    "http": http_rate.measure_http,
    "in_process": http_rate.measure_in_process,
}
#: What is compared takes turns within a round; the rest is a ratio of its own.
IN_TURNS = ("bandwidth", "sealift", "genai", "http", "in_process")
ONCE = ("prefix", "interference", "form", "speculation")


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One line of the table: what was found, best and median, and the bar."""

    name: str
    best: float
    median: float
    bar: float
    at_most: bool = False
    note: str = ""

    @property
    def is_met(self) -> bool:
        """True where the bar is reached, by the ratio of the best or by that of the medians."""
        values = (self.best, self.median)
        return min(values) <= self.bar if self.at_most else max(values) >= self.bar


def measure(arguments: argparse.Namespace, folder: Path, gguf: Path | None) -> dict[str, Found]:
    """Run every child as often as asked; return all that was found, by child and measure."""
    found: dict[str, Found] = {}
    for number in range(arguments.rounds):
        turn = IN_TURNS if number % 2 == 0 else IN_TURNS[::-1]
        for child in (*turn, *(ONCE if number == 0 else ())):
            if arguments.only and child not in arguments.only:
                continue
            _merge(found.setdefault(child, {}), _run_child(arguments, child))
        if gguf is not None:
            programs, threads = Path(arguments.llama), arguments.threads
            _merge(
                found.setdefault("llama", {}),
                llama.measure_llama(
                    gguf, programs, threads=threads, prompt=rates.PROMPT, prefill=rates.PREFILL,
                    batches=rates.BATCHES,
                ),
            )  # fmt: skip
    return found


def _run_child(arguments: argparse.Namespace, child: str) -> Found:
    command = [sys.executable, __file__, "--child", child, "--cache", arguments.cache]
    command += ["--threads", str(arguments.threads)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{child}: {done.stderr}")
    print(f"{child}: {done.stdout.strip()[:400]}", file=sys.stderr)
    result: Found = json.loads(done.stdout.splitlines()[-1])
    return result


def _merge(into: Found, more: Found) -> None:
    for name, values in more.items():
        into.setdefault(name, []).extend(values)


def rows(found: dict[str, Found], weight_bytes: int) -> Iterator[Row]:
    """Yield the table."""
    ours = found.get("sealift", {})
    if ours and "genai" in found:
        genai = found["genai"]
        yield _ratio("decode, 1 request / genai", ours["decode_1"], genai["decode_1"], 1.0)
        for batch in rates.BATCHES[1:]:
            name = f"decode_{batch}"
            yield _ratio(f"decode, {batch} ragged / genai, equal", ours[name], genai[name], 0.0)
    if ours and "bandwidth" in found:
        possible = [value / weight_bytes for value in found["bandwidth"]["bytes_per_s"]]
        yield _ratio("decode, 1 request / memory bandwidth", ours["decode_1"], possible, 0.70)
    if ours:
        yield _ratio("decode, 8 ragged / our 1", ours["decode_8"], ours["decode_1"], 3.0)
    if ours and "llama" in found:
        for name, bar in (("decode_8", 1.25), ("decode_1", 0.0), ("prefill", 0.0)):
            yield _ratio(f"{name} / llama.cpp Q4_0", ours[name], found["llama"][name], bar)
    if ours and "genai" in found:
        yield _ratio("prefill 512 / genai", ours["prefill"], found["genai"]["prefill"], 1.2)
    if "http" in found and "in_process" in found:
        http, inside = found["http"]["rate"], found["in_process"]["rate"]
        yield _ratio("HTTP, 8 streams / the engine alone", http, inside, 0.95)
    for child, measure_name, title, bar, at_most in (
        ("prefix", "ratio", "2,000-token shared prefix: first token / cold", 0.10, True),
        ("interference", "ratio", "2,000-token prompt among 7 streams: p99 / p50", 3.0, True),
        ("speculation", "copying", "guessing ahead, copying work / plain", 1.8, False),
        ("speculation", "other", "guessing ahead, other work / plain", 0.97, False),
        ("form", "ratio_8", "JSON Schema on, 8 requests / off", 0.95, False),
        ("form", "ratio_1", "JSON Schema on, 1 request / off", 0.95, False),
    ):
        if child in found:
            values = found[child][measure_name]
            best = min(values) if at_most else max(values)
            median = statistics.median(values)
            yield Row(name=title, best=best, median=median, bar=bar, at_most=at_most)


def _ratio(name: str, ours: list[float], theirs: list[float], bar: float) -> Row:
    return Row(
        name=name,
        best=max(ours) / max(theirs),
        median=statistics.median(ours) / statistics.median(theirs),
        bar=bar,
        note=f"{max(ours):.0f} / {max(theirs):.0f}",
    )


def table(lines: list[Row]) -> Iterator[str]:
    """Yield the lines of a Markdown table."""
    yield "| | of the best | of the medians | bar | best, tokens/s |"
    yield "|---|---|---|---|---|"
    for row in lines:
        sign = "≤" if row.at_most else "≥"
        bar = f"{sign} {row.bar:g}{'' if row.is_met else ' **missed**'}" if row.bar else ""
        yield f"| {row.name} | {row.best:.2f} | {row.median:.2f} | {bar} | {row.note} |"


def main() -> None:
    """Make what is missing, measure, print."""
    from sealift.runtime.engine.host import physical_cores

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cache", required=True, help="folder for the model, 1.7 GB")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=physical_cores())
    parser.add_argument("--llama", help="folder with llama.cpp's programs")
    parser.add_argument("--only", nargs="*", choices=CHILDREN, help="these measurements alone")
    parser.add_argument("--json", help="file for all that was found")
    parser.add_argument("--child", choices=CHILDREN, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    cache = Path(arguments.cache).expanduser()
    folder = prepare(cache)
    if arguments.child is not None:
        print(json.dumps(CHILDREN[arguments.child](folder, arguments.threads)))
        return
    gguf = None
    if arguments.llama:
        programs = Path(arguments.llama)
        gguf = llama.make_gguf(cache / "checkpoint", SHAPE, cache / "gguf", programs)
    found = measure(arguments, folder, gguf)
    if arguments.json:
        Path(arguments.json).write_text(json.dumps({"threads": arguments.threads, "runs": found}))
    weight_bytes = (folder / VARIANT / "model.onnx.data").stat().st_size
    print("\n".join(table(list(rows(found, weight_bytes)))))


if __name__ == "__main__":
    main()
