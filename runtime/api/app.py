"""Put the application together: routes, who may ask, lifetimes.

>>> app = make_app(ServeConfig(), catalogue, audit_sink)    # doctest: +SKIP
"""

from collections.abc import AsyncIterator, Awaitable, Callable

from aiohttp import web

from sealift.runtime.api.access import check_browser, check_key
from sealift.runtime.api.chat import chat_completions
from sealift.runtime.api.classify import classify
from sealift.runtime.api.config import ServeConfig
from sealift.runtime.api.embeddings import embeddings
from sealift.runtime.api.errors import error_middleware
from sealift.runtime.api.models import get_health, get_model, list_models
from sealift.runtime.api.rerank import rerank
from sealift.runtime.api.state import DIGEST_HEADER, ENTRY, STATE, ApiState
from sealift.runtime.engine.fleet.audit_queue import AuditQueue, AuditSink
from sealift.runtime.engine.fleet.registry import ModelCatalogue, Registry
from sealift.runtime.engine.prepack.cache import PrepackCache

__all__ = ["make_app"]

_OPEN_PATHS = frozenset({"/health"})

_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def make_app(config: ServeConfig, models: ModelCatalogue, audit: AuditSink) -> web.Application:
    """Return the application; a worker starts with the first request, unless it is preloaded."""
    app = web.Application(
        middlewares=[error_middleware, _access_middleware(config)],
        client_max_size=config.limits.body_bytes,
    )
    app.cleanup_ctx.append(_engine(config, models, audit))
    app.on_response_prepare.append(_name_model)
    app.router.add_get("/health", get_health)
    app.router.add_get("/v1/models", list_models)
    app.router.add_get("/v1/models/{model_id}", get_model)
    app.router.add_post("/v1/chat/completions", chat_completions)
    app.router.add_post("/v1/embeddings", embeddings)
    app.router.add_post("/v1/rerank", rerank)
    app.router.add_post("/v1/classify", classify)
    return app


def _engine(
    config: ServeConfig, models: ModelCatalogue, audit: AuditSink
) -> Callable[[web.Application], AsyncIterator[None]]:
    async def lifetime(app: web.Application) -> AsyncIterator[None]:
        queue = AuditQueue(audit)
        queue.start()
        prepack = None if config.prepack is None else PrepackCache(config.prepack)
        registry = Registry(models, config.engine, queue, config.fleet, prepack)
        app[STATE] = ApiState(config=config, registry=registry, audit=queue)
        try:
            if prepack is not None:
                await prepack.start()
            await registry.start()
            yield
        finally:
            await registry.stop()
            if prepack is not None:
                await prepack.stop()
            await queue.stop()

    return lifetime


def _access_middleware(config: ServeConfig) -> Callable[..., Awaitable[web.StreamResponse]]:
    @web.middleware
    async def check_access(request: web.Request, handler: _Handler) -> web.StreamResponse:
        if not config.api_keys:
            check_browser(request.headers)
        elif request.path not in _OPEN_PATHS:
            check_key(request.headers, config.api_keys)
        return await handler(request)

    return check_access


async def _name_model(request: web.Request, response: web.StreamResponse) -> None:
    """Every response about a model says which bytes it is, refusals and streams included."""
    entry = request.get(ENTRY)
    if entry is not None:
        response.headers[DIGEST_HEADER] = entry.digest
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Server"] = "sealift"  # aiohttp would tell its own and Python's version
