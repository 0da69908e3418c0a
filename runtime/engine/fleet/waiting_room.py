"""Requests that wait until their model is loaded; each leaves when it likes, or at its deadline."""

import asyncio
from collections.abc import Callable

from sealift.manifests.errors import SealiftError
from sealift.runtime.engine.fleet.lease import Lease

__all__ = ["WaitingRoom"]

Seat = asyncio.Future[Lease]


class WaitingRoom:
    """Those who wait for one model."""

    def __init__(self) -> None:
        self._seats: dict[Seat, float] = {}

    @property
    def since_s(self) -> float | None:
        """When the one came who waits longest; None: nobody waits."""
        return min(self._seats.values(), default=None)

    def enter(self) -> Seat:
        """Take a seat; to be waited on with `wait`."""
        loop = asyncio.get_running_loop()
        seat: Seat = loop.create_future()
        self._seats[seat] = loop.time()
        return seat

    async def wait(self, seat: Seat) -> Lease:
        """Wait to be admitted.

        Raises:
            SealiftError: what the room was closed with.
        """
        try:
            return await seat
        except asyncio.CancelledError:
            # Admitted and cancelled in one turn of the loop: nobody else would give it back.
            if seat.done() and not seat.cancelled() and seat.exception() is None:
                seat.result().release()
            raise
        finally:
            self._seats.pop(seat, None)

    def admit(self, lease: Callable[[], Lease]) -> None:
        """Give everybody a lease."""
        for seat in self._empty():
            seat.set_result(lease())

    def close(self, error: SealiftError) -> None:
        """Tell everybody that there is nothing to wait for."""
        for seat in self._empty():
            seat.set_exception(error)

    def _empty(self) -> list[Seat]:
        seats = [seat for seat in self._seats if not seat.done()]
        self._seats.clear()
        return seats
