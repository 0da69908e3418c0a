"""The process that parses a model's files: `python -m sealift.runtime.content.worker`.

A job on standard input, an answer on standard output. Before it reads a byte of the model it gives
up the network and takes hard limits: memory, processor time, open files, no core, no byte written
to any file. What is hostile enough to take the parser over is then in a process that can do little
but lie, within its own report.
"""

import os
import resource
import sys

from sealift.manifests import strict_json
from sealift.manifests.limits import Limits
from sealift.media.regular_file import read_regular
from sealift.runtime.content.errors import ContentError
from sealift.runtime.content.inspector import Inspector
from sealift.runtime.content.job import Answer, Job, JobFile, Refusal
from sealift.runtime.content.limits import ContentLimits
from sealift.runtime.isolation import isolate

__all__ = ["JOB_BYTES_MAX", "main"]

JOB_BYTES_MAX = 8 << 20


def main() -> int:
    """Do one inspection; return the exit code: 0 whatever the verdict is."""
    # Native code that prints must not write into the answer.
    answer_to = os.dup(1)
    silent = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silent, 1)
    isolation = isolate().value
    with os.fdopen(0, "rb", closefd=False) as file:
        data = file.read(JOB_BYTES_MAX + 1)
    job = strict_json.decode(data, Job, what="job", limits=Limits(json_bytes=JOB_BYTES_MAX))
    limit_process(job.limits)
    _send(answer_to, _answer(job, isolation))
    return 0


def limit_process(limits: ContentLimits) -> None:
    """Take the hard limits; nothing in this process can lift them again, unless it is root."""
    for kind, value, beyond in (
        (resource.RLIMIT_AS, limits.memory_bytes, 0),
        (resource.RLIMIT_CPU, limits.cpu_s, 1),  # a signal that has a name, then the end
        (resource.RLIMIT_NOFILE, limits.open_files, 0),
        (resource.RLIMIT_FSIZE, 0, 0),
        (resource.RLIMIT_CORE, 0, 0),
    ):
        _, most = resource.getrlimit(kind)
        # A host may allow less than we would.
        hard = value + beyond if most == resource.RLIM_INFINITY else min(value + beyond, most)
        resource.setrlimit(kind, (min(value, hard), hard))


def _answer(job: Job, isolation: str) -> Answer:
    try:
        files, graphs = Inspector(job, _read).run()
    except ContentError as error:
        refusal = Refusal(path=error.path, reason=error.reason, hint=error.own_hint)
        return Answer(isolation=isolation, refused=refusal)
    except MemoryError:
        reason = f"needs more than {job.limits.memory_bytes} bytes of memory"
        return Answer(isolation=isolation, refused=Refusal(path="", reason=reason))
    return Answer(isolation=isolation, files=files, graphs=graphs)


def _read(file: JobFile) -> bytes:
    try:
        return read_regular(file.local, size_max=file.size_bytes)
    except OSError as error:
        raise ContentError(file.path, f"cannot be read: {error.strerror or error}") from error


def _send(descriptor: int, answer: Answer) -> None:
    data = strict_json.canonical(answer)
    while data:
        data = data[os.write(descriptor, data) :]


if __name__ == "__main__":
    sys.exit(main())
