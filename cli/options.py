"""Options that several verbs share."""

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from sealift.keys.errors import KeyFileError

if TYPE_CHECKING:
    from sealift.runtime.store.store import Store

__all__ = [
    "home_option",
    "json_option",
    "open_store",
    "open_store_if_any",
    "passphrase_option",
    "passphrase_source",
]

_F = TypeVar("_F", bound=Callable[..., Any])


def home_option(function: _F) -> _F:
    """`--home`: where this host keeps models, trust and log."""
    return click.option(
        "--home",
        type=click.Path(path_type=Path, file_okay=False),
        envvar="SEALIFT_HOME",
        default=lambda: Path.home() / ".sealift",
        show_default="SEALIFT_HOME, else ~/.sealift",
        help="Where models, trusted keys and the log are kept.",
    )(function)


def json_option(function: _F) -> _F:
    """`--json`: the same facts for programs."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON.")(function)


def passphrase_option(function: _F) -> _F:
    """`--passphrase-file`: for scripts; people are asked, or set SEALIFT_PASSPHRASE."""
    return click.option(
        "--passphrase-file",
        type=click.Path(path_type=Path, dir_okay=False, exists=True),
        help="Read the key's passphrase from this file's first line.",
    )(function)


def passphrase_source(file: Path | None, *, confirm: bool) -> Callable[[], bytes]:
    """Return a function that gets a passphrase: the file, SEALIFT_PASSPHRASE, or a prompt."""

    def ask() -> bytes:
        if file is not None:
            text = file.read_text().split("\n", 1)[0]
        elif "SEALIFT_PASSPHRASE" in os.environ:
            text = os.environ["SEALIFT_PASSPHRASE"]
        elif sys.stdin.isatty():
            text = click.prompt(
                "passphrase", hide_input=True, confirmation_prompt=confirm, err=True
            )
        else:
            raise KeyFileError(
                "a passphrase is needed and there is no terminal to ask on",
                hint="set SEALIFT_PASSPHRASE, or give --passphrase-file",
            )
        if not text:
            raise KeyFileError("an empty passphrase protects nothing")
        return text.encode()

    return ask


def open_store(home: Path) -> "Store":
    """Open the home; SEALIFT_SITE is this site's name, for bundles addressed to certain sites."""
    from sealift.runtime.store.store import Store

    return Store.open(home, site=os.environ.get("SEALIFT_SITE") or None)


def open_store_if_any(home: Path) -> "Store | None":
    """Open the home if there is one: verbs that only read do not make one."""
    return open_store(home) if (home / "log").is_dir() else None
