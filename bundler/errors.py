"""What can go wrong on the connected side, one class for each thing a caller treats differently."""

from sealift.manifests.errors import Category, SealiftError

__all__ = [
    "AdapterError",
    "BundlerError",
    "EvaluationError",
    "ExportError",
    "HubError",
    "LibrariesMissingError",
    "SourceError",
]


class BundlerError(SealiftError):
    """Root of this room's errors."""

    code = "build_failed"


class SourceError(BundlerError):
    """The model folder holds something that must not enter a bundle, or lacks what it needs."""

    category = Category.INTEGRITY
    code = "source_refused"


class HubError(BundlerError):
    """The model hub could not be reached, or does not have the revision."""

    category = Category.IO
    code = "hub_unavailable"


class LibrariesMissingError(BundlerError):
    """The libraries of the connected side are not installed."""

    category = Category.USAGE
    code = "libraries_missing"


class AdapterError(BundlerError):
    """The adapter does not fit the model."""

    category = Category.USAGE
    code = "adapter_refused"


class ExportError(BundlerError):
    """The model cannot be turned into the graph that the recipe asks for."""

    code = "export_failed"


class EvaluationError(BundlerError):
    """The exported model missed a limit of its recipe.

    Args:
        message: which limit, expected and got.
        metrics: every number measured for the variant.
    """

    code = "evaluation_failed"

    def __init__(
        self, message: str, *, metrics: dict[str, float] | None = None, hint: str | None = None
    ) -> None:
        super().__init__(message, hint=hint)
        self.metrics = dict(metrics or {})
