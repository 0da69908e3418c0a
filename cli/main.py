"""The `sealift` command: finds the verb, runs it, and turns what it raises into one line.

Verbs are imported when they run, so `sealift --help` loads nothing heavy.
"""

import importlib
import os
import sys
import traceback
from collections.abc import Sequence
from typing import Any, NoReturn

import click

from sealift.cli.exit_code import ExitCode, exit_code_for
from sealift.manifests.errors import SealiftError
from sealift.manifests.telemetry import disable_telemetry
from sealift.manifests.tool import tool_name

__all__ = ["COMMANDS", "cli", "main"]

#: Verb: the module that holds it, and its line in `--help`.
COMMANDS = {
    "build": ("sealift.cli.build", "Build a recipe into a sealed bundle."),
    "recipes": ("sealift.cli.recipes", "List the recipes that ship with sealift."),
    "inspect": ("sealift.cli.inspect", "Show what a bundle says of itself, and who signed it."),
    "verify": ("sealift.cli.verify", "Check every byte of a bundle or medium."),
    "import": ("sealift.cli.import_", "Verify a bundle and install it."),
    "media": ("sealift.cli.media", "Move bundles over sticks, discs and one-way links."),
    "have": ("sealift.cli.have", "Write a list of what this host holds, for smaller media."),
    "models": ("sealift.cli.models", "List, show, remove and roll back installed models."),
    "serve": ("sealift.cli.serve", "Serve installed models through the OpenAI API."),
    "audit": ("sealift.cli.audit", "Prove the state of this host, or read its log."),
    "keys": ("sealift.cli.keys", "Make signing keys, and say whose signatures count."),
}


class _LazyGroup(click.Group):
    """A group whose verbs are imported when they are asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        command = importlib.import_module(COMMANDS[cmd_name][0]).command
        assert isinstance(command, click.Command)  # noqa: S101  # our own table, not outside data
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(verb, line) for verb, (_, line) in COMMANDS.items()])


def _print_version(ctx: click.Context, _: click.Parameter, wanted: bool) -> None:
    if wanted:
        click.echo(tool_name())
        ctx.exit()


@click.group(cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--version", is_flag=True, is_eager=True, expose_value=False, callback=_print_version,
    help="Show the version and exit.",
)  # fmt: skip
def cli() -> None:
    """Sealed model bundles, lifted across the air gap.

    \b
    Exit codes: 0 fine · 2 usage · 3 integrity · 4 not trusted · 5 I/O or space · 1 anything else
    """


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run one command line and exit with a documented code."""
    disable_telemetry()
    try:
        result: Any = cli.main(
            args=list(arguments) if arguments is not None else None,
            prog_name="sealift",
            standalone_mode=False,
        )
        sys.stdout.flush()
        code = ExitCode(result) if isinstance(result, int) else ExitCode.OK
    except SealiftError as error:
        code = _report(error.message, error.hint, exit_code_for(error.category))
    except click.exceptions.Abort:
        code = _report("interrupted", None, ExitCode.INTERRUPTED)
    except click.ClickException as error:
        code = _report(_as_ours(error.format_message()), _help_of(error), ExitCode.USAGE)
    except SystemExit:
        code = ExitCode.IO  # click ends so, and only so, when whoever reads our output went away
    except BrokenPipeError:
        # The reader went away (`sealift … | head`); nobody is left to tell.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = ExitCode.IO
    except OSError as error:
        code = _report(f"{error.filename or 'i/o'}: {error.strerror or error}", None, ExitCode.IO)
    except Exception as error:  # noqa: BLE001  # the outer edge: a person reads what is said here
        code = _report_bug(error)
    sys.exit(int(code))


def _report(message: str, hint: str | None, code: ExitCode) -> ExitCode:
    click.echo(f"{_paint('error:', 'red')} {message}", err=True)
    if hint:
        click.echo(f"{_paint('hint:', 'cyan')} {hint}", err=True)
    return code


def _as_ours(message: str) -> str:
    line = " ".join(message.split()).rstrip(".")
    return line[:1].lower() + line[1:]


def _help_of(error: click.ClickException) -> str | None:
    context = getattr(error, "ctx", None)
    return f"{context.command_path} --help" if isinstance(context, click.Context) else None


def _report_bug(error: Exception) -> ExitCode:
    if os.environ.get("SEALIFT_DEBUG"):
        traceback.print_exc()
    return _report(
        f"unexpected {type(error).__name__}: {error}",
        "this is a fault in sealift: run again with SEALIFT_DEBUG=1 and report what it prints",
        ExitCode.OTHER,
    )


def _paint(text: str, color: str) -> str:
    plain = os.environ.get("NO_COLOR") or not sys.stderr.isatty()
    return text if plain else click.style(text, fg=color, bold=True)
