"""Write `docs/cli.md`: the help of every verb, as the program prints it.

python docs/generate_cli.py > docs/cli.md
"""

from collections.abc import Iterator

import click

from sealift.cli.exit_code import ExitCode
from sealift.cli.main import cli

_WIDTH = 100
_MEANING = {
    ExitCode.OK: "fine",
    ExitCode.OTHER: "anything else",
    ExitCode.USAGE: "usage: the command line, a recipe, or a key file must be corrected",
    ExitCode.INTEGRITY: "integrity: a byte, a file, or a document is not what was signed",
    ExitCode.NOT_TRUSTED: "not trusted: nothing is broken, but no key or rule here accepts it",
    ExitCode.IO: "I/O or space",
    ExitCode.INTERRUPTED: "interrupted",
}


def main() -> None:
    """Print the page."""
    print("# The `sealift` command\n")
    print("Written by `make schema` from the program's own help; a test keeps it current.\n")
    print("| exit code | meaning |\n|---|---|")
    for code, meaning in _MEANING.items():
        print(f"| {code.value} | {meaning} |")
    print("\nstdout is data, stderr is talk. Every listing takes `--json`.\n")
    for path, command in _walk("sealift", cli):
        context = click.Context(command, info_name=path, terminal_width=_WIDTH)
        print(f"## {path}\n\n```\n{command.get_help(context)}\n```\n")


def _walk(path: str, command: click.Command) -> Iterator[tuple[str, click.Command]]:
    yield path, command
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            child = command.get_command(context, name)
            if child is not None:
                yield from _walk(f"{path} {name}", child)


if __name__ == "__main__":
    main()
