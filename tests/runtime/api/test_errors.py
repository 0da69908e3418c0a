"""What a client is told about each error."""

import asyncio
import json
import logging

import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request

from sealift.manifests.errors import Category, SealiftError
from sealift.runtime.api.errors import (
    AccessError,
    BadRequestError,
    BusyError,
    DeadlineError,
    KeyMissingError,
    MediaTypeError,
    answer_for,
    error_body,
    error_middleware,
)
from sealift.runtime.engine.errors import (
    AuditUnavailableError,
    ContextLengthError,
    EngineError,
    GrammarError,
    LoadError,
    ModelIntegrityError,
    ModelNotFoundError,
    ModelTooLargeError,
    PromptError,
    TaskMismatchError,
    WorkerCrashedError,
    WorkerRestartingError,
)

INVALID, SERVER = "invalid_request_error", "server_error"
TABLE = [
    (BadRequestError("x", param="n"), 400, INVALID, "invalid_value", "n"),
    (BadRequestError("x", param=None, code="c"), 400, INVALID, "c", None),
    (ContextLengthError("x"), 400, INVALID, "context_length_exceeded", "messages"),
    (GrammarError("x"), 400, INVALID, "invalid_grammar", "response_format"),
    (GrammarError("x", param="tools"), 400, INVALID, "invalid_grammar", "tools"),
    (PromptError("x"), 400, INVALID, "invalid_prompt", "messages"),
    (PromptError("x", param="logit_bias"), 400, INVALID, "invalid_prompt", "logit_bias"),
    (TaskMismatchError("x"), 400, INVALID, "model_task_mismatch", "model"),
    (KeyMissingError("x"), 401, "authentication_error", "invalid_api_key", None),
    (AccessError("x"), 403, "permission_error", "origin_not_allowed", None),
    (ModelNotFoundError("x"), 404, INVALID, "model_not_found", "model"),
    (MediaTypeError("x"), 415, INVALID, "unsupported_media_type", None),
    (BusyError("x", hint=None, retry_after_s=3), 429, "rate_limit_error", "queue_full", None),
    (EngineError("x"), 500, SERVER, "engine_error", None),
    (AuditUnavailableError("x"), 503, SERVER, "audit_unavailable", None),
    (LoadError("x"), 503, SERVER, "model_load_failed", None),
    (ModelIntegrityError("x"), 503, SERVER, "model_integrity", None),
    (ModelTooLargeError("x"), 503, SERVER, "model_too_large", "model"),
    (WorkerCrashedError("x"), 503, SERVER, "worker_crashed", None),
    (WorkerRestartingError("x", retry_after_s=3), 503, SERVER, "worker_restarting", None),
    (DeadlineError("x"), 504, SERVER, "deadline_exceeded", None),
]


@pytest.mark.parametrize(
    ("error", "status", "kind", "code", "param"),
    TABLE,
    ids=[type(row[0]).__name__ for row in TABLE],
)
def test_the_table(
    error: SealiftError, status: int, kind: str, code: str, param: str | None
) -> None:
    answer = answer_for(error)
    assert answer.status == status
    assert json.loads(error_body(answer)) == {
        "error": {"message": "x", "type": kind, "param": param, "code": code}
    }


def test_the_hint_is_part_of_the_message() -> None:
    assert answer_for(LoadError("x", hint="do y")).message == "x (do y)"


@pytest.mark.parametrize(
    ("error", "seconds"),
    [
        (BusyError("x", hint=None, retry_after_s=3), "3"),
        (WorkerRestartingError("x", retry_after_s=2.1), "3"),
        (WorkerRestartingError("x", retry_after_s=0.0), "1"),
        (WorkerCrashedError("x"), "1"),
    ],
)
def test_when_to_come_again(error: SealiftError, seconds: str) -> None:
    assert answer_for(error).response().headers["Retry-After"] == seconds


@pytest.mark.parametrize("error", [ModelIntegrityError("x"), ModelTooLargeError("x")])
def test_what_waiting_does_not_mend_says_nothing_of_it(error: SealiftError) -> None:
    assert "Retry-After" not in answer_for(error).response().headers


@pytest.mark.parametrize("category", list(Category))
def test_an_error_of_another_room_has_an_answer(category: Category) -> None:
    kind = type("OtherError", (SealiftError,), {"category": category})
    assert answer_for(kind("x")).status in {400, 500, 503}


def test_a_client_that_hung_up_between_two_writes_is_no_defect(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        raise ConnectionResetError("Cannot write to closing transport")

    async def answer() -> web.StreamResponse:
        return await error_middleware(make_mocked_request("POST", "/v1"), handler)

    with caplog.at_level(logging.WARNING):
        assert asyncio.run(answer()).status == 499
    assert not caplog.records
