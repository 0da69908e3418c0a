"""Parts that a trusted key signed, in a form that must not be decoded or believed."""

from tests.attacks.host import Host
from tests.attacks.rows import attack
from tests.vectors.vector import Vector


@attack("bombs")
def test_bombs(host: Host, vector: Vector) -> None:
    host.refuses(vector)


@attack("archives")
def test_archives_in_another_form(host: Host, vector: Vector) -> None:
    host.refuses(vector)
