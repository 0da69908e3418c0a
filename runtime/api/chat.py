"""`POST /v1/chat/completions`: the shell around `chat_request`, the engine, and the answers."""

import secrets
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing

from aiohttp import web

from sealift.manifests.errors import SealiftError
from sealift.manifests.recipe import Task
from sealift.runtime.api import sse
from sealift.runtime.api.chat_answer import ChatAnswer
from sealift.runtime.api.chat_head import ChatHead
from sealift.runtime.api.chat_request import ChatRequest, parse_chat
from sealift.runtime.api.chat_stream import ChatStream
from sealift.runtime.api.errors import BadRequestError, DeadlineError, answer_for, error_body
from sealift.runtime.api.state import STATE, Answering, off_loop, read_json_bytes
from sealift.runtime.api.tally import Tally
from sealift.runtime.engine.errors import EngineError, GrammarError
from sealift.runtime.engine.fleet.client import WorkerClient
from sealift.runtime.engine.request import Delta, Reply

__all__ = ["chat_completions"]

_Deltas = AsyncGenerator[list[Delta], None]


async def chat_completions(request: web.Request) -> web.StreamResponse:
    """Answer a conversation, whole or as a stream."""
    limits = request.app[STATE].config.limits
    data = await read_json_bytes(request, limits)
    chat = await off_loop(len(data), parse_chat, data, limits, fallback_seed=secrets.randbits(63))
    async with Answering.begin(request, chat.model, Task.CHAT) as answering:
        worker = await answering.worker()
        head = ChatHead(
            id=f"chatcmpl-{secrets.token_hex(12)}",
            created_s=int(time.time()),
            model=chat.model,
            digest=answering.entry.digest,
        )
        tally = Tally(choices=chat.choices)
        try:
            async with aclosing(_deltas(worker, chat)) as deltas:
                if chat.is_stream:
                    stream = ChatStream(
                        head, tally, choices=chat.choices, includes_usage=chat.includes_usage
                    )
                    return await _stream(request, answering, stream, deltas)
                tells_logprobs = chat.sampling.top_logprobs is not None
                answer = ChatAnswer(
                    head, tally, choices=chat.choices, tells_logprobs=tells_logprobs
                )
                return await _whole(answering, answer, deltas)
        finally:
            answering.prompt_tokens = tally.prompt_tokens
            answering.completion_tokens = tally.completion_tokens
            answering.finish_reason = tally.finish_reason


async def _deltas(worker: WorkerClient, chat: ChatRequest) -> _Deltas:
    """Yield what the worker says; what waits together, together."""
    message = chat.message(worker.new_id())
    group: list[Delta] = []
    try:
        async with aclosing(worker.ask(message)) as replies:
            async for reply in replies:
                group.append(_delta(reply))
                if not worker.has_waiting(message.id):
                    yield group
                    group = []
    except EngineError as error:
        if group:
            yield group
        if not isinstance(error, GrammarError):
            raise
        param = error.param or chat.grammar_param
        raise BadRequestError(
            error.message, param=param, code=error.code, hint=error.hint or ""
        ) from error


def _delta(reply: Reply) -> Delta:
    if not isinstance(reply, Delta):
        raise EngineError(f"the worker answered with {type(reply).__name__}")
    return reply


async def _whole(answering: Answering, answer: ChatAnswer, deltas: _Deltas) -> web.Response:
    async with answering.in_time():
        async for group in deltas:
            for delta in group:
                answer.add(delta)
    return web.Response(body=answer.body(), content_type="application/json")


async def _stream(
    request: web.Request, answering: Answering, stream: ChatStream, deltas: _Deltas
) -> web.StreamResponse:
    # Before the first token every error still has its own HTTP status.
    async with answering.in_time():
        first: list[Delta] = await anext(deltas, [])
    response = web.StreamResponse(
        headers={"Content-Type": sse.CONTENT_TYPE, "Cache-Control": "no-store"}
    )
    await response.prepare(request)
    try:
        # One deadline for all of it: a timer a token would cost more than the token's text.
        async with answering.in_time():
            await response.write(stream.events(first))
            async for group in deltas:
                if events := stream.events(group):
                    await response.write(events)
            await response.write_eof(stream.ending())
    except SealiftError as error:
        # The status is sent already: the error goes out as an event, and no [DONE] follows.
        answering.outcome = error.code
        await deltas.aclose()  # the worker need not go on for a client that may not be reading
        await _farewell(request, answering, response, error)
    return response


async def _farewell(
    request: web.Request, answering: Answering, response: web.StreamResponse, error: SealiftError
) -> None:
    """Send the error as the last event; who does not read would hold us, and is cut off."""
    try:
        # A wait for the client that the deadline ended cannot be begun again.
        if isinstance(error, DeadlineError) and _is_unread(request):
            raise error
        async with answering.in_time():
            await response.write_eof(sse.event(error_body(answer_for(error))))
    except DeadlineError:
        if request.transport is not None:
            request.transport.abort()


def _is_unread(request: web.Request) -> bool:
    transport = request.transport
    if transport is None:
        return False
    low_bytes, _ = transport.get_write_buffer_limits()
    return transport.get_write_buffer_size() > low_bytes
