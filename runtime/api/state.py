"""What handlers share, and how one answer is bounded and recorded."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field
from typing import ParamSpec, TypeVar

from aiohttp import web

from sealift.manifests.errors import SealiftError
from sealift.manifests.recipe import Task
from sealift.runtime.api.config import ApiLimits, ServeConfig
from sealift.runtime.api.errors import BadRequestError, BusyError, DeadlineError, MediaTypeError
from sealift.runtime.api.turnover import Turnover
from sealift.runtime.audit.entry import Kind
from sealift.runtime.engine.errors import QueueFullError, TaskMismatchError
from sealift.runtime.engine.fleet.audit_queue import AuditQueue
from sealift.runtime.engine.fleet.client import WorkerClient
from sealift.runtime.engine.fleet.lease import Lease
from sealift.runtime.engine.fleet.registry import CatalogueEntry, Registry
from sealift.runtime.engine.request import Embed, Generate, Reply, Score

__all__ = [
    "DIGEST_HEADER",
    "ENTRY",
    "STATE",
    "Answering",
    "ApiState",
    "off_loop",
    "read_json_bytes",
]

_LARGE_BYTES = 64 * 1024
_P = ParamSpec("_P")
_T = TypeVar("_T")

DIGEST_HEADER = "Sealift-Model-Digest"


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiState:
    """The parts of a running server."""

    config: ServeConfig
    registry: Registry
    audit: AuditQueue
    turnovers: dict[str, Turnover] = field(default_factory=dict)


STATE = web.AppKey("state", ApiState)
ENTRY = web.RequestKey("entry", CatalogueEntry)


async def read_json_bytes(request: web.Request, limits: ApiLimits) -> bytes:
    """Return the body.

    Raises:
        MediaTypeError: not declared as JSON (a page's form post never is).
        BadRequestError: it did not arrive in time.
    """
    if request.content_type != "application/json":
        raise MediaTypeError(
            f"content type: expected application/json, got {request.content_type[:100]}"
        )
    try:
        async with asyncio.timeout(limits.body_timeout_s):
            return await request.read()
    except TimeoutError as error:
        raise BadRequestError(
            f"request body: expected within {limits.body_timeout_s:g} s", param=None
        ) from error


async def off_loop(
    size_bytes: int, parse: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs
) -> _T:
    """Run a parser; in a thread where the input is so large that every stream would pause."""
    if size_bytes < _LARGE_BYTES:
        return parse(*args, **kwargs)
    return await asyncio.to_thread(parse, *args, **kwargs)


@dataclass(slots=True, kw_only=True)
class Answering:
    """One request to one model, until its answer is complete; see `begin`."""

    state: ApiState
    entry: CatalogueEntry
    endpoint: str
    started_s: float
    prompt_tokens: int = 0
    completion_tokens: int = 0
    finish_reason: str | None = None
    outcome: str | None = None
    lease: Lease | None = None

    @classmethod
    @asynccontextmanager
    async def begin(
        cls, request: web.Request, model_id: str, task: Task
    ) -> AsyncIterator["Answering"]:
        """Find the model; leave one audit entry, whatever becomes of the answer.

        Raises:
            ModelNotFoundError, TaskMismatchError: nobody can answer this.
            AuditUnavailableError: no evidence could be left.
        """
        state = request.app[STATE]
        entry = await state.registry.find(model_id)
        request[ENTRY] = entry
        if entry.task is not task:
            raise TaskMismatchError(
                f"{entry.label} is for {entry.task.value}, not for {task.value}"
            )
        await state.audit.ready()
        answering = cls(
            state=state,
            entry=entry,
            endpoint=request.path,
            started_s=asyncio.get_running_loop().time(),
        )
        try:
            yield answering
            if answering.outcome is None:
                answering.outcome = "ok"
                answering._turnover().ended(asyncio.get_running_loop().time())
        except QueueFullError as error:
            answering.outcome = error.code
            wait_s = answering._turnover().wait_s(asyncio.get_running_loop().time())
            raise BusyError(error.message, hint=error.hint, retry_after_s=wait_s) from error
        except BadRequestError as error:
            answering.outcome = error.request_code
            raise
        except SealiftError as error:
            answering.outcome = error.code
            raise
        finally:
            if answering.lease is not None:
                answering.lease.release()
            answering._record()

    async def worker(self) -> WorkerClient:
        """Return the model's worker, loading the model where needed, within the deadline.

        The model is not unloaded while the block of `begin` runs.
        """
        if self.lease is None:
            async with self.in_time():
                self.lease = await self.state.registry.lease(self.entry)
        return self.lease.worker

    async def ask(
        self, worker: WorkerClient, message: Generate | Embed | Score
    ) -> AsyncGenerator[Reply, None]:
        """Yield the worker's replies until the last one or the deadline."""
        async with aclosing(worker.ask(message)) as replies:
            while True:
                async with self.in_time():
                    reply = await anext(replies, None)
                if reply is None:
                    return
                yield reply

    @asynccontextmanager
    async def in_time(self) -> AsyncIterator[None]:
        """Bound what is awaited inside by the request's deadline.

        Raises:
            DeadlineError: it has passed.
        """
        seconds = self.state.config.limits.request_timeout_s
        try:
            async with asyncio.timeout_at(self.started_s + seconds):
                yield
        except TimeoutError as error:
            raise DeadlineError(f"the answer took longer than {seconds:g} s") from error

    def _turnover(self) -> Turnover:
        return self.state.turnovers.setdefault(self.entry.label, Turnover())

    def _record(self) -> None:
        self.state.audit.put(
            Kind.REQUEST,
            model=self.entry.label,
            digest=self.entry.digest,
            endpoint=self.endpoint,
            outcome=self.outcome or "cancelled",
            prompt_tokens=self.prompt_tokens,
            completion_tokens=self.completion_tokens,
            finish_reason=self.finish_reason,
            duration_ms=int((asyncio.get_running_loop().time() - self.started_s) * 1000),
        )
