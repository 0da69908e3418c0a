"""The error family of media and imports."""

from sealift.manifests.errors import Category, SealiftError

__all__ = [
    "ImportBusyError",
    "ImporterError",
    "MediumError",
    "MediumNotFoundError",
    "MediumReadError",
    "NoSuchBundleError",
    "SpaceError",
]


class ImporterError(SealiftError):
    """An import could not be done."""

    category = Category.IO
    code = "import_failed"


class MediumError(ImporterError):
    """A file of the medium is wrong, missing or too many.

    Args:
        path: the file, relative to the medium.
    """

    category = Category.INTEGRITY
    code = "medium_invalid"

    def __init__(self, path: str, message: str, *, hint: str | None = None) -> None:
        super().__init__(f"{path}: {message}", hint=hint)
        self.path = path


class MediumReadError(ImporterError):
    """The device gave an error, or was pulled."""

    code = "medium_unreadable"


class MediumNotFoundError(ImporterError):
    """There is no folder at the path given."""

    category = Category.USAGE
    code = "no_medium"


class NoSuchBundleError(ImporterError):
    """The medium carries other bundles than the one asked for, or several."""

    category = Category.USAGE
    code = "no_such_bundle"


class SpaceError(ImporterError):
    """The disk is too small; checked before anything is read."""

    code = "no_space"


class ImportBusyError(ImporterError):
    """Another import into this home is running."""

    code = "import_busy"
