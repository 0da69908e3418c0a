"""Start the process of a worker, and say how it ended.

>>> process, reader, writer = await start_process()             # doctest: +SKIP
>>> ending_of(process)                                          # doctest: +SKIP
'signal SIGKILL'
"""

import asyncio
import signal
import socket
import sys

from sealift.runtime.engine.worker_environment import worker_environment

__all__ = ["ending_of", "start_process"]


async def start_process() -> tuple[
    asyncio.subprocess.Process, asyncio.StreamReader, asyncio.StreamWriter
]:
    """Start a process that waits for its `Load`; return it with the ends of its channel."""
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
    return process, reader, writer


def ending_of(process: asyncio.subprocess.Process) -> str:
    """Return how it ended, in words."""
    code = process.returncode
    if code is None:
        return "still ending"
    if code >= 0:
        return f"exit code {code}"
    try:
        return f"signal {signal.Signals(-code).name}"
    except ValueError:  # most real-time signals have no name
        return f"signal {-code}"
