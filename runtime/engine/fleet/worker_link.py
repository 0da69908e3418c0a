"""Our end of a worker's socket: messages out, messages in, whatever they mean.

>>> link.send(Ping())                       # doctest: +SKIP
>>> messages = await link.receive()         # doctest: +SKIP
"""

import asyncio
from collections.abc import Iterator

import msgspec

from sealift.runtime.engine.channel import FrameSplitter, frame
from sealift.runtime.engine.request import ToRuntime, ToWorker

__all__ = ["WorkerLink"]

_READ_BYTES = 1 << 16


class WorkerLink:
    """The asyncio counterpart of `channel.WorkerChannel`."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._splitter = FrameSplitter()
        self._decoder = msgspec.msgpack.Decoder(ToRuntime)

    def send(self, message: ToWorker) -> None:
        """Send a message; after `close` it goes nowhere."""
        if not self._writer.is_closing():
            self._writer.write(frame(msgspec.msgpack.encode(message)))

    async def receive(self) -> Iterator[ToRuntime] | None:
        """Return the messages that the next bytes complete, often none; None: the end.

        Raises:
            EngineError: no worker of ours sends this.
            msgspec.MsgspecError: the same, of a message, when it is that one's turn.
        """
        try:
            data = await self._reader.read(_READ_BYTES)
        except ConnectionError:
            return None
        if not data:
            return None
        return (self._decoder.decode(part) for part in self._splitter.feed(data))

    def close(self) -> None:
        """Send no more: the worker ends once it has read what was sent."""
        self._writer.close()
