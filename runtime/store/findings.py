"""What an audit found: every file that is not what the log says, by name."""

from dataclasses import dataclass, field

__all__ = ["AuditReport", "Failure", "Findings"]


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Failure:
    """One file of the home, and what is wrong with it: expected and got."""

    path: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditReport:
    """The verdict over a home.

    Attributes:
        failures: empty exactly if all is as the log says.
        notes: what is unusual and does no harm.
        checkpoint: size and short root of the log, to be compared with one written down.
        files, size_bytes: how much was compared.
    """

    failures: tuple[Failure, ...]
    notes: tuple[str, ...]
    checkpoint: str
    entries: int
    models: int
    trusted_keys: int
    files: int
    size_bytes: int
    seconds: float

    @property
    def is_intact(self) -> bool:
        """The one-word verdict."""
        return not self.failures


@dataclass(slots=True)
class Findings:
    """Collects while an audit walks; the same file is named once for each thing that is wrong."""

    failures: set[Failure] = field(default_factory=set)
    notes: list[str] = field(default_factory=list)
    files: int = 0
    size_bytes: int = 0

    def fail(self, path: str, message: str) -> None:
        """Name a file; a message that starts with the name already loses it."""
        self.failures.add(Failure(path=path, message=message.removeprefix(f"{path}: ")))
