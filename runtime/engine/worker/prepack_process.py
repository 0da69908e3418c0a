"""The process that writes one entry of the cache of prepacked weights.

    python -m sealift.runtime.engine.worker.prepack_process <job >outcome

Its job comes over its standard input, what became of it goes to its standard output, both msgpack.
It has no network, sees of all files only the model's and the cache's (where the kernel can hold it
to that), and runs when no other process wants the processor: requests are not slowed.
"""

import os
import signal
import sys

import msgspec

from sealift.manifests.errors import SealiftError
from sealift.manifests.telemetry import disable_telemetry
from sealift.runtime.engine.prepack_spec import PrepackJob, PrepackOutcome
from sealift.runtime.engine.worker.files import worker_rules
from sealift.runtime.isolation import isolate
from sealift.runtime.landlock import restrict

__all__ = ["main"]

_UMASK = 0o077


def main() -> int:
    """Run one job; return the exit code."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the server decides when we end
    os.umask(_UMASK)  # onnxruntime writes files by the process's own rules
    _step_back()
    isolate()
    disable_telemetry()
    job = msgspec.msgpack.decode(sys.stdin.buffer.read(), type=PrepackJob)
    restrict(worker_rules(job.source.directory, writable=job.cache.folder))
    sys.stdout.buffer.write(msgspec.msgpack.encode(_run(job)))
    return 0


def _run(job: PrepackJob) -> PrepackOutcome:
    # Only now: onnxruntime comes in with it, as native code with threads.
    from sealift.runtime.engine.prepack.writer import write_prepacked

    try:
        return PrepackOutcome(size_bytes=write_prepacked(job))
    except SealiftError as error:
        return PrepackOutcome(problem=error.message)
    except OSError as error:
        return PrepackOutcome(problem=f"cache folder: {error.strerror or error}")


def _step_back() -> None:
    """Run only where no one else would; threads that start later inherit it."""
    try:
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    except OSError:
        os.nice(19)


if __name__ == "__main__":
    sys.exit(main())
