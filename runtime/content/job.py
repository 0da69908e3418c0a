"""What the inspecting process is asked, and what it answers: one JSON document each way."""

from sealift.manifests.recipe import Task
from sealift.manifests.record import Record
from sealift.runtime.content.limits import ContentLimits
from sealift.runtime.content.report import FileReport, GraphReport

__all__ = ["Answer", "Job", "JobFile", "Refusal"]


class JobFile(Record, frozen=True, kw_only=True):
    """A file to read: its name in the model, where it lies now, and what it must be."""

    path: str
    local: str
    size_bytes: int
    sha256: str


class Job(Record, frozen=True, kw_only=True):
    """An inspection.

    Attributes:
        files: those that are read whole.
        sizes: of every declared file of the model, weights too.
    """

    task: Task
    files: tuple[JobFile, ...]
    sizes: dict[str, int]
    limits: ContentLimits


class Refusal(Record, frozen=True, kw_only=True):
    """Why a model may not come in."""

    path: str
    reason: str
    hint: str | None = None


class Answer(Record, frozen=True, kw_only=True):
    """What was found; with `refused` set, the rest is what came before it."""

    isolation: str
    refused: Refusal | None = None
    files: tuple[FileReport, ...] = ()
    graphs: tuple[GraphReport, ...] = ()
