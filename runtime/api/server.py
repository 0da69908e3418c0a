"""Listen, serve, and end on a signal."""

import asyncio
import signal
from collections.abc import Callable

from aiohttp import web

from sealift.runtime.api.app import make_app
from sealift.runtime.api.config import ServeConfig, ServeConfigError
from sealift.runtime.engine.fleet.audit_queue import AuditSink
from sealift.runtime.engine.fleet.registry import ModelCatalogue

__all__ = ["make_runner", "run"]


def run(
    config: ServeConfig,
    models: ModelCatalogue,
    audit: AuditSink,
    *,
    on_ready: Callable[[str], None] = lambda url: None,
) -> None:
    """Serve until SIGINT or SIGTERM; answers that are being given get a little time to end.

    Args:
        on_ready: called with the URL once connections are accepted (port 0: the one that was free).

    Raises:
        ServeConfigError: the address cannot be listened on.
    """
    asyncio.run(_serve(config, models, audit, on_ready))


def make_runner(config: ServeConfig, app: web.Application) -> web.AppRunner:
    """Return the runner with the config's bounds; a dropped client cancels its handler."""
    limits = config.limits
    return web.AppRunner(
        app,
        handler_cancellation=True,
        access_log=None,
        keepalive_timeout=limits.keepalive_timeout_s,
        max_headers=limits.headers,
        max_line_size=limits.header_bytes,
        max_field_size=limits.header_bytes,
        shutdown_timeout=limits.shutdown_timeout_s,
    )


async def _serve(
    config: ServeConfig,
    models: ModelCatalogue,
    audit: AuditSink,
    on_ready: Callable[[str], None],
) -> None:
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, ended.set)
    runner = make_runner(config, make_app(config, models, audit))
    await runner.setup()
    try:
        site = web.TCPSite(runner, config.host, config.port)
        try:
            await site.start()
        except OSError as error:
            raise ServeConfigError(
                f"listen on {config.host} port {config.port}: {error.strerror or error}",
                hint="is another server running there? choose one with --port",
            ) from error
        on_ready(_url(config, runner))
        await ended.wait()
    finally:
        await runner.cleanup()


def _url(config: ServeConfig, runner: web.AppRunner) -> str:
    host = f"[{config.host}]" if ":" in config.host else config.host
    port = runner.addresses[0][1]
    return f"http://{host}:{port}"
