"""Frames between processes."""

import struct

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sealift.runtime.engine.channel import FRAME_BYTES_MAX, FrameSplitter, frame
from sealift.runtime.engine.errors import EngineError, QueueFullError, from_wire, to_wire
from sealift.runtime.engine.request import Cancel, Generate, SamplingParams, ToWorker


def test_a_length_past_the_limit_is_refused() -> None:
    with pytest.raises(EngineError, match="frame: expected at most"):
        FrameSplitter().feed(struct.pack(">I", FRAME_BYTES_MAX + 1))


def test_an_unknown_field_is_refused() -> None:
    data = msgspec.msgpack.encode({"type": "Cancel", "id": 1, "more": 2})
    with pytest.raises(msgspec.ValidationError):
        msgspec.msgpack.decode(data, type=ToWorker)


@given(st.lists(st.binary(max_size=50), max_size=8), st.integers(1, 20))
def test_frames_survive_any_cut(payloads: list[bytes], step: int) -> None:
    data = b"".join(map(frame, payloads))
    splitter = FrameSplitter()
    found = []
    for start in range(0, len(data), step):
        found += splitter.feed(data[start : start + step])
    assert found == payloads


@pytest.mark.parametrize(
    "message", [Cancel(id=3), Generate(id=1, messages=(), sampling=SamplingParams(seed=-5))]
)
def test_messages_round_trip(message: ToWorker) -> None:
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(message), type=ToWorker) == message


def test_errors_keep_their_class_and_unknown_codes_become_the_family() -> None:
    error = from_wire(to_wire(QueueFullError("full", hint="wait")))
    assert (type(error), error.message, error.hint) == (QueueFullError, "full", "wait")
    assert type(from_wire(to_wire(EngineError("odd")))) is EngineError
