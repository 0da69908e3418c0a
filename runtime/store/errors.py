"""The error family of the store."""

from sealift.manifests.errors import Category, SealiftError

__all__ = [
    "ClockError",
    "DowngradeError",
    "NotInstalledError",
    "StoreError",
    "StoreIntegrityError",
    "VersionConflictError",
]


class StoreError(SealiftError):
    """The home cannot be read or written."""

    category = Category.IO
    code = "store_error"


class NotInstalledError(StoreError):
    """No such model, version or key is here."""

    category = Category.USAGE
    code = "not_installed"


class StoreIntegrityError(StoreError):
    """A file of the home is not what the log says."""

    category = Category.INTEGRITY
    code = "store_integrity"


class VersionConflictError(StoreError):
    """The same name and version is installed, with other content."""

    category = Category.USAGE
    code = "version_conflict"


class DowngradeError(StoreError):
    """The release is older than one that this host has accepted."""

    category = Category.TRUST
    code = "downgrade"


class ClockError(StoreError):
    """The host's clock is behind something that has already happened."""

    category = Category.TRUST
    code = "clock_behind"
