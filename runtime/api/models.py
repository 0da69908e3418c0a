"""`GET /v1/models`, `GET /v1/models/{id}` and `GET /health`."""

import msgspec
from aiohttp import web

from sealift.runtime.api.model_card import model_card
from sealift.runtime.api.state import ENTRY, STATE

__all__ = ["get_health", "get_model", "list_models"]


async def list_models(request: web.Request) -> web.Response:
    """List every id that a request may name: `name`, `name:version` and aliases."""
    registry = request.app[STATE].registry
    named = []
    for entry in await registry.entries():
        if entry.is_current:
            named.append((entry.name, entry))
        named.append((entry.label, entry))
    named += await registry.aliases()
    cards = [model_card(entry, name, registry.status(entry)) for name, entry in named]
    body = msgspec.json.encode({"object": "list", "data": cards})
    return web.Response(body=body, content_type="application/json")


async def get_model(request: web.Request) -> web.Response:
    """Show one model."""
    registry = request.app[STATE].registry
    model_id = request.match_info["model_id"]
    entry = await registry.find(model_id)
    request[ENTRY] = entry
    card = model_card(entry, model_id, registry.status(entry))
    return web.Response(body=msgspec.json.encode(card), content_type="application/json")


async def get_health(request: web.Request) -> web.Response:
    """Say whether answers can be given: the audit log takes entries."""
    await request.app[STATE].audit.ready()
    return web.json_response({"status": "ok"})
