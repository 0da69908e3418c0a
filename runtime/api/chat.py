"""`POST /v1/chat/completions`: the shell around `chat_request`, the engine and `responses`."""

import secrets
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing

from aiohttp import web

from sealift.manifests.errors import SealiftError
from sealift.manifests.recipe import Task
from sealift.runtime.api import sse
from sealift.runtime.api.chat_request import ChatRequest, parse_chat
from sealift.runtime.api.errors import answer_for, error_body
from sealift.runtime.api.responses import ChatAnswer
from sealift.runtime.api.state import STATE, Answering, off_loop, read_json_bytes
from sealift.runtime.engine.client import WorkerClient
from sealift.runtime.engine.errors import EngineError
from sealift.runtime.engine.request import Delta, Reply

__all__ = ["chat_completions"]


async def chat_completions(request: web.Request) -> web.StreamResponse:
    """Answer a conversation, whole or as a stream."""
    limits = request.app[STATE].config.limits
    data = await read_json_bytes(request, limits)
    chat = await off_loop(len(data), parse_chat, data, limits, fallback_seed=secrets.randbits(63))
    async with Answering.begin(request, chat.model, Task.CHAT) as answering:
        worker = await answering.worker()
        answer = ChatAnswer(
            id=f"chatcmpl-{secrets.token_hex(12)}",
            created_s=int(time.time()),
            model=chat.model,
            digest=answering.entry.digest,
            includes_usage=chat.includes_usage,
        )
        async with aclosing(_deltas(answering, worker, chat)) as deltas:
            if chat.is_stream:
                return await _stream(request, answering, answer, deltas)
            return await _whole(answer, deltas)


async def _deltas(
    answering: Answering, worker: WorkerClient, chat: ChatRequest
) -> AsyncGenerator[Delta, None]:
    async with aclosing(answering.ask(worker, chat.message(worker.new_id()))) as replies:
        async for reply in replies:
            delta = _delta(reply)
            answering.prompt_tokens = delta.prompt_tokens
            answering.completion_tokens = delta.completion_tokens
            answering.finish_reason = delta.finish_reason
            yield delta


async def _whole(answer: ChatAnswer, deltas: AsyncGenerator[Delta, None]) -> web.Response:
    pieces = []
    last = None
    async for delta in deltas:
        pieces.append(delta.text)
        last = delta
    if last is None:
        raise EngineError("the worker gave no answer")
    return web.Response(body=answer.whole("".join(pieces), last), content_type="application/json")


async def _stream(
    request: web.Request,
    answering: Answering,
    answer: ChatAnswer,
    deltas: AsyncGenerator[Delta, None],
) -> web.StreamResponse:
    # Before the first token every error still has its own HTTP status.
    last = await anext(deltas)
    response = web.StreamResponse(
        headers={"Content-Type": sse.CONTENT_TYPE, "Cache-Control": "no-store"}
    )
    await response.prepare(request)
    await response.write(sse.event(answer.opening()) + _piece(answer, last))
    try:
        async for delta in deltas:
            if piece := _piece(answer, delta):
                async with answering.in_time():
                    await response.write(piece)
            last = delta
    except SealiftError as error:
        # The status is sent already: the error goes out as an event, and no [DONE] follows.
        answering.outcome = error.code
        await response.write(sse.event(error_body(answer_for(error))))
        return response
    ending = sse.event(answer.ending(last))
    if answer.includes_usage:
        ending += sse.event(answer.usage(last))
    await response.write(ending + sse.DONE)
    return response


def _piece(answer: ChatAnswer, delta: Delta) -> bytes:
    return sse.event(answer.piece(delta.text)) if delta.text else b""


def _delta(reply: Reply) -> Delta:
    if not isinstance(reply, Delta):
        raise EngineError(f"the worker answered with {type(reply).__name__}")
    return reply
