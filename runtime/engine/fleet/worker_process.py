"""The process of one worker: start it, end it, say how it ended.

>>> process, link = await WorkerProcess.start()                 # doctest: +SKIP
>>> process.kill("no sign of life"); await process.wait(end_s=5)        # doctest: +SKIP
>>> process.ending                                              # doctest: +SKIP
'no sign of life; signal SIGKILL'
"""

import asyncio
import signal
import socket
import sys

from sealift.runtime.engine.fleet.worker_link import WorkerLink
from sealift.runtime.engine.worker_environment import worker_environment

__all__ = ["WorkerProcess"]


class WorkerProcess:
    """A process that was started. Use `start`.

    Attributes:
        killed_because: why we ended it, where we did.
    """

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.killed_because: str | None = None
        self._process = process

    @classmethod
    async def start(cls) -> tuple["WorkerProcess", WorkerLink]:
        """Start a process that waits for its `Load`; return it with the link to it."""
        ours, theirs = socket.socketpair()
        with theirs:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-P",  # nothing in the current directory may shadow a module
                "-m",
                "sealift.runtime.engine.worker.process",
                str(theirs.fileno()),
                pass_fds=(theirs.fileno(),),
                stdin=asyncio.subprocess.DEVNULL,
                env=worker_environment(),
            )
        reader, writer = await asyncio.open_connection(sock=ours)
        return cls(process), WorkerLink(reader, writer)

    @property
    def pid(self) -> int:
        """Its id."""
        return self._process.pid

    @property
    def ending(self) -> str:
        """How it ended, in words."""
        words = self._words()
        return words if self.killed_because is None else f"{self.killed_because}; {words}"

    @property
    def is_out_of_memory(self) -> bool:
        """True where somebody else killed it, which is most often the kernel."""
        return self.killed_because is None and self._process.returncode == -signal.SIGKILL

    def kill(self, reason: str) -> None:
        """End it at once; the first reason is remembered."""
        self.killed_because = self.killed_because or reason
        if self._process.returncode is None:
            self._process.kill()

    async def wait(self, *, end_s: float) -> None:
        """Wait for the end of a process whose link is closed; not for ever."""
        try:
            await asyncio.wait_for(self._process.wait(), end_s)
        except TimeoutError:
            self.kill(f"did not end within {end_s:g} s")
            await self._process.wait()

    def _words(self) -> str:
        code = self._process.returncode
        if code is None:
            return "still ending"
        if code >= 0:
            return f"exit code {code}"
        try:
            return f"signal {signal.Signals(-code).name}"
        except ValueError:  # most real-time signals have no name
            return f"signal {-code}"
