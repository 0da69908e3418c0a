"""Ask a worker for an answer that comes in one piece: vectors, or scores."""

from contextlib import aclosing
from typing import TypeVar

from sealift.runtime.api.errors import BadRequestError
from sealift.runtime.api.state import Answering
from sealift.runtime.engine.errors import ContextLengthError, EngineError, PromptError
from sealift.runtime.engine.fleet.client import WorkerClient
from sealift.runtime.engine.request import Embed, Score, Scores, Vectors

__all__ = ["whole_reply"]

_T = TypeVar("_T", Vectors, Scores)


async def whole_reply(
    answering: Answering,
    worker: WorkerClient,
    message: Embed | Score,
    kind: type[_T],
    *,
    param: str,
) -> _T:
    """Return the reply, and count its tokens for the audit entry.

    Args:
        param: the field that an unfit text is in, where the worker does not name another.

    Raises:
        BadRequestError: a text does not fit the model.
        EngineError: see `Answering.ask`.
    """
    try:
        async with aclosing(answering.ask(worker, message)) as replies:
            reply = await anext(replies, None)
    except (ContextLengthError, PromptError) as error:
        raise BadRequestError(error.message, param=error.param or param, code=error.code) from error
    if not isinstance(reply, kind):
        raise EngineError(f"the worker answered with {type(reply).__name__}")
    answering.prompt_tokens = reply.prompt_tokens
    return reply
