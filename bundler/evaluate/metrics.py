"""The numbers of an evaluation, from arrays (pure).

>>> round(exact_share([(1, 2), (3,)], [(1, 2), (4,)]), 2)
0.5
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, np.dtype[Any]]

__all__ = ["TokenTally", "cosines", "exact_share", "order_agreement"]

# A 152k-word vocabulary in double precision: 16 rows are 20 MB a copy.
_ROWS = 16


@dataclass(slots=True)
class TokenTally:
    """Sums over token positions; add windows, then read the means."""

    positions: int = 0
    kl_sum: float = 0.0
    top1_equal: int = 0
    targets: int = 0
    reference_nll_sum: float = 0.0
    graph_nll_sum: float = 0.0

    def add(self, reference: "Array", graph: "Array", targets: Sequence[int] | None = None) -> None:
        """Count one window.

        Args:
            reference: logits of the torch model, `[positions, vocabulary]`.
            graph: logits of the exported graph, alike.
            targets: the token that truly follows each position, where that is known.
        """
        for start in range(0, len(reference), _ROWS):
            rows = slice(start, start + _ROWS)
            wanted = targets[rows] if targets is not None else None
            self._add_rows(_log_softmax(reference[rows]), _log_softmax(graph[rows]), wanted)

    def metrics(self) -> dict[str, float]:
        """Mean KL divergence (nats), top-1 agreement; both perplexities if there were targets."""
        import math

        found: dict[str, float] = {}
        if self.positions:
            found["kl"] = max(self.kl_sum / self.positions, 0.0)
            found["top1_agreement"] = self.top1_equal / self.positions
        if self.targets:
            found["perplexity"] = math.exp(self.graph_nll_sum / self.targets)
            found["perplexity_fp32"] = math.exp(self.reference_nll_sum / self.targets)
        return found

    def _add_rows(self, log_p: "Array", log_q: "Array", targets: Sequence[int] | None) -> None:
        import numpy as np

        self.positions += len(log_p)
        self.kl_sum += float((np.exp(log_p) * (log_p - log_q)).sum())
        self.top1_equal += int((log_p.argmax(1) == log_q.argmax(1)).sum())
        if targets is not None and len(targets):
            rows = np.arange(len(targets))
            self.targets += len(targets)
            self.reference_nll_sum -= float(log_p[rows, list(targets)].sum())
            self.graph_nll_sum -= float(log_q[rows, list(targets)].sum())


def exact_share(found: Sequence[object], wanted: Sequence[object]) -> float:
    """The share of answers that are equal; 1.0 of nothing."""
    pairs = list(zip(found, wanted, strict=True))
    return sum(a == b for a, b in pairs) / len(pairs) if pairs else 1.0


def cosines(found: "Array", wanted: "Array") -> "Array":
    """The cosine of each pair of rows."""
    import numpy as np

    found, wanted = found.astype(np.float64), wanted.astype(np.float64)
    norms = np.linalg.norm(found, axis=1) * np.linalg.norm(wanted, axis=1)
    return np.asarray((found * wanted).sum(1) / np.maximum(norms, np.finfo(np.float64).tiny))


def order_agreement(found: "Array", wanted: "Array", groups: Sequence[str]) -> float:
    """The share of pairs within a group that both scores put in the same order."""
    same = total = 0
    for i in range(len(groups)):
        for j in range(i + 1, len(groups)):
            if groups[i] == groups[j]:
                total += 1
                same += bool((found[i] > found[j]) == (wanted[i] > wanted[j]))
    return same / total if total else 1.0


def _log_softmax(logits: "Array") -> "Array":
    import numpy as np

    values = logits.astype(np.float64)
    values -= values.max(1, keepdims=True)
    return np.asarray(values - np.log(np.exp(values).sum(1, keepdims=True)))
