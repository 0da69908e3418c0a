"""What the API process spends on a streamed token, in CPU time, with no model in the way.

    python bench/api_cost.py [--clients 8] [--rate 220] [--tokens 400]

The server is the real one, in a process of its own. Its worker is a process that speaks the real
channel and says one canned token for every request at a fixed rate, as an engine of this many
tokens/s in total would. The clients only read. Printed is the server's CPU time per token between
the first and the last one, and its share of the cores that this host has.
"""

import argparse
import asyncio
import hashlib
import os
import socket
import stat
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import aiohttp
from aiohttp import web

from sealift.manifests.recipe import Precision, Task
from sealift.manifests.serving import SERVING_FILE, DecoderShape, ServingConfig
from sealift.runtime.api import ServeConfig, make_app
from sealift.runtime.api.server import make_runner
from sealift.runtime.audit.entry import Event
from sealift.runtime.engine.channel import WorkerChannel
from sealift.runtime.engine.fleet.registry import CatalogueEntry
from sealift.runtime.engine.request import (
    Cancel,
    Delta,
    Generate,
    Load,
    Loaded,
    Ping,
    Pong,
    Shutdown,
)
from sealift.runtime.engine.source import ModelSource, SourceFile

DIGEST = "sha256:" + "ab" * 32
WORDS = (" the", " quick", " brown", " fox", ",", " jumps", " over", "\n", ' "lazy"', " dög")


@dataclass(slots=True)
class _Open:
    message: Generate
    said: int = 0


class _CannedWorker:
    """The other end of the channel: every request gets a token a step."""

    def __init__(self, channel: WorkerChannel, rate: float) -> None:
        self._channel = channel
        self._rate = rate
        self._open: dict[int, _Open] = {}
        self._lock = threading.Lock()
        self._steps = 0

    def serve(self) -> None:
        messages = self._channel.receive()
        if not isinstance(next(messages), Load):
            raise SystemExit("expected a Load first")
        self._channel.send(
            Loaded(
                variant="canned", context_length=4096, isolation="none", verify_s=0.0, load_s=0.0,
                verified_bytes=0,
            )
        )  # fmt: skip
        threading.Thread(target=self._say, daemon=True).start()
        for message in messages:
            match message:
                case Generate():
                    with self._lock:
                        self._open[message.id] = _Open(message)
                case Cancel(id=request_id):
                    with self._lock:
                        self._open.pop(request_id, None)
                case Ping():
                    self._channel.send(Pong(steps=self._steps, is_busy=False, resident_bytes=0))
                case Shutdown():
                    return

    def _say(self) -> None:
        due_s = time.monotonic()
        while True:
            with self._lock:
                deltas = [delta for item in self._open.values() for delta in self._deltas(item)]
                for delta in deltas:
                    if delta.is_last:
                        del self._open[delta.id]
            if deltas:
                self._steps += 1
                self._channel.send(*deltas)
            due_s = max(due_s + max(1, len(deltas)) / self._rate, time.monotonic() - 1)
            time.sleep(max(0.0, due_s - time.monotonic()))

    def _deltas(self, item: _Open) -> list[Delta]:
        item.said += 1
        message = item.message
        is_end = item.said == message.max_tokens
        return [
            Delta(
                id=message.id,
                text=WORDS[item.said % len(WORDS)],
                prompt_tokens=20,
                completion_tokens=item.said,
                choice=choice,
                finish_reason="length" if is_end else None,
                is_last=is_end and choice == message.n - 1,
            )
            for choice in range(message.n)
        ]


class _Catalogue:
    """One model: a folder with nothing in it but what its size is estimated from."""

    def __init__(self, folder: str) -> None:
        self._folder = folder
        config = ServingConfig(
            task=Task.CHAT, precision=Precision.FP32, graph="model.onnx", max_length=4096,
            chat_template="chat_template.jinja",
            decoder=DecoderShape(layers=1, kv_heads=1, head_size=16, vocab_size=1024),
        )  # fmt: skip
        self._serving = config.encode()
        path = Path(folder, "cpu-fp32", SERVING_FILE)
        path.parent.mkdir()
        path.write_bytes(self._serving)

    def entries(self) -> tuple[CatalogueEntry, ...]:
        return (
            CatalogueEntry(
                name="canned", version="1.0.0", digest=DIGEST, task=Task.CHAT, created_s=0,
                is_current=True,
            ),
        )  # fmt: skip

    def resolve(self, name: str, version: str) -> ModelSource:
        file = SourceFile(
            path=f"cpu-fp32/{SERVING_FILE}",
            size_bytes=len(self._serving),
            sha256=hashlib.sha256(self._serving).hexdigest(),
        )
        return ModelSource(
            name=name, version=version, digest=DIGEST, task=Task.CHAT, directory=self._folder,
            files=(file,),
        )  # fmt: skip


class _NoLog:
    def append(self, *events: Event) -> None:
        pass


def _stand_in(folder: str, rate: float) -> str:
    """Return an interpreter for workers that runs ours, whatever it is told to run."""
    program = Path(folder, "python")
    program.write_text(
        "#!/bin/sh\nfor last; do :; done\n"
        f'exec "{sys.executable}" "{Path(__file__).resolve()}" --rate {rate} --worker "$last"\n'
    )
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    return str(program)


async def _serve(models: _Catalogue, worker_python: str) -> None:
    sys.executable = worker_python
    config = ServeConfig(port=0)
    runner = make_runner(config, make_app(config, models, _NoLog()))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    print(runner.addresses[0][1], flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    await runner.cleanup()


async def _read(session: aiohttp.ClientSession, url: str, tokens: int, n: int) -> int:
    body = {
        "model": "canned", "messages": [{"role": "user", "content": "hi"}], "stream": True,
        "max_tokens": tokens, "n": n,
    }  # fmt: skip
    size_bytes = 0
    async with session.post(url, json=body) as response:
        if response.status != 200:
            raise SystemExit(await response.text())
        async for data in response.content.iter_any():
            size_bytes += len(data)
    return size_bytes


def _cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def _measure(clients: int, rate: float, tokens: int, n: int) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, __file__, "--rate", str(rate), "--serve",
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stdin is not None
    url = f"http://127.0.0.1:{int(await process.stdout.readline())}/v1/chat/completions"
    async with aiohttp.ClientSession() as session:
        await _read(session, url, 5, 1)  # the worker starts, everything is imported
        cpu_s, started_s = _cpu_s(process.pid), time.monotonic()
        sizes = await asyncio.gather(*(_read(session, url, tokens, n) for _ in range(clients)))
        cpu_s, seconds = _cpu_s(process.pid) - cpu_s, time.monotonic() - started_s
    process.stdin.close()
    await process.wait()
    said = clients * tokens * n
    cores = len(os.sched_getaffinity(0))
    print(
        f"{clients} clients, n={n}: {said / seconds:.0f} tokens/s, {sum(sizes) / said:.0f} bytes "
        f"and {cpu_s / said * 1e6:.0f} us of CPU a token, "
        f"{cpu_s / seconds / cores * 100:.2f} % of {cores} cores"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--rate", type=float, default=220.0, help="tokens/s of all clients")
    parser.add_argument("--tokens", type=int, default=400)
    parser.add_argument("--n", type=int, default=1, help="answers to each client")
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--worker", type=int, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.worker is not None:
        _CannedWorker(WorkerChannel(socket.socket(fileno=asked.worker)), asked.rate).serve()
    elif asked.serve:
        with tempfile.TemporaryDirectory() as folder:
            asyncio.run(_serve(_Catalogue(folder), _stand_in(folder, asked.rate)))
    else:
        asyncio.run(_measure(asked.clients, asked.rate, asked.tokens, asked.n))


if __name__ == "__main__":
    main()
