"""Errors cross the process boundary as what they are."""

import msgspec
import pytest

from sealift.manifests.errors import SealiftError
from sealift.runtime.engine.errors import (
    ContextLengthError,
    EngineError,
    GrammarError,
    LoadError,
    ModelIntegrityError,
    PromptError,
    QueueFullError,
    WireError,
    from_wire,
    to_wire,
)


@pytest.mark.parametrize(
    "kind",
    [
        ContextLengthError, EngineError, GrammarError, LoadError, ModelIntegrityError, PromptError,
        QueueFullError,
    ],
)  # fmt: skip
@pytest.mark.parametrize("more", [{}, {"hint": "h"}, {"param": "logit_bias"}])
def test_there_and_back(kind: type[EngineError], more: dict[str, str]) -> None:
    sent = msgspec.msgpack.encode(to_wire(kind("what", **more)))
    error = from_wire(msgspec.msgpack.decode(sent, type=WireError))
    assert type(error) is kind
    assert (error.message, error.hint, error.param) == (
        "what", more.get("hint"), more.get("param"),
    )  # fmt: skip


def test_an_error_of_another_room_keeps_its_words() -> None:
    error = from_wire(to_wire(SealiftError("what", hint="h")))
    assert type(error) is EngineError
    assert (error.message, error.hint, error.param) == ("what", "h", None)
