"""`sealift serve`: the OpenAI API over installed models."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from sealift.cli.byte_size import ByteSize
from sealift.cli.duration import Duration
from sealift.cli.options import home_option, open_store
from sealift.cli.output import talk

if TYPE_CHECKING:
    from sealift.runtime.api import ServeConfig
    from sealift.runtime.engine.prepack_spec import PrepackSettings
    from sealift.runtime.store.store import Store

__all__ = ["command"]


class _Alias(click.ParamType[tuple[str, str]]):
    """`NAME=MODEL`, where the model may have a version."""

    name = "name=model"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, str]:
        """Read an alias."""
        if isinstance(value, tuple):
            return value
        alias, _, model = str(value).partition("=")
        if not alias or not model:
            self.fail(f"expected NAME=MODEL or NAME=MODEL:VERSION, got {value!r}", param, ctx)
        return alias, model


def _default_cache() -> Path:
    base = os.environ.get("XDG_CACHE_HOME", "")
    # The XDG specification: what is not absolute is ignored.
    root = Path(base) if base.startswith("/") else Path.home() / ".cache"
    return root / "sealift"


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
    "--memory",
    type=ByteSize(),
    help="Of all models together, such as 16GB; default: four fifths of what this process may use.",
)
@click.option(
    "--pin",
    "pinned",
    metavar="MODEL",
    multiple=True,
    help="Load it at the start and never unload it. MODEL here and below: NAME or NAME:VERSION.",
)
@click.option(
    "--preload", "preloaded", metavar="MODEL", multiple=True, help="Load it at the start."
)
@click.option(
    "--keep-alive",
    type=Duration(may_be_zero=True, may_be_forever=True),
    default="30m",
    show_default=True,
    help="Unload a model that nobody used for so long; 0: at once, forever: never.",
)
@click.option(
    "--alias",
    "aliases",
    type=_Alias(),
    metavar="NAME=MODEL",
    multiple=True,
    help="Another name, such as one that clients were written for.",
)
@click.option(
    "--slots",
    type=click.IntRange(1, 256),
    default=8,
    show_default=True,
    help="Requests of one model that are answered together.",
)
@click.option(
    "--queue",
    type=click.IntRange(0, 65536),
    default=64,
    show_default=True,
    help="Requests of one model that may wait for a slot before new ones are refused.",
)
@click.option(
    "--request-timeout",
    type=Duration(),
    default="10m",
    show_default=True,
    help="A request gets so long: the wait for its model and the whole answer.",
)
@click.option("--threads", type=click.IntRange(1, 1024), help="Of one model; default: all cores.")
@click.option(
    "--context",
    type=click.IntRange(16),
    help="Cap on tokens of one conversation; default: the model's.",
)
@click.option(
    "--kv-cache",
    type=ByteSize(),
    help="Cap on the attention cache of one model; default: half of --memory.",
)
@click.option(
    "--prepack-cache",
    type=click.Path(path_type=Path, file_okay=False),
    default=_default_cache,
    show_default="~/.cache/sealift",
    help="Where weights are kept in the form that this host's kernels read.",
)
@click.option(
    "--prepack-size",
    type=ByteSize(may_be_zero=True),
    default="20GB",
    show_default=True,
    help="How large that may get; 0: keep none.",
)
@home_option
def command(
    host: str,
    port: int,
    api_key_file: Path | None,
    memory: int | None,
    pinned: tuple[str, ...],
    preloaded: tuple[str, ...],
    keep_alive: float,
    aliases: tuple[tuple[str, str], ...],
    slots: int,
    queue: int,
    request_timeout: float,
    threads: int | None,
    context: int | None,
    kv_cache: int | None,
    prepack_cache: Path,
    prepack_size: int,
    home: Path,
) -> None:
    """Serve installed models through the OpenAI API.

    A model is loaded, and every file of it hashed again, when it is first asked for. Each runs in a
    process of its own, without a network, that sees no file but its own. Models that do not fit
    into memory together take turns.
    """  # fmt: skip
    from sealift.runtime.api import ApiLimits, ServeConfig, read_api_keys
    from sealift.runtime.engine.fleet.settings import FleetSettings
    from sealift.runtime.engine.settings import EngineSettings

    api_keys = read_api_keys(api_key_file) if api_key_file is not None else ()
    fleet = FleetSettings(
        memory_bytes=memory,
        pinned=pinned,
        preloaded=preloaded,
        aliases=aliases,
        keep_alive_s=None if keep_alive == float("inf") else keep_alive,
    )
    engine = EngineSettings(
        slots=slots,
        queue_limit=queue,
        threads=threads,
        context_length=context,
        cache_bytes=kv_cache,
    )
    # What is wrong with the address or the keys is said before anything is opened.
    limits = ApiLimits(request_timeout_s=request_timeout)
    ServeConfig(host=host, port=port, api_keys=api_keys)
    store = open_store(home)
    config = ServeConfig(
        host=host,
        port=port,
        api_keys=api_keys,
        limits=limits,
        engine=engine,
        fleet=fleet,
        prepack=_prepack(store, home, prepack_cache, prepack_size),
    )
    _serve(config, store)


def _serve(config: "ServeConfig", store: "Store") -> None:
    from sealift.runtime.api import run
    from sealift.runtime.audit.entry import Event, Field, Kind
    from sealift.runtime.engine.fleet.store_catalogue import StoreCatalogue

    def say(url: str) -> None:
        talk(f"serving {len(store.models())} model(s) on {url}/v1")
        wanted = dict.fromkeys((*config.fleet.pinned, *config.fleet.preloaded))
        if wanted:
            talk(f"loading {', '.join(wanted)}")

    where: dict[str, Field] = {
        "host": config.host, "port": config.port, "api_keys": len(config.api_keys),
    }  # fmt: skip
    store.log.append(Event(kind=Kind.SERVE_START, fields=where))
    try:
        run(config, StoreCatalogue(store), store.log, on_ready=say)
    finally:
        store.log.append(Event(kind=Kind.SERVE_STOP, fields=where))


def _prepack(store: "Store", home: Path, folder: Path, size_bytes: int) -> "PrepackSettings | None":
    from sealift.runtime.audit.site_key import read_private
    from sealift.runtime.engine.prepack.key import derive_key
    from sealift.runtime.engine.prepack_spec import PrepackSettings

    if size_bytes == 0:
        return None
    # The site's private key is in every home, only the server's user reads it, and it is not in the
    # cache's folder: who could put a key there could forge entries.
    secret = read_private(home).encode(None)
    return PrepackSettings(
        # Entries of another home on this host are sealed with another key.
        folder=str(folder.absolute() / store.log.public.key_id),
        key=derive_key(secret, purpose=b"sealift cache of prepacked weights"),
        size_bytes=size_bytes,
    )
