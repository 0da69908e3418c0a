"""What can go wrong between a request and its answer.

An error that happens in a worker crosses the process boundary as `(code, message, hint, param)` and
becomes the same class again: `from_wire(to_wire(error))`.
"""

from typing import ClassVar

import msgspec

from sealift.manifests.errors import Category, SealiftError

__all__ = [
    "AuditUnavailableError",
    "ContextLengthError",
    "EngineError",
    "GrammarError",
    "LoadError",
    "ModelIntegrityError",
    "ModelNotFoundError",
    "ModelTooLargeError",
    "ModelUnloadedError",
    "PromptError",
    "QueueFullError",
    "TaskMismatchError",
    "WireError",
    "WorkerCrashedError",
    "WorkerRestartingError",
    "from_wire",
    "to_wire",
]


class EngineError(SealiftError):
    """The engine could not answer, and no narrower class says why.

    Args:
        param: the field of the request that is to blame, where the class does not say it.
    """

    code: ClassVar[str] = "engine_error"

    def __init__(self, message: str, *, hint: str | None = None, param: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.param = param


class ModelIntegrityError(EngineError):
    """A file of the model is not what the signed statement says."""

    category = Category.INTEGRITY
    code = "model_integrity"


class LoadError(EngineError):
    """The files are right and the model still cannot be run here."""

    code = "model_load_failed"


class ModelNotFoundError(EngineError):
    """No installed model has this name."""

    category = Category.USAGE
    code = "model_not_found"


class TaskMismatchError(EngineError):
    """The model exists and does something else than what was asked."""

    category = Category.USAGE
    code = "model_task_mismatch"


class PromptError(EngineError):
    """The request's text cannot become a prompt of this model."""

    category = Category.USAGE
    code = "invalid_prompt"


class GrammarError(EngineError):
    """The form asked for the answer cannot be compiled, or exceeds a limit."""

    category = Category.USAGE
    code = "invalid_grammar"


class ContextLengthError(EngineError):
    """The prompt, or what was asked for after it, does not fit the model."""

    category = Category.USAGE
    code = "context_length_exceeded"


class QueueFullError(EngineError):
    """More requests wait than the queue may hold."""

    code = "queue_full"


class WorkerCrashedError(EngineError):
    """The process that held the model ended while it still owed an answer."""

    code = "worker_crashed"


class WorkerRestartingError(EngineError):
    """The model's process died again and again; it is not started before its back-off ends.

    Args:
        retry_after_s: until it is started again.
    """

    code = "worker_restarting"

    def __init__(
        self, message: str, *, hint: str | None = None, retry_after_s: float = 1.0
    ) -> None:
        super().__init__(message, hint=hint)
        self.retry_after_s = retry_after_s


class ModelUnloadedError(EngineError):
    """The model was unloaded before the answer was complete, or before there was room for it."""

    code = "model_unloaded"


class ModelTooLargeError(EngineError):
    """The model needs more memory than the budget has, even after others were unloaded."""

    code = "model_too_large"


class AuditUnavailableError(EngineError):
    """The audit log cannot be written, so nothing may be answered."""

    category = Category.IO
    code = "audit_unavailable"


class WireError(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An error as it travels between processes."""

    code: str
    message: str
    hint: str | None = None
    param: str | None = None


_FAMILY: tuple[type[EngineError], ...] = (
    ModelIntegrityError,
    LoadError,
    ModelNotFoundError,
    TaskMismatchError,
    PromptError,
    ContextLengthError,
    GrammarError,
    QueueFullError,
    WorkerCrashedError,
)
_BY_CODE = {kind.code: kind for kind in _FAMILY}


def to_wire(error: SealiftError) -> WireError:
    """Write an error down for the other process."""
    param = error.param if isinstance(error, EngineError) else None
    return WireError(code=error.code, message=error.message, hint=error.hint, param=param)


def from_wire(wire: WireError) -> EngineError:
    """Make the error again; a code of another room becomes a plain `EngineError`."""
    kind = _BY_CODE.get(wire.code, EngineError)
    return kind(wire.message, hint=wire.hint, param=wire.param)
