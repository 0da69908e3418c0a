"""The asyncio end of one worker process: start it, ask it, watch it, notice when it dies.

>>> worker = await WorkerClient.start(source, settings)     # doctest: +SKIP
>>> async for reply in worker.ask(Generate(...)): ...       # doctest: +SKIP
"""

import asyncio
from collections.abc import AsyncGenerator, Callable

import msgspec

from sealift.runtime.engine.errors import (
    EngineError,
    LoadError,
    WorkerCrashedError,
    from_wire,
)
from sealift.runtime.engine.fleet.watchdog import Watchdog, WatchLimits
from sealift.runtime.engine.fleet.worker_link import WorkerLink
from sealift.runtime.engine.fleet.worker_process import WorkerProcess
from sealift.runtime.engine.prepack_spec import PrepackCacheSpec
from sealift.runtime.engine.request import (
    Cancel,
    Delta,
    Embed,
    Failed,
    Generate,
    Load,
    Loaded,
    LoadFailed,
    Ping,
    Pong,
    Reply,
    Score,
    Shutdown,
    ToRuntime,
)
from sealift.runtime.engine.settings import EngineSettings
from sealift.runtime.engine.source import ModelSource

__all__ = ["WorkerClient"]

_OUT_OF_MEMORY_HINT = (
    "if the host ran out of memory (its kernel's log says so), give --memory less, "
    "or --context or --slots; the request can be sent again"
)


class WorkerClient:
    """A worker with its model loaded. Use `start`.

    Attributes:
        loaded: what the worker said of the model.
        resident_bytes: memory of its own, as it last said.
        on_measured: told of every such number.
    """

    def __init__(
        self,
        name: str,
        process: WorkerProcess,
        link: WorkerLink,
        watch: WatchLimits,
    ) -> None:
        self.name = name
        self.loaded: Loaded | None = None
        self.resident_bytes = 0
        self.on_measured: Callable[[int], None] | None = None
        self._process = process
        self._link = link
        self._limits = watch
        self._answers: dict[int, asyncio.Queue[Reply | EngineError]] = {}
        self._next_id = 0
        self._ending: EngineError | None = None
        self._watchdog = Watchdog(watch, now_s=_now_s())
        self._receiving: asyncio.Task[None] | None = None
        self._watching: asyncio.Task[None] | None = None

    @classmethod
    async def start(
        cls,
        source: ModelSource,
        settings: EngineSettings,
        *,
        watch: WatchLimits | None = None,
        cache: PrepackCacheSpec | None = None,
    ) -> "WorkerClient":
        """Start a process and have it verify and load the model.

        Args:
            cache: of prepacked weights.

        Raises:
            ModelIntegrityError: a file is not the signed one.
            LoadError: the model cannot be run here.
            WorkerCrashedError: the process ended, or took too long.
        """
        process, link = await WorkerProcess.start()
        label = f"{source.name}:{source.version}"
        worker = cls(label, process, link, watch or WatchLimits())
        try:
            link.send(Load(source=source, settings=settings, cache=cache))
            await worker._finish_load()
        except BaseException:
            await worker.stop()
            raise
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

    @property
    def ending(self) -> str:
        """How the process ended, in words."""
        return self._process.ending

    @property
    def was_killed(self) -> bool:
        """True where it was us who ended the process."""
        return self._process.killed_because is not None

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
            EngineError: the family member that the worker named, `WorkerCrashedError`, or what
                `stop` was given.
        """
        if not self.is_alive:
            raise self._ended()
        replies: asyncio.Queue[Reply | EngineError] = asyncio.Queue()
        self._answers[message.id] = replies
        self._link.send(message)
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
                self._link.send(Cancel(id=message.id))

    async def wait_end(self) -> None:
        """Return when the process has ended, for whatever reason."""
        if self._receiving is not None:
            await asyncio.wait([self._receiving])

    async def stop(self, reason: EngineError | None = None) -> None:
        """End the process, gently and then not.

        Args:
            reason: what requests that are still open are told.
        """
        if self._ending is None:
            self._ending = reason
        if self._watching is not None:
            self._watching.cancel()
        self._link.send(Shutdown())
        self._link.close()
        await self._process.wait(end_s=self._limits.end_s)
        await self.wait_end()

    async def _finish_load(self) -> None:
        try:
            async with asyncio.timeout(self._limits.load_s):
                self.loaded = await self._wait_loaded()
        except msgspec.MsgspecError as error:
            self._process.kill(f"not a message of a worker: {error}")
            await self._process.wait(end_s=self._limits.end_s)
            raise self._ended() from error
        except TimeoutError as error:
            self._process.kill(f"not loaded after {self._limits.load_s:g} s")
            await self._process.wait(end_s=self._limits.end_s)
            raise self._ended() from error
        self._measured(self.loaded.resident_bytes)
        self._watchdog = Watchdog(self._limits, now_s=_now_s())
        self._receiving = asyncio.create_task(self._receive(), name=f"worker {self.name}")
        self._watching = asyncio.create_task(self._watch(), name=f"watch {self.name}")

    async def _wait_loaded(self) -> Loaded:
        message = await self._next_message()
        match message:
            case Loaded():
                return message
            case LoadFailed(error=error):
                raise from_wire(error)
            case None:
                await self._process.wait(end_s=self._limits.end_s)
                raise self._ended()
            case _:
                raise LoadError(f"{self.name}: unexpected {type(message).__name__}")

    async def _next_message(self) -> ToRuntime | None:
        while (messages := await self._link.receive()) is not None:
            for message in list(messages):
                return message
        return None

    async def _receive(self) -> None:
        """Hand replies to whoever asked, until the process ends; then fail the rest."""
        try:
            while (messages := await self._link.receive()) is not None:
                self._watchdog.heard(now_s=_now_s())
                for message in messages:
                    self._take(message)
        except (EngineError, msgspec.MsgspecError) as error:
            # Whatever it is that talks there, it is no longer our worker.
            self._process.kill(f"not a message of a worker: {error}")
        if self._watching is not None:
            self._watching.cancel()
        self._link.close()
        await self._process.wait(end_s=self._limits.end_s)
        for replies in self._answers.values():
            replies.put_nowait(self._ended())

    def _take(self, message: ToRuntime) -> None:
        match message:
            case Failed():
                self._hand(message.id, from_wire(message.error))
            case Pong():
                self._measured(message.resident_bytes)
                self._watchdog.pong(now_s=_now_s(), steps=message.steps, is_busy=message.is_busy)
            case Loaded() | LoadFailed():
                raise EngineError(f"unexpected {type(message).__name__}")
            case _:
                self._hand(message.id, message)

    async def _watch(self) -> None:
        while True:
            reason = self._watchdog.verdict(now_s=_now_s())
            if reason is not None:
                self._process.kill(reason)
                return
            self._link.send(Ping())
            await asyncio.sleep(self._limits.ping_every_s)

    def _measured(self, resident_bytes: int) -> None:
        self.resident_bytes = resident_bytes
        if self.on_measured is not None:
            self.on_measured(resident_bytes)

    def _hand(self, request_id: int, reply: Reply | EngineError) -> None:
        replies = self._answers.get(request_id)
        if replies is not None:  # else cancelled meanwhile
            replies.put_nowait(reply)

    def _ended(self) -> EngineError:
        """Return what a request is told that gets no answer any more."""
        if self._ending is not None:
            return type(self._ending)(self._ending.message, hint=self._ending.hint)
        when = "before the answer" if self.loaded is not None else "while loading"
        message = f"{self.name}: its process ended {when} ({self.ending})"
        if self._process.is_out_of_memory:
            return WorkerCrashedError(
                f"{message}: probably out of memory", hint=_OUT_OF_MEMORY_HINT
            )
        return WorkerCrashedError(
            message, hint="send the request again: the model is loaded afresh"
        )


def _now_s() -> float:
    return asyncio.get_running_loop().time()


def _is_last(reply: Reply) -> bool:
    return not isinstance(reply, Delta) or reply.is_last
