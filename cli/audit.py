"""`sealift audit`: prove the state of this host, or read its log."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from sealift.cli.exit_code import ExitCode
from sealift.cli.options import home_option, json_option
from sealift.cli.output import human_bytes, print_json, print_table, talk

if TYPE_CHECKING:
    from sealift.runtime.audit.entry import Entry
    from sealift.runtime.store.findings import AuditReport

__all__ = ["command"]


@click.group("audit", short_help="Prove the state of this host, or read its log.")
def command() -> None:
    """Prove the state of this host, or read its log."""


@command.command("verify")
@home_option
@json_option
def verify(home: Path, as_json: bool) -> int:
    """One verdict over log, checkpoint, trusted keys, and every installed file.

    Write the checkpoint down: a log that was cut back later cannot hide from it.
    """
    from sealift.runtime.store.audit_verify import audit_verify

    report = audit_verify(home)
    if as_json:
        print_json(_facts(report))
    else:
        _print(report)
    return ExitCode.OK if report.is_intact else ExitCode.INTEGRITY


@command.command("log")
@click.option("--kind", "kinds", multiple=True, help="Only entries of this kind.")
@click.option("--last", type=click.IntRange(1), help="Only the last N of them.")
@home_option
@json_option
def log(kinds: tuple[str, ...], last: int | None, home: Path, as_json: bool) -> None:
    """Print the log, oldest entry first; its signed head is checked."""
    from sealift.runtime.audit.log import AuditLog

    _require_home(home)
    audit_log = AuditLog.open(home)
    entries = [e for e in audit_log.entries() if not kinds or e.kind.value in kinds]
    entries = entries[-last:] if last else entries
    if as_json:
        print_json(entries)
        return
    print_table(
        ("SEQ", "TIME", "KIND", "WHAT"),
        [(str(entry.seq), entry.time, entry.kind.value, _words(entry)) for entry in entries],
    )
    talk(f"checkpoint {audit_log.checkpoint.short}")


def _facts(report: "AuditReport") -> dict[str, object]:
    return {
        "verdict": "intact" if report.is_intact else "failed",
        "failures": [
            {"path": failure.path, "message": failure.message} for failure in report.failures
        ],
        "notes": list(report.notes),
        "checkpoint": report.checkpoint,
        "entries": report.entries,
        "models": report.models,
        "trusted_keys": report.trusted_keys,
        "files": report.files,
        "size_bytes": report.size_bytes,
        "seconds": round(report.seconds, 3),
    }


def _print(report: "AuditReport") -> None:
    for failure in report.failures:
        click.echo(f"failed  {failure.path}: {failure.message}")
    for note in report.notes:
        talk(f"note: {note}")
    verdict = "intact" if report.is_intact else f"NOT INTACT ({len(report.failures)} failures)"
    click.echo(
        f"{verdict}: {report.models} model versions, {report.trusted_keys} trusted keys, "
        f"{report.entries} log entries, {report.files} files, {human_bytes(report.size_bytes)} "
        f"in {report.seconds:.1f} s"
    )
    click.echo(f"checkpoint {report.checkpoint}")


def _require_home(home: Path) -> None:
    if not (home / "log").is_dir():
        from sealift.runtime.store.errors import StoreError

        raise StoreError(f"{home}: expected a home, found no log", hint="set SEALIFT_HOME")


def _words(entry: "Entry") -> str:
    return " ".join(
        f"{name}={value}" for name, value in sorted(entry.fields.items()) if value is not None
    )
