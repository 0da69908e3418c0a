"""`POST /v1/rerank`: the shell around `rerank_request`, the engine and `score_responses`."""

import secrets

from aiohttp import web

from sealift.manifests.recipe import Task
from sealift.runtime.api.rerank_request import parse_rerank
from sealift.runtime.api.score_responses import rerank_body
from sealift.runtime.api.state import STATE, Answering, off_loop, read_json_bytes
from sealift.runtime.api.whole_reply import whole_reply
from sealift.runtime.engine.request import Score, Scores

__all__ = ["rerank"]


async def rerank(request: web.Request) -> web.StreamResponse:
    """Sort documents by their relevance to a query."""
    limits = request.app[STATE].config.limits
    data = await read_json_bytes(request, limits)
    wanted = await off_loop(len(data), parse_rerank, data, limits)
    async with Answering.begin(request, wanted.model, Task.RERANK) as answering:
        worker = await answering.worker()
        pairs = tuple((wanted.query, document) for document in wanted.documents)
        message = Score(id=worker.new_id(), inputs=pairs)
        scores = await whole_reply(answering, worker, message, Scores, param="documents")
        body = await off_loop(
            len(data), rerank_body, f"rerank-{secrets.token_hex(16)}", wanted, scores
        )
        return web.Response(body=body, content_type="application/json")
