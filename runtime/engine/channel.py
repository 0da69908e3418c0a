"""Length-prefixed msgpack frames over a socket pair.

A frame is four bytes of big-endian length and the message. The other end is our own process, yet a
length past the limit still means a broken peer and ends the connection.

>>> FrameSplitter().feed(frame(b"hello"))
[b'hello']
"""

import socket
import struct
import threading
from collections.abc import Iterator

import msgspec

from sealift.runtime.engine.errors import EngineError
from sealift.runtime.engine.request import ToRuntime, ToWorker

__all__ = ["FRAME_BYTES_MAX", "FrameSplitter", "WorkerChannel", "frame"]

FRAME_BYTES_MAX = 256 << 20
_LENGTH = struct.Struct(">I")
_READ_BYTES = 1 << 16


def frame(payload: bytes) -> bytes:
    """Return the payload behind its length."""
    return _LENGTH.pack(len(payload)) + payload


class FrameSplitter:
    """Cut a byte stream into frames."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> list[bytes]:
        """Take bytes as they come; return the frames that are whole now.

        Raises:
            EngineError: a length past the limit.
        """
        self._buffer += data
        frames = []
        start = 0
        while len(self._buffer) - start >= _LENGTH.size:
            (length,) = _LENGTH.unpack_from(self._buffer, start)
            if length > FRAME_BYTES_MAX:
                raise EngineError(f"frame: expected at most {FRAME_BYTES_MAX} bytes, got {length}")
            end = start + _LENGTH.size + length
            if end > len(self._buffer):
                break
            frames.append(bytes(self._buffer[start + _LENGTH.size : end]))
            start = end
        del self._buffer[:start]
        return frames


class WorkerChannel:
    """The worker's end, blocking: one thread receives, any thread sends."""

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        self._send_lock = threading.Lock()
        self._encoder = msgspec.msgpack.Encoder()
        self._decoder = msgspec.msgpack.Decoder(ToWorker)

    def receive(self) -> Iterator[ToWorker]:
        """Yield messages until the other end is gone."""
        splitter = FrameSplitter()
        while data := self._read():
            for payload in splitter.feed(data):
                yield self._decoder.decode(payload)

    def _read(self) -> bytes:
        try:
            return self._socket.recv(_READ_BYTES)
        except ConnectionResetError:
            return b""  # it ended without reading what we had sent

    def send(self, *messages: ToRuntime) -> None:
        """Send messages in one write."""
        data = b"".join(frame(self._encoder.encode(message)) for message in messages)
        with self._send_lock:
            self._socket.sendall(data)
