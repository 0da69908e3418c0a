"""How long a verified model takes to load, with the cache of prepacked weights and without.

    python bench/load.py --cache ~/.cache/sealift-bench [--rounds 7] [--json]

Each load is a new process, everything it reads is in the page cache, and every byte it uses is
verified. Loads with and without an entry of the cache take turns. Measured are the time from after
Python's imports to the first token of an answer, the time of the whole process to that token, and
what is resident then: memory of the process's own, which only swap could take away, and pages of
mapped files, which the kernel may drop. What else runs on the host lengthens medians first: where
it is not quiet, trust the minima.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
from shape import describe, prepare

os.environ["ORT_DISABLE_TELEMETRY"] = "1"

KINDS = ("without", "with")
TIMES = ("first_token_s", "process_s", "load_s", "verify_s")
SIZES = ("own_mb", "file_mb", "peak_mb")
KEY = bytes(range(32))
_STATUS = Path("/proc/self/status")


def measure() -> dict[str, Any]:
    """Load the model that standard input names and answer up to a first token; in a child."""
    from datetime import datetime

    import numpy  # noqa: F401  (imported before the clock runs, as is all that follows)
    import onnxruntime  # noqa: F401

    from sealift.runtime.engine.load.model import load_model
    from sealift.runtime.engine.prepack_spec import PrepackJob
    from sealift.runtime.engine.request import ChatMessage, Generate, SamplingParams
    from sealift.runtime.engine.worker.service import generator_of

    given = msgspec.msgpack.decode(sys.stdin.buffer.read(), type=dict)
    job = msgspec.convert(given["job"], PrepackJob)
    started = time.perf_counter()
    model, report = load_model(
        job.source,
        job.settings,
        now=datetime.now,
        cache=job.cache if given["kind"] == "with" else None,
    )
    generator = generator_of(model, job.settings)
    message = ChatMessage(role="user", content="hello")
    greedy = SamplingParams(temperature=0.0)
    request = Generate(id=1, messages=(message,), sampling=greedy, max_tokens=1)
    generator.submit(*model.prepare(request))
    while not generator.step():
        pass
    first_token_s = time.perf_counter() - started
    if report.is_prepacked is not (given["kind"] == "with"):
        raise SystemExit(f"the cache's entry was not used: {report.prepack_problem}")
    return {
        "first_token_s": first_token_s,
        "process_s": time.time() - given["spawned_at_s"],
        "load_s": report.load_s,
        "verify_s": report.verify_s,
        **_memory(),
    }


def _memory() -> dict[str, float]:
    fields = dict(line.split(":", 1) for line in _STATUS.read_text().splitlines())
    names = {"own_mb": "RssAnon", "file_mb": "RssFile", "peak_mb": "VmHWM"}
    return {name: int(fields[field].split()[0]) * 1024 / 1e6 for name, field in names.items()}


def run(kind: str, job: Any) -> dict[str, float]:
    """Measure once, in a new process."""
    given = {"kind": kind, "job": job, "spawned_at_s": time.time()}
    command = [sys.executable, __file__, "--child"]
    data = msgspec.msgpack.encode(given)
    done = subprocess.run(command, input=data, capture_output=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr.decode())
    found: dict[str, float] = json.loads(done.stdout)
    return found


def take_turns(job: Any, rounds: int) -> dict[str, list[dict[str, float]]]:
    """Run both kinds, one after the other, after a first round that does not count."""
    runs: dict[str, list[dict[str, float]]] = {kind: [] for kind in KINDS}
    for number in range(rounds + 1):
        for kind in KINDS if number % 2 else KINDS[::-1]:
            found = run(kind, job)
            if number:
                runs[kind].append(found)
    return runs


def summarize(runs: dict[str, list[dict[str, float]]]) -> dict[str, dict[str, float]]:
    """Return minimum and median of each kind, and the ratio of each."""
    summary = {}
    for name in (*TIMES, *SIZES):
        row = {}
        for how, pick in (("min", min), ("median", statistics.median)):
            for kind in KINDS:
                row[f"{kind}_{how}"] = pick([one[name] for one in runs[kind]])
            row[f"ratio_{how}"] = row[f"with_{how}"] / row[f"without_{how}"]
        summary[name] = row
    return summary


def table(summary: dict[str, dict[str, float]]) -> Iterator[str]:
    """Yield the lines of a Markdown table."""
    yield "| | without, min | median | with, min | median | ratio of min | of medians |"
    yield "|---|---|---|---|---|---|---|"
    for name, row in summary.items():
        form = "{:.0f}" if name in SIZES else "{:.3f}"
        cells = [form.format(row[f"{kind}_{how}"]) for kind in KINDS for how in ("min", "median")]
        cells += [f"{row[f'ratio_{how}']:.2f}" for how in ("min", "median")]
        yield f"| {name} | {' | '.join(cells)} |"


def main() -> None:
    """Make what is missing, fill the cache, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cache", help="folder for the model, 1.7 GB; an entry takes 0.6 GB")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--threads", type=int, help="default: one a physical core")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        print(json.dumps(measure()))
        return
    from sealift.runtime.engine.prepack.key import spec_for
    from sealift.runtime.engine.prepack.writer import write_prepacked
    from sealift.runtime.engine.prepack_spec import PrepackJob, PrepackSettings
    from sealift.runtime.engine.settings import EngineSettings

    cache = Path(arguments.cache or "~/.cache/sealift-bench").expanduser()
    source = describe(prepare(cache))
    with tempfile.TemporaryDirectory(dir=cache) as folder:
        spec = spec_for(PrepackSettings(folder=folder, key=KEY), source.digest)
        settings = EngineSettings(context_length=2048, threads=arguments.threads)
        job = PrepackJob(source=source, settings=settings, cache=spec)
        entry_bytes = write_prepacked(job)
        runs = take_turns(job, arguments.rounds)
    summary = summarize(runs)
    if arguments.json:
        print(json.dumps({"entry_bytes": entry_bytes, "runs": runs, "summary": summary}))
    else:
        print("\n".join(table(summary)))


if __name__ == "__main__":
    main()
