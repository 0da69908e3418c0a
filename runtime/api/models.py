"""`GET /v1/models`, `GET /v1/models/{id}` and `GET /health`."""

import msgspec
from aiohttp import web

from sealift.runtime.api import responses
from sealift.runtime.api.state import ENTRY, STATE

__all__ = ["get_health", "get_model", "list_models"]


async def list_models(request: web.Request) -> web.Response:
    """List every id that a request may name."""
    registry = request.app[STATE].registry
    body = responses.model_list(await registry.entries(), registry.states())
    return web.Response(body=body, content_type="application/json")


async def get_model(request: web.Request) -> web.Response:
    """Show one model."""
    registry = request.app[STATE].registry
    model_id = request.match_info["model_id"]
    entry = await registry.find(model_id)
    request[ENTRY] = entry
    card = responses.model_card(entry, model_id, registry.states().get(entry.label, "idle"))
    return web.Response(body=msgspec.json.encode(card), content_type="application/json")


async def get_health(request: web.Request) -> web.Response:
    """Say whether answers can be given: the audit log takes entries."""
    await request.app[STATE].audit.ready()
    return web.json_response({"status": "ok"})
