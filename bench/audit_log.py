"""What the log costs: opening it (every entry is hashed and compared with the signed head), and
appending to it (two flushes to the disk an append, whatever the number of events).

    python bench/audit_log.py --folder DIR [--entries 10000] [--rounds 5]
"""

import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import click

from sealift.runtime.audit.entry import Event, Kind
from sealift.runtime.audit.log import AuditLog


@click.command()
@click.option("--folder", type=click.Path(path_type=Path, exists=True), required=True)
@click.option("--entries", default=10_000, show_default=True)
@click.option("--rounds", default=5, show_default=True)
def main(folder: Path, entries: int, rounds: int) -> None:
    """Print medians of a few rounds."""
    with tempfile.TemporaryDirectory(dir=folder) as root:
        home = Path(root) / "home"
        log = AuditLog.open(home)
        log.append(*(_event(number) for number in range(entries)))
        one, many = [_event(0)], [_event(number) for number in range(100)]
        for name, action in (
            (f"open {entries} entries", lambda: AuditLog.open(home)),
            ("append 1 event", lambda: log.append(*one)),
            ("append 100 events", lambda: log.append(*many)),
        ):
            click.echo(f"{name:<24} {1000 * _median_s(action, rounds):8.1f} ms")


def _median_s(action: Callable[[], object], rounds: int) -> float:
    seconds = []
    for _ in range(rounds):
        started = time.perf_counter()
        action()
        seconds.append(time.perf_counter() - started)
    return statistics.median(seconds)


def _event(number: int) -> Event:
    fields = {"model": "purser:1.0.0", "outcome": "stop", "completion_tokens": number}
    return Event(kind=Kind.REQUEST, fields=fields)


if __name__ == "__main__":
    main()
