"""The process that holds one model: `python -m sealift.runtime.engine.worker.process FD`.

It takes its own network away before it imports anything that could use one. The first message says
which model it is for; then it takes every other file away as well, and only then imports native
code and reads what came from outside. It ends when the inherited socket closes.

Steps, marked in the code:
  1. no core file: prompts and answers are in this memory; and the kernel, when memory runs out,
     ends this process rather than the one that serves all models
  2. no network
  3. the model's name, from the process that started this one
  4. no file but the model's, Python's and the system's libraries
"""

import argparse
import ctypes
import resource
import signal
import socket
import sys
from pathlib import Path

from sealift.manifests.telemetry import disable_telemetry
from sealift.runtime.engine.channel import WorkerChannel
from sealift.runtime.engine.prepack_spec import entry_name
from sealift.runtime.engine.request import Load
from sealift.runtime.engine.worker.files import worker_rules
from sealift.runtime.isolation import isolate
from sealift.runtime.landlock import restrict

__all__ = ["main"]

_OOM_SCORE = 500  # of 1000; what the kernel adds to this process's share of memory, in thousandths
_PR_SET_DUMPABLE = 4


def main() -> int:
    """Run a worker until its channel closes; return the exit code."""
    parser = argparse.ArgumentParser(prog="sealift-worker")
    parser.add_argument("descriptor", type=int)
    # A Ctrl-C at the terminal reaches the whole process group: the server decides when we end.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    channel = WorkerChannel(socket.socket(fileno=parser.parse_args().descriptor))
    _die_first_and_leave_nothing()  # 1.
    network = isolate().value  # 2.
    # A handler that core files are piped to is not bound by the limit. Not before 2.: `/proc/self`
    # is root's from here on.
    ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
    disable_telemetry()
    messages = channel.receive()
    load = next(messages, None)  # 3.
    if not isinstance(load, Load):
        return 0
    files = _restrict_files(load)  # 4.
    # Only now: onnxruntime and the tokenizer come in with it, as native code with threads.
    from sealift.runtime.engine.worker.service import serve

    return serve(channel, load, messages, isolation=f"{network}+{files}")


def _die_first_and_leave_nothing() -> None:
    try:
        Path("/proc/self/oom_score_adj").write_text(str(_OOM_SCORE))
    except OSError:
        pass  # a host without it chooses by size alone, and a worker is the largest anyway
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _restrict_files(load: Load) -> str:
    return "landlock" if restrict(worker_rules(*_folders(load))) else "no-landlock"


def _folders(load: Load) -> list[str]:
    folders = [load.source.directory]
    if load.cache is not None:
        # Of the cache only this model's own entries, be they there or not.
        folders += [
            f"{load.cache.folder}/{entry_name(load.source.digest, variant)}"
            for variant in load.source.variant_folders
        ]
    return folders


if __name__ == "__main__":
    sys.exit(main())
