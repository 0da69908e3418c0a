"""Documents that two readers would read differently, and releases out of order."""

from tests.attacks.host import Host
from tests.attacks.rows import attack
from tests.vectors.vector import Vector


@attack("json")
def test_json_with_two_readings_or_without_bounds(host: Host, vector: Vector) -> None:
    host.refuses(vector)


@attack("rollback")
def test_rollback(host: Host, vector: Vector) -> None:
    host.refuses(vector)


@attack("mix-and-match")
def test_mix_and_match(host: Host, vector: Vector) -> None:
    host.refuses(vector)


@attack("fast-forward")
def test_fast_forward(host: Host, vector: Vector) -> None:
    host.refuses(vector)


@attack("audience")
def test_a_bundle_for_another_site(host: Host, vector: Vector) -> None:
    host.refuses(vector)
