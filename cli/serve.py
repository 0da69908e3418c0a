"""`sealift serve`: the OpenAI API over installed models."""

from pathlib import Path

import click

from sealift.cli.options import home_option, open_store
from sealift.cli.output import talk

__all__ = ["command"]


@click.command("serve", short_help="Serve installed models through the OpenAI API.")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--port", type=click.IntRange(0, 65535), default=8080, show_default=True, help="0: a free one."
)
@click.option(
    "--api-key-file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Keys that clients must send, one a line; needed for any address but loopback.",
)
@click.option(
    "--slots",
    type=click.IntRange(1, 256),
    default=8,
    show_default=True,
    help="Requests of one model that are answered together.",
)
@click.option("--threads", type=click.IntRange(1, 1024), help="Of one model; default: all cores.")
@click.option(
    "--context",
    type=click.IntRange(16),
    help="Cap on tokens of one conversation; default: the model's.",
)
@home_option
def command(
    host: str,
    port: int,
    api_key_file: Path | None,
    slots: int,
    threads: int | None,
    context: int | None,
    home: Path,
) -> None:
    """Serve installed models through the OpenAI API.

    A model is loaded, and every file of it hashed again, when it is first asked for. Each runs in a
    process of its own, without a network.
    """  # fmt: skip
    from sealift.runtime.api import ServeConfig, read_api_keys, run
    from sealift.runtime.audit.entry import Event, Field, Kind
    from sealift.runtime.engine.settings import EngineSettings
    from sealift.runtime.engine.store_catalogue import StoreCatalogue

    config = ServeConfig(
        host=host,
        port=port,
        api_keys=read_api_keys(api_key_file) if api_key_file is not None else (),
        engine=EngineSettings(slots=slots, threads=threads, context_length=context),
    )
    store = open_store(home)
    where: dict[str, Field] = {"host": host, "port": port, "api_keys": len(config.api_keys)}
    store.log.append(Event(kind=Kind.SERVE_START, fields=where))
    try:
        run(
            config,
            StoreCatalogue(store),
            store.log,
            on_ready=lambda url: talk(f"serving {len(store.models())} model(s) on {url}/v1"),
        )
    finally:
        store.log.append(Event(kind=Kind.SERVE_STOP, fields=where))
