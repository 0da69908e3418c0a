"""Inspect a model's files before it is visible, in a limited process beside the import.

    with start_inspection(files, task=Task.CHAT) as inspection:   # the small files are there
        ...                                                       # weights are still written
        report = inspection.result({"cpu-int4/model.onnx.data": path})
    report = inspect_content(files, task=Task.CHAT)               # or all at once

Every byte was compared with its signed digest before: what is found here was signed so. A process
that crashes, is killed, overruns a limit or answers nonsense is a refusal like any other.
"""

import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from sealift.manifests import strict_json
from sealift.manifests.errors import ManifestError
from sealift.manifests.limits import Limits
from sealift.manifests.recipe import Task
from sealift.manifests.tool import tool_name
from sealift.media.regular_file import open_regular
from sealift.runtime.content.errors import ContentError
from sealift.runtime.content.file_rules import FileKind, kind_of
from sealift.runtime.content.inspector import CHECKS
from sealift.runtime.content.job import Answer, Job, JobFile
from sealift.runtime.content.limits import CONTENT_LIMITS, ContentLimits
from sealift.runtime.content.magic import check_magic
from sealift.runtime.content.report import ContentReport, FileReport

__all__ = ["ContentFile", "Inspection", "inspect_content", "is_weights", "start_inspection"]

_READ_BYTES: Final = 1 << 16
# What the process needs of our environment; passphrases and proxies are none of its business.
_ENVIRONMENT: Final = ("LANG", "LC_ALL", "LD_LIBRARY_PATH", "PYTHONPATH", "TZ")
_MODULE: Final = "sealift.runtime.content.worker"


@dataclass(frozen=True, slots=True, kw_only=True)
class ContentFile:
    """A declared file of the model.

    Attributes:
        local: where it lies, complete and equal to its digest; `None`: weights still to come.
    """

    size_bytes: int
    sha256: str
    local: Path | None = None


def is_weights(path: str) -> bool:
    """Say whether a file may come after the start: it is looked at only at its ends.

    Raises:
        ContentError: no file of a model has such a name.
    """
    return kind_of(path) is FileKind.WEIGHTS


def inspect_content(
    files: Mapping[str, ContentFile], *, task: Task, limits: ContentLimits = CONTENT_LIMITS
) -> ContentReport:
    """Inspect a model whose files are all there.

    Raises:
        ContentError: a file may not come in.
    """
    weights = {p: f.local for p, f in files.items() if f.local is not None and is_weights(p)}
    with start_inspection(files, task=task, limits=limits) as inspection:
        return inspection.result(weights)


def start_inspection(
    files: Mapping[str, ContentFile], *, task: Task, limits: ContentLimits = CONTENT_LIMITS
) -> "Inspection":
    """Start on everything but the weights.

    Args:
        files: every declared file, by its path in the model; all but weights with `local`.

    Raises:
        ContentError: a name, a size, or a missing `local` already decides.
    """
    job = Job(
        task=task,
        files=tuple(
            JobFile(
                path=path,
                local=str(_local(path, file).absolute()),
                size_bytes=file.size_bytes,
                sha256=file.sha256,
            )
            for path, file in sorted(files.items())
            if not is_weights(path)
        ),
        sizes={path: file.size_bytes for path, file in files.items()},
        limits=limits,
    )
    return Inspection(job, {path: files[path] for path in sorted(files) if is_weights(path)})


class Inspection:
    """A running inspection; leaving its block ends the process, whatever it was doing."""

    def __init__(self, job: Job, weights: Mapping[str, ContentFile]) -> None:
        self._job = job
        self._weights = weights
        self._collected: Answer | None = None
        self._deadline = time.monotonic() + job.limits.wall_s
        # Through a file, so that nobody waits here until the process has started and reads.
        descriptor = os.memfd_create("sealift-inspection", os.MFD_CLOEXEC)
        with os.fdopen(descriptor, "w+b") as given:
            given.write(strict_json.canonical(job))
            given.flush()
            given.seek(0)
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-s", "-B", "-m", _MODULE],
                stdin=given,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                cwd="/",
                env=_environment(),
                start_new_session=True,  # a Ctrl-C at the terminal is for the import to handle
            )

    def __enter__(self) -> "Inspection":
        return self

    def __exit__(self, *_: object) -> None:
        self.cancel()

    def collect(self) -> None:
        """Wait for the answer and keep it for `result`, which may be asked for much later.

        Raises:
            ContentError: refused, or the process did not end well.
        """
        answer = self._answer()
        if answer.refused is not None:
            raise ContentError(answer.refused.path, answer.refused.reason, hint=answer.refused.hint)
        self._collected = answer

    def result(self, weights: Mapping[str, Path]) -> ContentReport:
        """Wait for the verdict and look at the weights, which are complete now.

        Args:
            weights: where each weights file lies; every declared one.

        Raises:
            ContentError: a file may not come in, or the process did not end well.
        """
        if self._collected is None:
            self.collect()
        answer = self._collected
        if answer is None:
            raise ContentError(min(self._job.sizes), "its inspection gave no answer")
        self._check_complete(answer)
        for path, file in self._weights.items():
            if path not in weights:
                raise ContentError(path, "expected the file, got no place of it")
            _check_weights(path, file, weights[path])
        kind = FileKind.WEIGHTS
        looked_at = tuple(
            FileReport(
                path=path,
                kind=kind.value,
                size_bytes=file.size_bytes,
                sha256=file.sha256,
                checks=CHECKS[kind],
            )
            for path, file in self._weights.items()
        )
        return ContentReport(
            tool=tool_name(),
            task=self._job.task,
            isolation=answer.isolation,
            files=tuple(sorted((*answer.files, *looked_at), key=lambda file: file.path)),
            graphs=answer.graphs,
        )

    def stop(self) -> None:
        """End the process; whoever is in `collect` gets an error."""
        if self._process.poll() is None:
            self._process.kill()

    def cancel(self) -> None:
        """End the process; does nothing if it has ended."""
        if self._process.stdout is not None:
            self._process.stdout.close()
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()

    def _answer(self) -> Answer:
        data = self._receive()
        self._wait_end()
        limits = Limits(json_bytes=self._job.limits.answer_bytes)
        try:
            return strict_json.decode(data, Answer, what="answer", limits=limits)
        except ManifestError as error:
            raise ContentError("", f"the process gave no answer: {error.message}") from error

    def _wait_end(self) -> None:
        """Wait for the end of a process that has answered; a bad end is a refusal."""
        try:
            code = self._process.wait(max(0.0, self._deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            raise self._too_slow() from None
        if code < 0:
            raise ContentError("", f"the process ended by {_signal_name(-code)}")
        if code:
            raise ContentError("", f"the process ended with code {code}")

    def _receive(self) -> bytes:
        pipe = self._process.stdout
        if pipe is None or pipe.closed:
            raise ContentError("", "was cancelled")
        data = bytearray()
        while True:
            left_s = self._deadline - time.monotonic()
            if left_s <= 0 or not select.select([pipe], [], [], left_s)[0]:
                self.cancel()
                raise self._too_slow()
            chunk = os.read(pipe.fileno(), _READ_BYTES)
            data += chunk
            if not chunk:
                return bytes(data)
            if len(data) > self._job.limits.answer_bytes:
                self.cancel()
                raise ContentError(
                    "", f"expected an answer of at most {self._job.limits.answer_bytes} bytes"
                )

    def _too_slow(self) -> ContentError:
        return ContentError("", f"expected an end within {self._job.limits.wall_s:g} s")

    def _check_complete(self, answer: Answer) -> None:
        # A report that leaves a file out would be signed as if it had been looked at.
        asked = [(file.path, file.sha256) for file in self._job.files]
        if [(file.path, file.sha256) for file in answer.files] != asked:
            raise ContentError("", "the process answered for other files than it was asked")


def _check_weights(path: str, file: ContentFile, local: Path) -> None:
    try:
        descriptor = open_regular(local)
    except OSError as error:
        raise ContentError(path, f"cannot be read: {error.strerror or error}") from error
    try:
        size = os.fstat(descriptor).st_size
        if size != file.size_bytes:
            raise ContentError(path, f"expected {file.size_bytes} bytes, got {size}")
        check_magic(path, size, partial(_read_at, descriptor))
    finally:
        os.close(descriptor)


def _read_at(descriptor: int, offset: int, length: int) -> bytes:
    return os.pread(descriptor, length, offset)


def _local(path: str, file: ContentFile) -> Path:
    if file.local is None:
        raise ContentError(path, "expected the complete file before the inspection")
    return file.local


def _environment() -> dict[str, str]:
    kept = {name: os.environ[name] for name in _ENVIRONMENT if name in os.environ}
    # One thread: what it takes is counted, and no pool outlives a limit.
    return kept | {"TOKENIZERS_PARALLELISM": "false", "RAYON_NUM_THREADS": "1"}


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
