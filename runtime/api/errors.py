"""The one place where an error becomes an HTTP answer.

The body is OpenAI's error object: `{"error": {"message", "type", "param", "code"}}`.
"""

import logging
import math
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import ClassVar

import msgspec
from aiohttp import web

from sealift.manifests.errors import Category, SealiftError
from sealift.runtime.engine.errors import (
    AuditUnavailableError,
    ContextLengthError,
    EngineError,
    GrammarError,
    LoadError,
    ModelIntegrityError,
    ModelNotFoundError,
    ModelTooLargeError,
    ModelUnloadedError,
    PromptError,
    QueueFullError,
    TaskMismatchError,
    WorkerCrashedError,
    WorkerRestartingError,
)

__all__ = [
    "AccessError",
    "BadRequestError",
    "BusyError",
    "DeadlineError",
    "ErrorAnswer",
    "KeyMissingError",
    "MediaTypeError",
    "answer_for",
    "error_body",
    "error_middleware",
]

_logger = logging.getLogger(__name__)
_INVALID = "invalid_request_error"
_CLIENT_CLOSED = 499
_SERVER = "server_error"


class BadRequestError(SealiftError):
    """A request that cannot be answered as it stands; `param` names what is wrong."""

    category = Category.USAGE
    code = "invalid_request"

    def __init__(
        self, message: str, *, param: str | None, code: str = "invalid_value", hint: str = ""
    ) -> None:
        super().__init__(message, hint=hint or None)
        self.param = param
        self.request_code = code


class MediaTypeError(SealiftError):
    """The body is not declared as JSON."""

    category = Category.USAGE
    code = "unsupported_media_type"


class KeyMissingError(SealiftError):
    """No API key, or one that is not in the file."""

    category = Category.TRUST
    code = "invalid_api_key"


class AccessError(SealiftError):
    """A browser was led here by a page of somebody else."""

    category = Category.TRUST
    code = "origin_not_allowed"


class DeadlineError(SealiftError):
    """The answer took longer than a request may."""

    code = "deadline_exceeded"


class BusyError(SealiftError):
    """The model's queue is full; `retry_after_s`: when it is likely to have room."""

    code = QueueFullError.code

    def __init__(self, message: str, *, hint: str | None, retry_after_s: float) -> None:
        super().__init__(message, hint=hint)
        self.retry_after_s = retry_after_s


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorAnswer:
    """Status, body and headers of a refusal."""

    status: int
    type: str
    message: str
    code: str
    param: str | None = None
    headers: tuple[tuple[str, str], ...] = ()

    def response(self) -> web.Response:
        """Return the HTTP response."""
        return web.Response(
            status=self.status,
            body=error_body(self),
            content_type="application/json",
            headers=dict(self.headers),
        )


@dataclass(frozen=True, slots=True)
class _Rule:
    status: int
    type: str
    param: str | None = None
    headers: tuple[tuple[str, str], ...] = ()


_RETRY_SOON = (("Retry-After", "1"),)


class _Table:
    by_class: ClassVar[dict[type[SealiftError], _Rule]] = {
        AccessError: _Rule(403, "permission_error"),
        AuditUnavailableError: _Rule(503, _SERVER),
        BadRequestError: _Rule(400, _INVALID),
        BusyError: _Rule(429, "rate_limit_error"),
        ContextLengthError: _Rule(400, _INVALID, "messages"),
        DeadlineError: _Rule(504, _SERVER),
        GrammarError: _Rule(400, _INVALID, "response_format"),
        KeyMissingError: _Rule(
            401, "authentication_error", None, (("WWW-Authenticate", 'Bearer realm="sealift"'),)
        ),
        LoadError: _Rule(503, _SERVER),
        MediaTypeError: _Rule(415, _INVALID),
        ModelIntegrityError: _Rule(503, _SERVER),
        ModelNotFoundError: _Rule(404, _INVALID, "model"),
        ModelTooLargeError: _Rule(503, _SERVER, "model"),
        ModelUnloadedError: _Rule(503, _SERVER, None, _RETRY_SOON),
        PromptError: _Rule(400, _INVALID, "messages"),
        TaskMismatchError: _Rule(400, _INVALID, "model"),
        WorkerCrashedError: _Rule(503, _SERVER, None, _RETRY_SOON),
        WorkerRestartingError: _Rule(503, _SERVER),
    }
    # Errors of other rooms, such as the store's when a signature is checked at load.
    by_category: ClassVar[dict[Category, _Rule]] = {
        Category.INTEGRITY: _Rule(503, _SERVER),
        Category.IO: _Rule(503, _SERVER),
        Category.OTHER: _Rule(500, _SERVER),
        Category.TRUST: _Rule(503, _SERVER),
        Category.USAGE: _Rule(400, _INVALID),
    }


def answer_for(error: SealiftError) -> ErrorAnswer:
    """Return what a client is told about an error."""
    rule = _Table.by_class.get(type(error)) or _Table.by_category[error.category]
    message = error.message if error.hint is None else f"{error.message} ({error.hint})"
    code, param, headers = error.code, rule.param, rule.headers
    if isinstance(error, BadRequestError):
        code, param = error.request_code, error.param
    elif isinstance(error, EngineError):
        param = error.param or param
    if isinstance(error, BusyError | WorkerRestartingError):
        headers = (("Retry-After", str(max(1, math.ceil(error.retry_after_s)))),)
    return ErrorAnswer(
        status=rule.status,
        type=rule.type,
        message=message,
        code=code,
        param=param,
        headers=headers,
    )


def error_body(answer: ErrorAnswer) -> bytes:
    """Return OpenAI's error object."""
    return msgspec.json.encode(
        {
            "error": {
                "message": answer.message,
                "type": answer.type,
                "param": answer.param,
                "code": answer.code,
            }
        }
    )


@web.middleware
async def error_middleware(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """Answer every error, ours or aiohttp's or a defect, with an error object."""
    try:
        return await handler(request)
    except SealiftError as error:
        return answer_for(error).response()
    except web.HTTPException as error:
        return _http_answer(error).response()
    except ConnectionError:
        # The client is gone between two writes. Nobody reads this; raised, it would be logged as a
        # defect, once for each client that hangs up.
        return web.Response(status=_CLIENT_CLOSED)
    except Exception:  # the outer edge: a defect is logged, and its details are not sent out
        _logger.exception("%s %s failed", request.method, request.path)
        return ErrorAnswer(
            status=500,
            type=_SERVER,
            message="internal error; the server's log has the details",
            code="internal_error",
        ).response()


def _http_answer(error: web.HTTPException) -> ErrorAnswer:
    codes = {404: "unknown_url", 405: "method_not_allowed", 413: "request_too_large"}
    kept = ("Allow",)
    return ErrorAnswer(
        status=error.status,
        type=_INVALID if error.status < 500 else _SERVER,
        message=error.text or error.reason,
        code=codes.get(error.status, "http_error"),
        headers=tuple((name, error.headers[name]) for name in kept if name in error.headers),
    )
