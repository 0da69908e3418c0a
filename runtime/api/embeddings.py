"""`POST /v1/embeddings`: the shell around `embedding_request`, the engine and `responses`."""

from contextlib import aclosing

from aiohttp import web

from sealift.manifests.recipe import Task
from sealift.runtime.api import responses
from sealift.runtime.api.embedding_request import EmbeddingRequest, parse_embedding
from sealift.runtime.api.errors import BadRequestError
from sealift.runtime.api.state import STATE, Answering, off_loop, read_json_bytes
from sealift.runtime.engine.client import WorkerClient
from sealift.runtime.engine.errors import ContextLengthError, EngineError, PromptError
from sealift.runtime.engine.request import Embed, Vectors

__all__ = ["embeddings"]


async def embeddings(request: web.Request) -> web.StreamResponse:
    """Turn texts into vectors."""
    limits = request.app[STATE].config.limits
    data = await read_json_bytes(request, limits)
    wanted = await off_loop(len(data), parse_embedding, data, limits)
    async with Answering.begin(request, wanted.model, Task.EMBED) as answering:
        worker = await answering.worker()
        _check_dimensions(wanted, worker)
        message = Embed(id=worker.new_id(), inputs=wanted.inputs)
        vectors = await _vectors(answering, worker, message)
        answering.prompt_tokens = vectors.prompt_tokens
        size_bytes = sum(map(len, vectors.rows))
        body = await off_loop(
            size_bytes, responses.embeddings, wanted.model, vectors, is_base64=wanted.is_base64
        )
        return web.Response(body=body, content_type="application/json")


async def _vectors(answering: Answering, worker: WorkerClient, message: Embed) -> Vectors:
    try:
        async with aclosing(answering.ask(worker, message)) as replies:
            reply = await anext(replies, None)
    except (ContextLengthError, PromptError) as error:
        raise BadRequestError(error.message, param="input", code=error.code) from error
    if not isinstance(reply, Vectors):
        raise EngineError(f"the worker answered with {type(reply).__name__}")
    return reply


def _check_dimensions(wanted: EmbeddingRequest, worker: WorkerClient) -> None:
    has = None if worker.loaded is None else worker.loaded.dimensions
    if wanted.dimensions is not None and wanted.dimensions != has:
        raise BadRequestError(
            f"dimensions: this model gives {has}, shorter vectors are not supported yet",
            param="dimensions",
            code="unsupported_parameter",
        )
