"""Inspect what is assembled, while weights are still coming in, before any of it is shown.

    with StagedInspection(home, staging.folder, bundle) as inspection:
        ...                                  # inspection.note(sha256) as files are finished
        record = inspection.record()         # of all files, signed by this site

Graphs, tokenizers and configs come first on a medium: their inspection runs beside the copying of
the weights, and a model that will be refused is refused early.
"""

import threading
from pathlib import Path
from types import TracebackType
from typing import Self

from sealift.keys.verify import VerifiedBundle
from sealift.runtime.audit.site_key import read_site_key
from sealift.runtime.content.errors import ContentError
from sealift.runtime.content.process import ContentFile, Inspection, is_weights, start_inspection
from sealift.runtime.importer.staging import present_path
from sealift.runtime.store.inspection_record import inspection_record

__all__ = ["StagedInspection"]


class StagedInspection:
    """One bundle's inspection; leaving its block ends whatever still runs."""

    def __init__(self, home: Path, staging: Path, bundle: VerifiedBundle) -> None:
        self._home = home
        self._staging = staging
        self._bundle = bundle
        statement = bundle.seal.statement
        self._files = {file.path: file.digest for file in statement.files}
        self._awaited = {
            sha256
            for path, sha256 in self._files.items()
            if not is_weights(path) and not self._place(sha256).exists()
        }
        self._lock = threading.Lock()
        self._inspection: Inspection | None = None
        self._collector: threading.Thread | None = None
        self._refusal: ContentError | None = None

    def __enter__(self) -> Self:
        self._start_if_ready()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._inspection is None:
            return
        self._inspection.stop()
        if self._collector is not None:
            self._collector.join()
        self._inspection.cancel()

    def note(self, sha256: str) -> None:
        """Take note that a file is complete and durable; may come from any thread."""
        with self._lock:
            self._awaited.discard(sha256)
        self._start_if_ready()

    def check(self) -> None:
        """Stop early: nothing more need be copied of a model that is refused.

        Raises:
            ContentError: the inspection has ended so.
        """
        if self._refusal is not None:
            raise self._refusal

    def record(self) -> bytes:
        """Wait for the verdict on all files, which are complete now, and sign the report.

        Raises:
            ContentError: a file holds what no model may hold.
            AuditError: the site's key is not in order.
        """
        self.check()
        if self._collector is not None:
            self._collector.join()
            self.check()
        if self._inspection is None:
            raise ContentError(min(self._awaited), "is not here to be inspected")
        weights = {
            path: self._place(sha256) for path, sha256 in self._files.items() if is_weights(path)
        }
        report = self._inspection.result(weights)
        return inspection_record(report, self._bundle, read_site_key(self._home))

    def _start_if_ready(self) -> None:
        with self._lock:
            if self._awaited or self._inspection is not None or self._refusal is not None:
                return
            sizes = self._bundle.manifest.files
            files = {
                path: ContentFile(
                    size_bytes=sizes[path],
                    sha256=sha256,
                    local=None if is_weights(path) else self._place(sha256),
                )
                for path, sha256 in self._files.items()
            }
            try:
                task = self._bundle.seal.statement.fields.task
                self._inspection = start_inspection(files, task=task)
            except ContentError as error:
                self._refusal = error
                return
            self._collector = threading.Thread(target=self._collect, args=(self._inspection,))
            self._collector.start()

    def _collect(self, inspection: Inspection) -> None:
        # Read as it comes: its time runs from its start, not from when the weights are here.
        try:
            inspection.collect()
        except ContentError as error:
            self._refusal = error

    def _place(self, sha256: str) -> Path:
        return present_path(self._home, self._staging, sha256)
