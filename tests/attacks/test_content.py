"""Files that a trusted key signed and that must not be loaded."""

from tests.attacks.host import Host
from tests.attacks.rows import attack
from tests.vectors.vector import Vector


@attack("external-data")
def test_graphs_whose_weights_lie_elsewhere(host: Host, vector: Vector) -> None:
    host.refuses(vector)


@attack("custom-ops")
def test_graphs_with_foreign_operators(host: Host, vector: Vector) -> None:
    host.refuses(vector)


@attack("programs")
def test_programs_scripts_and_pickles(host: Host, vector: Vector) -> None:
    host.refuses(vector)


@attack("remote-code")
def test_configurations_that_name_code(host: Host, vector: Vector) -> None:
    host.refuses(vector)


@attack("templates")
def test_templates_that_loop_allocate_or_escape(host: Host, vector: Vector) -> None:
    host.refuses(vector)


@attack("oversized")
def test_graphs_and_json_without_bounds(host: Host, vector: Vector) -> None:
    host.refuses(vector)
