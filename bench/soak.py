"""Ten thousand short requests, as careless as clients are: does anything leak, does anything stick?

    python bench/soak.py --cache ~/.cache/sealift-bench [--requests 10000] [--clients 16]

Three chat models with random weights behind one real server whose memory holds two of them, so that
they take turns; one of them is pinned. Requests are drawn at random: whole or streamed, one answer
or several, free or with a schema, tools, log probabilities, too long, malformed, and one in six is
dropped by its client at a random moment. Printed are the outcomes and the resident memory of the
server and of the pinned model's process, after warming up and at the end.
"""

import argparse
import asyncio
import collections
import json
import os
import random
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

os.environ["ORT_DISABLE_TELEMETRY"] = "1"
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import aiohttp
import psutil

MODELS = ("llama", "qwen2.5", "qwen3")
PINNED = MODELS[0]
MEMORY_MB = 200
TIMEOUT_S = 120
SCHEMA = {
    "type": "object",
    "properties": {"name": {"type": "string", "maxLength": 8}, "count": {"type": "integer"}},
    "required": ["name", "count"],
    "additionalProperties": False,
}
TOOL = {"type": "function", "function": {"name": "look_up", "parameters": SCHEMA}}
TEMPLATE = (
    "{% if tools %}<tool_call>{{ tools | tojson }}</tool_call>{% endif %}"
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "<|im_start|>assistant\n"
)


def make_models(cache: Path) -> dict[str, Path]:
    """Export the miniatures that are missing; return their folders."""
    from sealift.bundler.export.decoder import export_decoder
    from sealift.bundler.plan import Route, VariantPlan
    from sealift.manifests.recipe import Precision, Task, VariantSpec
    from sealift.manifests.serving import SERVING_FILE, DecoderShape, ServingConfig
    from tests.bundler.miniatures import save_decoder

    folders = {}
    for family in MODELS:
        folder = folders[family] = cache / "soak" / family / "model"
        if folder.exists():
            continue
        variant = folder / "cpu-fp32"
        variant.mkdir(parents=True)
        source = save_decoder(family, folder.parent / "checkpoint")
        plan = VariantPlan(
            spec=VariantSpec(precision=Precision.FP32), task=Task.CHAT, route=Route.GENAI
        )
        export_decoder(source, variant, plan)
        (variant / "tokenizer.json").write_bytes((source / "tokenizer.json").read_bytes())
        (variant / "chat_template.jinja").write_text(TEMPLATE)
        config = ServingConfig(
            task=Task.CHAT,
            precision=Precision.FP32,
            graph="model.serving.onnx",
            max_length=512,
            eos_token_ids=(2,),
            chat_template="chat_template.jinja",
            decoder=DecoderShape(
                layers=2, kv_heads=2, head_size=32 if family == "qwen3" else 16, vocab_size=2048
            ),
        )
        (variant / SERVING_FILE).write_bytes(config.encode())
    return folders


def draw(random_: random.Random) -> dict[str, Any]:
    """Return the body of a request."""
    words = " ".join(
        random_.choice(["red", "blue", "old", "new", "stone", "river"]) for _ in range(12)
    )
    system = {"role": "system", "content": "You are brief. " * random_.choice([1, 1, 8])}
    body: dict[str, Any] = {
        "model": random_.choices(MODELS, (6, 3, 1))[0],
        "messages": [system, {"role": "user", "content": words}],
        "max_tokens": random_.randint(1, 24),
        "temperature": random_.choice([0, 0, 0.8]),
        "stream": random_.random() < 0.6,
    }
    kind = random_.random()
    if kind < 0.2:
        form = {"type": "json_schema", "json_schema": {"name": "n", "schema": SCHEMA}}
        body["response_format"] = form
    elif kind < 0.3:
        body["tools"], body["tool_choice"] = [TOOL], random_.choice(["auto", "required"])
    elif kind < 0.4:
        body["n"] = random_.randint(2, 4)
    elif kind < 0.5:
        body["logprobs"], body["top_logprobs"] = True, 3
    elif kind < 0.53:
        body["messages"][1]["content"] = words * 40
    elif kind < 0.55:
        body["temperature"] = "hot"
    return body


async def client(url: str, left: list[int], outcomes: collections.Counter[str], seed: int) -> None:
    """Send requests until none are left."""
    random_ = random.Random(seed)
    timeout = aiohttp.ClientTimeout(total=TIMEOUT_S)
    async with aiohttp.ClientSession(url, timeout=timeout) as session:
        while left[0] > 0:
            left[0] -= 1
            body = draw(random_)
            patience_s = random_.random() * 0.3 if random_.random() < 1 / 6 else TIMEOUT_S
            try:
                async with asyncio.timeout(patience_s):
                    outcomes[await ask(session, body)] += 1
            except TimeoutError:
                outcomes["dropped" if patience_s < TIMEOUT_S else "STUCK"] += 1


async def ask(session: aiohttp.ClientSession, body: dict[str, Any]) -> str:
    """Send one request and read all of the answer; return what became of it."""
    async with session.post("/v1/chat/completions", json=body) as response:
        data = await response.read()
    if response.status != 200:
        return f"{response.status} {json.loads(data)['error']['code']}"
    if body["stream"]:
        return "200 stream" if data.endswith(b"data: [DONE]\n\n") else "BROKEN STREAM"
    choices = json.loads(data)["choices"]
    for choice in choices:
        if "response_format" in body and choice["finish_reason"] == "stop":
            json.loads(choice["message"]["content"])
    return "200 whole"


async def run(arguments: argparse.Namespace, url: str, pid: int) -> dict[str, Any]:
    """Send the requests and watch the memory."""
    outcomes: collections.Counter[str] = collections.Counter()
    left = [arguments.requests]
    started = time.monotonic()
    tasks = [
        asyncio.create_task(client(url, left, outcomes, seed)) for seed in range(arguments.clients)
    ]
    samples = []
    warm = arguments.requests * 3 // 4
    while not all(task.done() for task in tasks):
        await asyncio.sleep(1)
        if left[0] < warm:
            samples.append(_resident(pid))
    await asyncio.gather(*tasks)
    seconds = time.monotonic() - started
    async with aiohttp.ClientSession(url) as session, session.get("/v1/models") as answer:
        states = {card["id"]: card["state"] for card in (await answer.json())["data"]}
    last = samples[-max(1, len(samples) // 10) :]
    first = samples[: max(1, len(samples) // 10)]
    growth = [
        sum(sample[place] for sample in last) / len(last)
        / (sum(sample[place] for sample in first) / len(first))
        for place in range(2)
    ]  # fmt: skip
    return {
        "requests": arguments.requests,
        "seconds": round(seconds),
        "outcomes": dict(outcomes.most_common()),
        "states": states,
        "server_mb": [round(first[0][0]), round(last[-1][0])],
        "worker_mb": [round(first[0][1]), round(last[-1][1])],
        "growth": {"server": round(growth[0], 3), "worker": round(growth[1], 3)},
    }


def _resident(pid: int) -> tuple[float, float]:
    """Return the megabytes of the server and of its oldest worker, the pinned model's."""
    server = psutil.Process(pid)
    workers = []
    for child in server.children():
        try:
            workers.append((child.create_time(), child.memory_info().rss / 1e6))
        except psutil.NoSuchProcess:
            continue  # one that was just unloaded
    return server.memory_info().rss / 1e6, min(workers)[1]


def serve(cache: Path) -> None:
    """Serve the models with the real application and the real audit log."""
    import tempfile

    from http_rate import Catalogue
    from shape import describe

    from sealift.runtime.api import ServeConfig, run
    from sealift.runtime.engine.fleet.settings import FleetSettings
    from sealift.runtime.engine.settings import EngineSettings
    from sealift.runtime.store.store import Store

    sources = [describe(folder, name) for name, folder in make_models(cache).items()]
    with tempfile.TemporaryDirectory() as home:
        store = Store.open(Path(home) / "home")
        engine = EngineSettings(slots=4, threads=1, queue_limit=64)
        fleet = FleetSettings(memory_bytes=MEMORY_MB << 20, pinned=(PINNED,), hold_s=1.0)
        config = ServeConfig(port=0, engine=engine, fleet=fleet)
        run(config, Catalogue(sources), store.log, on_ready=lambda url: print(url, flush=True))


def main() -> None:
    """Start the server, send the requests, print what happened; fail on what must not."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cache", required=True)
    parser.add_argument("--requests", type=int, default=10_000)
    parser.add_argument("--clients", type=int, default=16)
    parser.add_argument("--growth", type=float, default=1.05, help="memory at the end / warmed up")
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    cache = Path(arguments.cache).expanduser()
    if arguments.serve:
        serve(cache)
        return
    make_models(cache)
    command = [sys.executable, __file__, "--serve", "--cache", str(cache)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            if server.stdout is None:
                raise RuntimeError("the server has no output")
            url = server.stdout.readline().strip()
            result = asyncio.run(run(arguments, url, server.pid))
        finally:
            server.terminate()
    print(json.dumps(result, indent=2))
    bad = [name for name in result["outcomes"] if name.isupper() or name.startswith("500")]
    if bad or max(result["growth"].values()) > arguments.growth:
        raise SystemExit(f"failed: {bad or 'memory grew'}")


if __name__ == "__main__":
    main()
