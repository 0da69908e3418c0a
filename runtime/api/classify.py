"""`POST /v1/classify`: the shell around `classify_request`, the engine and `score_responses`."""

import secrets
import time

from aiohttp import web

from sealift.manifests.recipe import Task
from sealift.runtime.api.classify_request import parse_classify
from sealift.runtime.api.score_responses import classify_body
from sealift.runtime.api.state import STATE, Answering, off_loop, read_json_bytes
from sealift.runtime.api.whole_reply import whole_reply
from sealift.runtime.engine.request import Score, Scores

__all__ = ["classify"]


async def classify(request: web.Request) -> web.StreamResponse:
    """Tell the probability of each of a model's labels."""
    limits = request.app[STATE].config.limits
    data = await read_json_bytes(request, limits)
    wanted = await off_loop(len(data), parse_classify, data, limits)
    async with Answering.begin(request, wanted.model, Task.CLASSIFY) as answering:
        worker = await answering.worker()
        message = Score(id=worker.new_id(), inputs=wanted.inputs)
        scores = await whole_reply(answering, worker, message, Scores, param="input")
        body = await off_loop(
            len(data),
            classify_body,
            f"classify-{secrets.token_hex(16)}",
            wanted.model,
            () if worker.loaded is None else worker.loaded.labels,
            scores,
            created_s=int(time.time()),
        )
        return web.Response(body=body, content_type="application/json")
