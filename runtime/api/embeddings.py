"""`POST /v1/embeddings`: the shell around `embedding_request`, the engine and `responses`."""

from aiohttp import web

from sealift.manifests.recipe import Task
from sealift.runtime.api import responses
from sealift.runtime.api.embedding_request import EmbeddingRequest, parse_embedding
from sealift.runtime.api.errors import BadRequestError
from sealift.runtime.api.state import STATE, Answering, off_loop, read_json_bytes
from sealift.runtime.api.whole_reply import whole_reply
from sealift.runtime.engine.fleet.client import WorkerClient
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
        message = Embed(id=worker.new_id(), inputs=wanted.inputs, dimensions=wanted.dimensions)
        vectors = await whole_reply(answering, worker, message, Vectors, param="input")
        size_bytes = sum(map(len, vectors.rows))
        body = await off_loop(
            size_bytes, responses.embeddings, wanted.model, vectors, is_base64=wanted.is_base64
        )
        return web.Response(body=body, content_type="application/json")


def _check_dimensions(wanted: EmbeddingRequest, worker: WorkerClient) -> None:
    has = None if worker.loaded is None else worker.loaded.dimensions
    if wanted.dimensions is not None and has is not None and wanted.dimensions > has:
        raise BadRequestError(
            f"dimensions: expected 1 to {has}, which this model gives, got {wanted.dimensions}",
            param="dimensions",
        )
