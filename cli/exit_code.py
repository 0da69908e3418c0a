"""What a script can tell from how `sealift` ended."""

from enum import IntEnum

from sealift.manifests.errors import Category

__all__ = ["ExitCode", "exit_code_for"]


class ExitCode(IntEnum):
    """The documented exit codes."""

    OK = 0
    OTHER = 1
    USAGE = 2
    INTEGRITY = 3
    NOT_TRUSTED = 4
    IO = 5
    INTERRUPTED = 130


_BY_CATEGORY = {
    Category.OTHER: ExitCode.OTHER,
    Category.USAGE: ExitCode.USAGE,
    Category.INTEGRITY: ExitCode.INTEGRITY,
    Category.TRUST: ExitCode.NOT_TRUSTED,
    Category.IO: ExitCode.IO,
}


def exit_code_for(category: Category) -> ExitCode:
    """Return the exit code of a failure of this category."""
    return _BY_CATEGORY[category]
