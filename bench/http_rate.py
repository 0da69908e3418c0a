"""What the HTTP side costs: 8 streaming clients against the same answers given in this process.

python bench/http_rate.py --serve MODEL_FOLDER THREADS      # the server; prints its URL
"""

import asyncio
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from rig import answer, make_generator, open_model, step_until
from shape import describe

__all__ = ["Catalogue", "measure_http", "measure_in_process"]

CLIENTS = 8
_PROMPT_CHARS = 96  # a token each
_ANSWER_TOKENS = 128
_ROUNDS = 2


def measure_in_process(folder: Path, threads: int) -> dict[str, list[float]]:
    """Return tokens a second of 8 requests that arrive together, without a server."""
    model, settings = open_model(folder, threads)
    generator = make_generator(model, settings)
    found = []
    for round_number in range(_ROUNDS + 1):
        started = time.perf_counter()
        for id, text in enumerate(_texts(round_number)):
            prompt = model.tokenizer.encode(text, add_special_tokens=False).ids
            generator.submit(answer(model, id, prompt, _ANSWER_TOKENS))
        step_until(generator)
        found.append(CLIENTS * _ANSWER_TOKENS / (time.perf_counter() - started))
    return {"rate": found[1:]}  # the first round touches the cache's pages


def measure_http(folder: Path, threads: int) -> dict[str, list[float]]:
    """Return tokens a second of the same requests over HTTP, streamed."""
    command = [sys.executable, __file__, "--serve", str(folder), str(threads)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            if server.stdout is None:
                raise RuntimeError("the server has no output")
            port = int(server.stdout.readline().rpartition(":")[2])
            rates = [asyncio.run(_round(port, number)) for number in range(_ROUNDS + 1)]
        finally:
            server.terminate()
    return {"rate": rates[1:]}  # the first round loads the model


async def _round(port: int, number: int) -> float:
    started = time.perf_counter()
    tokens = await asyncio.gather(*(_client(port, text) for text in _texts(number)))
    return sum(tokens) / (time.perf_counter() - started)


async def _client(port: int, text: str) -> int:
    """Stream one answer; return its tokens. Reads bytes and no more: cores are few."""
    body = json.dumps(
        {
            "model": "bench",
            "messages": [{"role": "user", "content": text}],
            "temperature": 0,
            "max_tokens": _ANSWER_TOKENS,
            "stream": True,
            "stream_options": {"include_usage": True},
        }
    ).encode()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    head = (
        "POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    writer.write(head.encode() + body)
    tail = b""
    while data := await reader.read(1 << 16):
        tail = (tail + data)[-4096:]
    writer.close()
    usage = tail.rpartition(b'"completion_tokens":')[2]
    if not usage:
        raise RuntimeError(tail.decode(errors="replace"))
    return int(usage.partition(b",")[0])


def _texts(round_number: int) -> list[str]:
    letters = np.random.default_rng(round_number).integers(97, 123, (CLIENTS, _PROMPT_CHARS))
    return [bytes(row.tolist()).decode() for row in letters]


def _serve(folder: Path, threads: int) -> None:
    """Serve the model with the real application and the real audit log."""
    from sealift.runtime.api import ServeConfig, run
    from sealift.runtime.engine.settings import EngineSettings
    from sealift.runtime.store.store import Store

    with tempfile.TemporaryDirectory() as home:
        store = Store.open(Path(home) / "home")
        engine = EngineSettings(slots=CLIENTS, threads=threads, context_length=4096)
        config = ServeConfig(port=0, engine=engine)
        run(
            config,
            Catalogue([describe(folder)]),
            store.log,
            on_ready=lambda url: print(url, flush=True),
        )


class Catalogue:
    """Models, as the store would show them."""

    def __init__(self, sources: list[Any]) -> None:
        self._sources = {source.name: source for source in sources}

    def entries(self) -> tuple[Any, ...]:
        from sealift.runtime.engine.fleet.registry import CatalogueEntry

        return tuple(
            CatalogueEntry(
                name=source.name,
                version=source.version,
                digest=source.digest,
                task=source.task,
                created_s=0,
                is_current=True,
            )
            for source in self._sources.values()
        )

    def resolve(self, name: str, version: str) -> Any:
        return self._sources[name]


if __name__ == "__main__":
    _serve(Path(sys.argv[2]), int(sys.argv[3]))
