"""The error family of media: what is wrong with one, whoever reads it."""

from sealift.manifests.errors import Category, SealiftError

__all__ = [
    "MediaError",
    "MediumError",
    "MediumNotFoundError",
    "MediumReadError",
    "MediumWriteError",
    "NoSuchBundleError",
    "ParityCountError",
    "ReadBackError",
    "ReaderGoneError",
    "RebuiltError",
    "RepairError",
    "WriteRequestError",
]


class MediaError(SealiftError):
    """A medium could not be read or written."""

    category = Category.IO
    code = "medium_failed"


class MediumError(MediaError):
    """A file of the medium is wrong, missing or too many.

    Args:
        path: the file, relative to the medium.
    """

    category = Category.INTEGRITY
    code = "medium_invalid"

    def __init__(self, path: str, message: str, *, hint: str | None = None) -> None:
        super().__init__(f"{path}: {message}", hint=hint)
        self.path = path


class MediumReadError(MediaError):
    """The device gave an error, or was pulled."""

    code = "medium_unreadable"


class MediumNotFoundError(MediaError):
    """There is no folder at the path given."""

    category = Category.USAGE
    code = "no_medium"


class NoSuchBundleError(MediaError):
    """The medium carries other bundles than the one asked for, or several."""

    category = Category.USAGE
    code = "no_such_bundle"


class ParityCountError(MediaError):
    """A number of repair parts that cannot be."""

    category = Category.USAGE
    code = "repair_parts_invalid"


class RepairError(MediaError):
    """More parts are lost than repair parts can make up for."""

    category = Category.INTEGRITY
    code = "repair_impossible"


class RebuiltError(RepairError):
    """A rebuilt part has other bytes than the signed ones."""

    code = "rebuilt_invalid"


class ReaderGoneError(MediaError):
    """Whoever read a stream closed it.

    Args:
        rounds: how many rounds were sent completely.
    """

    code = "reader_gone"

    def __init__(self, rounds: int) -> None:
        super().__init__(
            f"stream: the reader went away after {rounds} whole rounds",
            hint="what did it say?",
        )
        self.rounds = rounds


class WriteRequestError(MediaError):
    """A medium that cannot be written as it was asked for; nothing was written."""

    category = Category.USAGE
    code = "write_refused"


class MediumWriteError(MediaError):
    """The device refused a file, or is full."""

    code = "medium_write_failed"


class ReadBackError(MediaError):
    """What the device gives back is not what was written to it."""

    category = Category.INTEGRITY
    code = "read_back_failed"
