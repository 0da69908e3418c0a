"""Nobody who waits is forgotten, and no lease is lost."""

import asyncio
from typing import cast

import pytest

from sealift.runtime.engine.errors import LoadError
from sealift.runtime.engine.fleet.client import WorkerClient
from sealift.runtime.engine.fleet.lease import Lease
from sealift.runtime.engine.fleet.waiting_room import WaitingRoom


class Leases:
    """Counts what is out."""

    def __init__(self) -> None:
        self.out = 0

    def give(self) -> Lease:
        self.out += 1
        # The room hands leases on and never looks at what they are of.
        return Lease(cast(WorkerClient, None), self._take_back)

    def _take_back(self) -> None:
        self.out -= 1


def test_everybody_is_admitted_and_the_room_is_empty() -> None:
    async def run() -> None:
        room, leases = WaitingRoom(), Leases()
        assert room.since_s is None
        waiting = [asyncio.create_task(room.wait(room.enter())) for _ in range(3)]
        await asyncio.sleep(0)
        assert room.since_s is not None
        room.admit(leases.give)
        assert room.since_s is None
        for lease in await asyncio.gather(*waiting):
            lease.release()
            lease.release()
        assert leases.out == 0

    asyncio.run(run())


def test_who_is_admitted_and_gives_up_at_once_gives_the_lease_back() -> None:
    async def run() -> None:
        room, leases = WaitingRoom(), Leases()
        waiting = asyncio.create_task(room.wait(room.enter()))
        await asyncio.sleep(0)
        room.admit(leases.give)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert leases.out == 0

    asyncio.run(run())


def test_who_gives_up_no_longer_waits() -> None:
    async def run() -> None:
        room, leases = WaitingRoom(), Leases()
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(room.wait(room.enter()), 0.01)
        assert room.since_s is None
        room.admit(leases.give)
        assert leases.out == 0

    asyncio.run(run())


def test_a_closed_room_tells_everybody_why() -> None:
    async def run() -> None:
        room = WaitingRoom()
        waiting = [asyncio.create_task(room.wait(room.enter())) for _ in range(2)]
        await asyncio.sleep(0)
        room.close(LoadError("not today"))
        for outcome in await asyncio.gather(*waiting, return_exceptions=True):
            assert isinstance(outcome, LoadError)

    asyncio.run(run())
