"""A genuine medium, changed by somebody who holds no key."""

from collections.abc import Iterator
from contextlib import contextmanager

from sealift.manifests.progress import Advance
from tests.attacks.host import Host, snapshot
from tests.attacks.rows import attack
from tests.vectors.vector import Vector, lay_out


@attack("special-files")
def test_links_devices_and_fifos(host: Host, vector: Vector) -> None:
    host.refuses(vector)


@attack("parts")
def test_truncated_reordered_missing_and_extra_parts(host: Host, vector: Vector) -> None:
    host.refuses(vector)


@attack("duplicates")
def test_duplicate_entries(host: Host, vector: Vector) -> None:
    host.refuses(vector)


class _Swap:
    """Changes the medium when its parts are about to be read: all else was verified before."""

    def __init__(self, host: Host, vector: Vector) -> None:
        self._host = host
        self._vector = vector

    @contextmanager
    def step(self, title: str, total: int | None = None) -> Iterator[Advance]:
        """Start reading."""
        lay_out(self._host.medium, self._vector.meanwhile)
        yield lambda count: None


@attack("changed-meanwhile")
def test_a_medium_that_changes_between_check_and_use(host: Host, vector: Vector) -> None:
    host.refuses_meanwhile(vector, _Swap(host, vector))


def test_the_media_that_the_attacks_start_from_are_taken(host: Host) -> None:
    """Else every refusal here could have another reason."""
    for base in ("base", "whole", "chat", "repairable"):
        home = host.copy(host.home.parent / base)
        home.plug(base)
        done = home.sealift("import", home.medium)
        assert done.exit == 0, done.err
        home.is_clean()


def test_both_volumes_of_a_set_are_taken_in_any_order(host: Host) -> None:
    for order in (("volume-1", "volume-2"), ("volume-2", "volume-1")):
        other = host.copy(host.home.parent / order[0])
        for base in order:
            done = other.sealift("import", other.plug(base))
            assert done.exit == 0, done.err
            other.unplug()
        assert done.out.startswith("installed demo 2.0.0")
        other.is_clean()


def test_a_replay_changes_nothing(host: Host) -> None:
    host.plug("base")
    assert host.sealift("import", host.medium).exit == 0
    before = snapshot(host.home)
    for base in ("base", "installed"):
        host.unplug()
        host.plug(base)
        done = host.sealift("import", host.medium)
        assert (done.exit, done.out.split(":")[0]) == (0, "already installed")
    assert snapshot(host.home) == before
    host.is_clean()


@attack("volumes")
def test_a_volume_that_lies_about_its_set(host: Host, vector: Vector) -> None:
    host.refuses(vector)


@attack("repair-parts")
def test_repair_parts_that_repair_nothing(host: Host, vector: Vector) -> None:
    host.refuses(vector)


@attack("custody")
def test_custody_records_that_do_not_hold(host: Host, vector: Vector) -> None:
    host.refuses(vector)
