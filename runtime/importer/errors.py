"""The error family of imports."""

from sealift.manifests.errors import Category, SealiftError

__all__ = [
    "BaseMissingError",
    "ImportBusyError",
    "ImporterError",
    "SpaceError",
]


class ImporterError(SealiftError):
    """An import could not be done."""

    category = Category.IO
    code = "import_failed"


class SpaceError(ImporterError):
    """The disk is too small; checked before anything is read."""

    code = "no_space"


class ImportBusyError(ImporterError):
    """Another import into this home is running."""

    code = "import_busy"


class BaseMissingError(ImporterError):
    """A delta leaves out what this host does not hold."""

    category = Category.INTEGRITY
    code = "base_missing"
