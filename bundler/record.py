"""`export.json`: what was exported, from what, with which tools, and how good it is.

The packer turns this record into the provenance and evaluation attestations.
"""

from typing import Annotated

import msgspec

from sealift.manifests import strict_json
from sealift.manifests.recipe import Device, Precision, Task
from sealift.manifests.record import Record

__all__ = [
    "EXPORT_FILE",
    "FILES_FOLDER",
    "EvaluationRecord",
    "ExportRecord",
    "FileRecord",
    "SourceRecord",
    "StepRecord",
    "VariantRecord",
]

EXPORT_FILE = "export.json"
FILES_FOLDER = "files"

_Size = Annotated[int, msgspec.Meta(ge=0)]
_Digest = Annotated[str, msgspec.Meta(pattern=r"^sha256:[0-9a-f]{64}$")]


class FileRecord(Record, frozen=True, kw_only=True):
    """One file that went into the build."""

    path: str
    size_bytes: _Size
    sha256: Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{64}$")]


class SourceRecord(Record, frozen=True, kw_only=True):
    """A model or adapter folder: where it came from and all that was read of it."""

    origin: str
    digest: _Digest
    files: tuple[FileRecord, ...]


class StepRecord(Record, frozen=True, kw_only=True):
    """What one step of the build cost."""

    name: str
    seconds: float
    peak_bytes: _Size


class EvaluationRecord(Record, frozen=True, kw_only=True):
    """Numbers of one variant against the fp32 torch reference, and what they were taken from."""

    reference: str
    metrics: dict[str, float]
    samples: dict[str, int]
    limits: dict[str, float]


class VariantRecord(Record, frozen=True, kw_only=True):
    """One variant folder."""

    label: str
    device: Device
    precision: Precision
    block_size: int
    exporter: str
    size_bytes: _Size
    evaluation: EvaluationRecord


class ExportRecord(Record, frozen=True, kw_only=True):
    """The whole export. Only `created` and `steps` differ between two equal builds."""

    name: str
    version: str
    task: Task
    license: str
    architecture: str
    recipe_digest: _Digest
    source: SourceRecord
    adapter: SourceRecord | None = None
    tools: dict[str, str]
    created: str
    steps: tuple[StepRecord, ...]
    variants: tuple[VariantRecord, ...]

    @classmethod
    def parse(cls, data: bytes) -> "ExportRecord":
        """Read `export.json`.

        Raises:
            ManifestError: not this form.
        """
        return strict_json.decode(data, cls, what=EXPORT_FILE)

    def encode(self) -> bytes:
        """Return the file's bytes."""
        return strict_json.pretty(self)
