"""Names that a trusted signer sealed and that must never become a path."""

from tests.attacks.host import Host
from tests.attacks.rows import attack
from tests.vectors.vector import Vector


@attack("names")
def test_names_that_lead_elsewhere(host: Host, vector: Vector) -> None:
    host.refuses(vector)


@attack("collisions")
def test_names_that_are_one_on_some_file_system(host: Host, vector: Vector) -> None:
    host.refuses(vector)


@attack("file-as-folder")
def test_a_file_used_as_a_folder(host: Host, vector: Vector) -> None:
    host.refuses(vector)
