"""A running server over loopback with two real miniature models, and a log in memory."""

import asyncio
import shutil
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import openai
import pytest
from aiohttp import web

from sealift.runtime.api import ServeConfig, make_app
from sealift.runtime.api.server import make_runner
from sealift.runtime.api.state import STATE, ApiState
from sealift.runtime.audit.entry import Event, Field
from sealift.runtime.engine.errors import ModelNotFoundError
from sealift.runtime.engine.fleet.registry import CatalogueEntry
from sealift.runtime.engine.settings import EngineSettings
from sealift.runtime.engine.source import ModelSource


@dataclass
class MemoryCatalogue:
    sources: list[ModelSource]

    def entries(self) -> tuple[CatalogueEntry, ...]:
        return tuple(
            CatalogueEntry(
                name=source.name,
                version=source.version,
                digest=source.digest,
                task=source.task,
                created_s=1_790_000_000,
                is_current=True,
            )
            for source in self.sources
        )

    def resolve(self, name: str, version: str) -> ModelSource:
        for source in self.sources:
            if (source.name, source.version) == (name, version):
                return source
        raise ModelNotFoundError(f"{name}:{version}")


@dataclass
class MemorySink:
    events: list[tuple[str, dict[str, Field]]] = field(default_factory=list)
    error: OSError | None = None

    def append(self, *events: Event) -> None:
        if self.error is not None:
            raise self.error
        self.events += [(event.kind.value, event.fields) for event in events]


class Server:
    """The application on a free port, in a thread of its own."""

    def __init__(self, config: ServeConfig, sources: list[ModelSource]) -> None:
        self.sink = MemorySink()
        self.sources = {source.name: source for source in sources}
        self._app = make_app(config, MemoryCatalogue(sources), self.sink)
        self._config = config
        self._clients: list[openai.OpenAI] = []
        self._loop = asyncio.new_event_loop()
        self._started = threading.Event()
        self._end = asyncio.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()
        assert self._started.wait(10)

    @property
    def state(self) -> ApiState:
        return self._app[STATE]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def client(self, api_key: str = "none") -> openai.OpenAI:
        client = openai.OpenAI(
            base_url=f"{self.url}/v1", api_key=api_key, max_retries=0, timeout=60
        )
        self._clients.append(client)
        return client

    def worker_pid(self, name: str) -> int:
        async def find() -> int:
            entry = await self.state.registry.find(name)
            return (await self.state.registry.worker(entry)).pid

        return asyncio.run_coroutine_threadsafe(find(), self._loop).result(30)

    def open_requests(self, name: str) -> int:
        async def find() -> int:
            entry = await self.state.registry.find(name)
            return (await self.state.registry.worker(entry)).open_requests

        return asyncio.run_coroutine_threadsafe(find(), self._loop).result(30)

    def wait_until(self, condition: Callable[[], bool], seconds: float = 10) -> None:
        end_s = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < end_s
            time.sleep(0.01)

    def wait_events(self, count: int) -> None:
        """Wait until the log has so many entries: they are written behind the answers."""
        self.wait_until(lambda: len(self.sink.events) >= count)

    def stop(self) -> None:
        for client in self._clients:
            client.close()
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._end.set)
        self._thread.join(30)
        assert not self._thread.is_alive()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._serve())
        self._loop.close()

    async def _serve(self) -> None:
        runner = make_runner(self._config, self._app)
        await runner.setup()
        self.listener = socket.create_server(("127.0.0.1", 0))
        await web.SockSite(runner, self.listener).start()
        self.port = self.listener.getsockname()[1]
        self._started.set()
        await self._end.wait()
        await runner.cleanup()


StartServer = Callable[..., Server]
ENGINE = EngineSettings(slots=4, queue_limit=4, prefill_chunk=32, prefill_chunk_alone=64, threads=2)


@pytest.fixture
def server_over() -> Iterator[StartServer]:
    """Start servers over given sources; all end with the test."""
    servers: list[Server] = []

    def start(sources: list[ModelSource], **config: object) -> Server:
        servers.append(Server(ServeConfig(**({"port": 0, "engine": ENGINE} | config)), sources))
        return servers[-1]

    yield start
    for server in servers:
        server.stop()


@pytest.fixture
def start_server(
    chat_folder: Path,
    embed_folder: Path,
    source_of: Callable[[str, Path], ModelSource],
    server_over: StartServer,
    tmp_path: Path,
) -> StartServer:
    """Start a server over copies of the miniatures."""

    def start(**config: object) -> Server:
        sources = []
        for name, folder in (("chat", chat_folder), ("embed", embed_folder)):
            shutil.copytree(folder, tmp_path / name)
            sources.append(source_of(name, tmp_path / name))
        return server_over(sources, **config)

    return start
