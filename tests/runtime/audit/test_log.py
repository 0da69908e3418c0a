"""The log on disk: what was appended stays, what was changed is found, crashes are mended."""

import os
import subprocess
import sys
import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest

from sealift.manifests.errors import ManifestError
from sealift.runtime.audit.entry import Event, Kind
from sealift.runtime.audit.errors import AuditError
from sealift.runtime.audit.log import CHECKPOINT, ENTRIES, AuditLog
from sealift.runtime.audit.merkle import leaf_hash, root_of


def _event(number: int) -> Event:
    return Event(kind=Kind.REQUEST, fields={"n": number})


def _kinds(log: AuditLog) -> list[Kind]:
    return [entry.kind for entry in log.entries()]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home whose log has a start and three requests."""
    log = AuditLog.open(tmp_path / "home")
    log.append(_event(0))
    log.append(_event(1), _event(2))
    return tmp_path / "home"


def test_a_new_log_starts_with_the_site(home: Path) -> None:
    log = AuditLog.open(home)
    first, *rest = log.entries()
    assert first.kind is Kind.SITE_INIT
    assert first.fields["site_key"] == log.public.key_id
    assert [entry.seq for entry in (first, *rest)] == [0, 1, 2, 3]
    assert (home / "site/key.pem").stat().st_mode & 0o777 == 0o600


def test_the_checkpoint_is_the_tree_over_the_lines(home: Path) -> None:
    lines = (home / ENTRIES).read_bytes().splitlines()
    assert AuditLog.open(home).checkpoint.root == root_of([leaf_hash(line) for line in lines])


def test_times_come_from_the_clock(tmp_path: Path) -> None:
    log = AuditLog.open(tmp_path / "h", clock=lambda: datetime(2031, 2, 3, 4, 5, 6, tzinfo=UTC))
    assert next(log.entries()).time == "2031-02-03T04:05:06Z"


def test_every_flipped_byte_is_found(home: Path) -> None:
    for name in (ENTRIES, CHECKPOINT, "site/key.pub", "site/key.pem"):
        good = (home / name).read_bytes()
        for position in range(0, len(good), 7):
            bad = bytearray(good)
            bad[position] ^= 1
            (home / name).write_bytes(bad)
            with pytest.raises(AuditError):
                AuditLog.open(home)
        (home / name).write_bytes(good)
    AuditLog.open(home)


def _cut(home: Path) -> None:
    lines = (home / ENTRIES).read_bytes().splitlines(keepends=True)
    (home / ENTRIES).write_bytes(b"".join(lines[:-1]))


def _torn(home: Path) -> None:
    (home / ENTRIES).write_bytes((home / ENTRIES).read_bytes()[:-5])


def _forged_tail(home: Path) -> None:
    with (home / ENTRIES).open("ab") as file:
        file.write((home / ENTRIES).read_bytes().splitlines(keepends=True)[1])


def _half_a_line_more(home: Path) -> None:
    with (home / ENTRIES).open("ab") as file:
        file.write(b'{"half')


def _no_checkpoint(home: Path) -> None:
    (home / CHECKPOINT).unlink()


def _no_entries(home: Path) -> None:
    (home / ENTRIES).unlink()


def _no_key(home: Path) -> None:
    (home / "site/key.pem").unlink()


def _open_key(home: Path) -> None:
    (home / "site/key.pem").chmod(0o640)


def _swapped(home: Path) -> None:
    lines = (home / ENTRIES).read_bytes().splitlines(keepends=True)
    (home / ENTRIES).write_bytes(b"".join([lines[0], lines[2], lines[1], lines[3]]))


def _other_site(home: Path) -> None:
    AuditLog.open(home.parent / "other")
    for name in ("key.pem", "key.pub"):
        (home.parent / "other/site" / name).replace(home / "site" / name)


@pytest.mark.parametrize(
    "spoil",
    [
        _cut, _torn, _forged_tail, _half_a_line_more, _no_checkpoint, _no_entries, _no_key,
        _open_key, _swapped, _other_site,
    ],
)  # fmt: skip
def test_a_log_out_of_order_stops_everything(home: Path, spoil: object) -> None:
    assert callable(spoil)
    spoil(home)
    with pytest.raises(AuditError):
        AuditLog.open(home)


def test_a_running_process_sees_a_log_that_went_back(home: Path) -> None:
    log = AuditLog.open(home)
    old = {name: (home / name).read_bytes() for name in (ENTRIES, CHECKPOINT)}
    log.append(_event(3))
    for name, data in old.items():
        (home / name).write_bytes(data)
    with pytest.raises(AuditError, match="expected at least 5"):
        log.append(_event(4))


def test_a_home_with_content_and_no_log_gets_no_new_log(home: Path) -> None:
    (home / "models").mkdir()
    (home / ENTRIES).unlink()
    (home / CHECKPOINT).unlink()
    with pytest.raises(AuditError, match="missing"):
        AuditLog.open(home)


class _Crash(BaseException):
    pass


def _crash_after(home: Path, written: int | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """End an append of two entries as a power cut would, with `written` bytes of them on disk."""
    log = AuditLog.open(home)
    before = (home / ENTRIES).stat().st_size
    replace = Path.replace

    def cut(self: Path, target: Path) -> Path:
        if self.name == "checkpoint.next":
            raise _Crash
        return replace(self, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", cut)
        with pytest.raises(_Crash):
            log.append(_event(10), _event(11))
    if written is not None:
        os.truncate(home / ENTRIES, before + written)


def test_a_crash_before_the_checkpoint_completes_the_append(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _crash_after(home, None, monkeypatch)
    log = AuditLog.open(home)
    *_, tenth, eleventh, recovered = log.entries()
    assert (tenth.fields, eleventh.fields) == ({"n": 10}, {"n": 11})
    assert recovered.kind is Kind.LOG_RECOVERED
    assert recovered.fields == {"completed_entries": 2, "dropped_bytes": 0}
    assert AuditLog.open(home).checkpoint == log.checkpoint


@pytest.mark.parametrize("written", [0, 5, 70, 75])
def test_a_torn_append_is_taken_back(
    home: Path, written: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    _crash_after(home, written, monkeypatch)
    log = AuditLog.open(home)
    *_, last, recovered = log.entries()
    assert last.fields == {"n": 2}
    assert recovered.fields == {"completed_entries": 0, "dropped_bytes": written}
    log.append(_event(12))
    assert len(list(AuditLog.open(home).entries())) == 6


def test_threads_and_objects_share_one_log(home: Path) -> None:
    logs = [AuditLog.open(home), AuditLog.open(home)]

    def write(log: AuditLog) -> None:
        for number in range(15):
            log.append(_event(number))

    threads = [threading.Thread(target=write, args=(log,)) for log in logs for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    entries = list(AuditLog.open(home).entries())
    assert [entry.seq for entry in entries] == list(range(4 + 60))
    assert logs[0].sync() == logs[1].sync()


def test_processes_share_one_log(home: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from sealift.runtime.audit.log import AuditLog\n"
        "from sealift.runtime.audit.entry import Event, Kind\n"
        "log = AuditLog.open(Path(sys.argv[1]))\n"
        "for n in range(20): log.append(Event(kind=Kind.REQUEST, fields={'n': n}))"
    )
    children = [subprocess.Popen([sys.executable, "-c", code, str(home)]) for _ in range(3)]
    assert [child.wait(60) for child in children] == [0, 0, 0]
    assert len(list(AuditLog.open(home).entries())) == 64


def test_oversized_events_are_refused(home: Path) -> None:
    log = AuditLog.open(home)
    with pytest.raises(ManifestError, match="at most"):
        log.append(Event(kind=Kind.REQUEST, fields={"text": "x" * 70_000}))
    assert len(_kinds(AuditLog.open(home))) == 4


def test_ten_thousand_entries_open_as_they_were_written(tmp_path: Path) -> None:
    log = AuditLog.open(tmp_path / "home")
    written = log.append(*(_event(number) for number in range(10_000)))
    assert AuditLog.open(tmp_path / "home").checkpoint == written
