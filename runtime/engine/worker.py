"""The process that holds one model: `python -m sealift.runtime.engine.worker FD`.

It takes its own network away before it imports anything that could use one, then serves what comes
over the inherited socket, and ends when that socket closes.
"""

import argparse
import signal
import socket
import sys

from sealift.manifests.telemetry import disable_telemetry
from sealift.runtime.engine.channel import WorkerChannel
from sealift.runtime.engine.request import Load
from sealift.runtime.isolation import isolate

__all__ = ["main"]


def main() -> int:
    """Run a worker until its channel closes; return the exit code."""
    parser = argparse.ArgumentParser(prog="sealift-worker")
    parser.add_argument("descriptor", type=int)
    # A Ctrl-C at the terminal reaches the whole process group: the server decides when we end.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    channel = WorkerChannel(socket.socket(fileno=parser.parse_args().descriptor))
    isolation = isolate().value
    disable_telemetry()
    messages = channel.receive()
    load = next(messages, None)
    if not isinstance(load, Load):
        return 0
    # Only now: onnxruntime and the tokenizer come in with it, as native code with threads.
    from sealift.runtime.engine.service import serve

    return serve(channel, load, messages, isolation=isolation)


if __name__ == "__main__":
    sys.exit(main())
