"""What an inspection found: kept as a signed attestation beside the installed model."""

from sealift.manifests.recipe import Task
from sealift.manifests.record import Record

__all__ = ["ContentReport", "FileReport", "GraphReport", "WeightRange"]


class FileReport(Record, frozen=True, kw_only=True):
    """One file: what it is, and what was checked of it."""

    path: str
    kind: str
    size_bytes: int
    sha256: str
    checks: tuple[str, ...]


class WeightRange(Record, frozen=True, kw_only=True):
    """What a graph takes from one data file: so many tensors, all before `end_bytes`."""

    file: str
    tensors: int
    end_bytes: int


class GraphReport(Record, frozen=True, kw_only=True):
    """What a graph asks of the host.

    Attributes:
        opsets: version by domain, as the graph imports them.
        domains: of the nodes that are there, in functions and subgraphs too.
        operators: how many different ones.
    """

    path: str
    ir_version: int
    opsets: dict[str, int]
    domains: tuple[str, ...]
    operators: int
    nodes: int
    functions: int
    tensors: int
    weights: tuple[WeightRange, ...]


class ContentReport(Record, frozen=True, kw_only=True):
    """The verdict over a model's files, and what it rests on.

    Attributes:
        tool: name and version of who inspected.
        isolation: how the process that parsed was kept from the network.
        verdict: always `passed`: what is refused has no report, but an entry in the log.
    """

    tool: str
    task: Task
    isolation: str
    files: tuple[FileReport, ...]
    graphs: tuple[GraphReport, ...]
    verdict: str = "passed"

    @property
    def summary(self) -> str:
        """One line for people."""
        nodes = sum(graph.nodes for graph in self.graphs)
        domains = sorted({domain or "ai.onnx" for g in self.graphs for domain in g.domains})
        return (
            f"{self.verdict}: {len(self.files)} files, {len(self.graphs)} graphs, {nodes} nodes "
            f"of {', '.join(domains) or 'no domain'}; {self.tool}"
        )
