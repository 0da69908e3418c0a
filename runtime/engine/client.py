"""The asyncio end of one worker process: start it, ask it, notice when it dies.

>>> worker = await WorkerClient.start(source, settings)     # doctest: +SKIP
>>> async for reply in worker.ask(Generate(...)): ...       # doctest: +SKIP
"""

import asyncio
import os
import signal
import socket
import sys
from collections.abc import AsyncGenerator

import msgspec

from sealift.manifests.telemetry import disable_telemetry
from sealift.runtime.engine.channel import FrameSplitter, frame
from sealift.runtime.engine.errors import (
    EngineError,
    LoadError,
    WorkerCrashedError,
    from_wire,
)
from sealift.runtime.engine.request import (
    Cancel,
    Delta,
    Embed,
    Failed,
    Generate,
    Load,
    Loaded,
    LoadFailed,
    Pong,
    Reply,
    Score,
    Shutdown,
    ToRuntime,
    ToWorker,
)
from sealift.runtime.engine.settings import EngineSettings
from sealift.runtime.engine.source import ModelSource

__all__ = ["WorkerClient"]

_READ_BYTES = 1 << 16
_END_TIMEOUT_S = 5.0
# What a worker needs of our environment; the rest (passphrases, proxies) is none of its business.
_ENVIRONMENT = ("HOME", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "PATH", "PYTHONPATH", "TMPDIR", "TZ")


class WorkerClient:
    """A worker with its model loaded. Use `start`."""

    def __init__(
        self,
        name: str,
        process: asyncio.subprocess.Process,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        self.name = name
        self.loaded: Loaded | None = None
        self._process = process
        self._reader = reader
        self._writer = writer
        self._splitter = FrameSplitter()
        self._decoder = msgspec.msgpack.Decoder(ToRuntime)
        self._answers: dict[int, asyncio.Queue[Reply | EngineError]] = {}
        self._next_id = 0
        self._receiving: asyncio.Task[None] | None = None

    @classmethod
    async def start(cls, source: ModelSource, settings: EngineSettings) -> "WorkerClient":
        """Start a process and have it verify and load the model.

        Raises:
            ModelIntegrityError: a file is not the signed one.
            LoadError: the model cannot be run here, or its process ended.
        """
        ours, theirs = socket.socketpair()
        with theirs:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-P",  # nothing in the current directory may shadow a module
                "-m",
                "sealift.runtime.engine.worker",
                str(theirs.fileno()),
                pass_fds=(theirs.fileno(),),
                stdin=asyncio.subprocess.DEVNULL,
                env=_environment(),
            )
        reader, writer = await asyncio.open_connection(sock=ours)
        worker = cls(f"{source.name}:{source.version}", process, reader, writer)
        try:
            worker._send(Load(source=source, settings=settings))
            worker.loaded = await worker._wait_loaded()
        except BaseException:
            await worker.stop()
            raise
        worker._receiving = asyncio.create_task(worker._receive(), name=f"worker {worker.name}")
        return worker

    @property
    def pid(self) -> int:
        """The process's id."""
        return self._process.pid

    @property
    def is_alive(self) -> bool:
        """True while requests can be sent."""
        return self._receiving is not None and not self._receiving.done()

    @property
    def open_requests(self) -> int:
        """Requests without their last reply."""
        return len(self._answers)

    def has_waiting(self, request_id: int) -> bool:
        """Tell whether a reply has come that nobody took: the next one does not have to wait."""
        replies = self._answers.get(request_id)
        return replies is not None and not replies.empty()

    def new_id(self) -> int:
        """Return an id that no request of this worker has had."""
        self._next_id += 1
        return self._next_id

    async def ask(self, message: Generate | Embed | Score) -> AsyncGenerator[Reply, None]:
        """Yield the replies to a request, the last one included.

        Leaving the iteration early cancels the request in the worker.

        Raises:
            EngineError: the family member that the worker named, or `WorkerCrashedError`.
        """
        if not self.is_alive:
            raise self._crashed()
        replies: asyncio.Queue[Reply | EngineError] = asyncio.Queue()
        self._answers[message.id] = replies
        self._send(message)
        is_answered = False
        try:
            while not is_answered:
                reply = await replies.get()
                if isinstance(reply, EngineError):
                    is_answered = True
                    raise reply
                is_answered = _is_last(reply)
                yield reply
        finally:
            self._answers.pop(message.id, None)
            if not is_answered and self.is_alive:
                self._send(Cancel(id=message.id))

    async def stop(self) -> None:
        """End the process, gently and then not."""
        if not self._writer.is_closing():
            self._send(Shutdown())
            self._writer.close()
        try:
            await asyncio.wait_for(self._process.wait(), _END_TIMEOUT_S)
        except TimeoutError:
            self._process.kill()
            await self._process.wait()
        if self._receiving is not None:
            await self._receiving

    async def _wait_loaded(self) -> Loaded:
        while True:
            message = await self._next_message()
            match message:
                case Loaded():
                    return message
                case LoadFailed(error=error):
                    raise from_wire(error)
                case None:
                    raise LoadError(
                        f"{self.name}: its process ended while loading ({await self._ending()})"
                    )
                case _:
                    raise LoadError(f"{self.name}: unexpected {type(message).__name__}")

    async def _next_message(self) -> ToRuntime | None:
        messages: list[ToRuntime] = []
        while not messages:
            data = await self._read()
            if not data:
                return None
            messages = [self._decoder.decode(part) for part in self._splitter.feed(data)]
        return messages[0]

    async def _receive(self) -> None:
        """Hand replies to whoever asked, until the process ends; then fail the rest."""
        while data := await self._read():
            for part in self._splitter.feed(data):
                message = self._decoder.decode(part)
                if isinstance(message, Failed):
                    self._hand(message.id, from_wire(message.error))
                elif not isinstance(message, Loaded | LoadFailed | Pong):
                    self._hand(message.id, message)
        self._writer.close()
        await self._process.wait()
        for replies in self._answers.values():
            replies.put_nowait(self._crashed())

    async def _read(self) -> bytes:
        try:
            return await self._reader.read(_READ_BYTES)
        except ConnectionError:
            return b""

    def _hand(self, request_id: int, reply: Reply | EngineError) -> None:
        replies = self._answers.get(request_id)
        if replies is not None:  # else cancelled meanwhile
            replies.put_nowait(reply)

    def _send(self, message: ToWorker) -> None:
        if not self._writer.is_closing():
            self._writer.write(frame(msgspec.msgpack.encode(message)))

    def _crashed(self) -> WorkerCrashedError:
        return WorkerCrashedError(
            f"{self.name}: its process ended before the answer ({_ending(self._process)})",
            hint="send the request again: the model is loaded afresh",
        )

    async def _ending(self) -> str:
        await self._process.wait()
        return _ending(self._process)


def _is_last(reply: Reply) -> bool:
    return not isinstance(reply, Delta) or reply.is_last


def _ending(process: asyncio.subprocess.Process) -> str:
    code = process.returncode
    if code is None:
        return "still ending"
    return f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"


def _environment() -> dict[str, str]:
    disable_telemetry()
    kept = {name: os.environ[name] for name in _ENVIRONMENT if name in os.environ}
    return {**kept, "ORT_DISABLE_TELEMETRY": os.environ["ORT_DISABLE_TELEMETRY"]}
