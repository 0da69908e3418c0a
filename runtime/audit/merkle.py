"""The Merkle tree of RFC 6962: heads, appending, and consistency proofs (RFC 9162 section 2.1.4).

>>> tree = Frontier()
>>> tree.append(leaf_hash(b"first"))
>>> tree.size, tree.root() == leaf_hash(b"first")
(1, True)
"""

import hashlib
from collections.abc import Sequence

from sealift.manifests.errors import ManifestError

__all__ = ["Frontier", "consistency_proof", "leaf_hash", "root_of", "verify_consistency"]


def leaf_hash(data: bytes) -> bytes:
    """Hash an entry; the prefix keeps an entry from passing for an inner node."""
    return hashlib.sha256(b"\0" + data).digest()


def _node_hash(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\1" + left + right).digest()


class Frontier:
    """The right edge of a tree: all that appending needs, in O(log n) memory."""

    __slots__ = ("_edge", "size")

    def __init__(self) -> None:
        self.size = 0
        self._edge: list[bytes] = []

    def append(self, leaf: bytes) -> None:
        """Add a leaf's hash."""
        self.size += 1
        size = self.size
        while not size & 1:
            leaf = _node_hash(self._edge.pop(), leaf)
            size >>= 1
        self._edge.append(leaf)

    def root(self) -> bytes:
        """Return the tree's head."""
        if not self._edge:
            return hashlib.sha256(b"").digest()
        root = self._edge[-1]
        for subtree in reversed(self._edge[:-1]):
            root = _node_hash(subtree, root)
        return root

    def copy(self) -> "Frontier":
        """Return a tree that grows on its own."""
        other = Frontier()
        other.size, other._edge = self.size, self._edge.copy()
        return other


def root_of(leaves: Sequence[bytes]) -> bytes:
    """Return the head over leaf hashes."""
    tree = Frontier()
    for leaf in leaves:
        tree.append(leaf)
    return tree.root()


def consistency_proof(old_size: int, leaves: Sequence[bytes]) -> list[bytes]:
    """Prove that the tree of the first `old_size` leaves is a prefix of the tree of all.

    Raises:
        ManifestError: `old_size` is not between 1 and the number of leaves.
    """
    if not 0 < old_size <= len(leaves):
        raise ManifestError(f"consistency proof: expected 1 to {len(leaves)}, got {old_size}")
    return _subproof(old_size, leaves, is_complete=True)


def _subproof(old_size: int, leaves: Sequence[bytes], *, is_complete: bool) -> list[bytes]:
    if old_size == len(leaves):
        return [] if is_complete else [root_of(leaves)]
    cut = 1 << (len(leaves) - 1).bit_length() - 1
    left, right = leaves[:cut], leaves[cut:]
    if old_size <= cut:
        return [*_subproof(old_size, left, is_complete=is_complete), root_of(right)]
    return [*_subproof(old_size - cut, right, is_complete=False), root_of(left)]


def verify_consistency(
    old_size: int, new_size: int, old_root: bytes, new_root: bytes, proof: Sequence[bytes]
) -> None:
    """Check a proof, as RFC 9162 section 2.1.4.2 says.

    Raises:
        ManifestError: the old tree is not shown to be a prefix of the new one.
    """
    if old_size == new_size and not proof and old_root == new_root:
        return
    if not 0 < old_size < new_size or not proof:
        raise ManifestError(f"consistency proof: cannot lead from {old_size} to {new_size}")
    if _replay(old_size, new_size, old_root, proof) != (old_root, new_root):
        raise ManifestError("consistency proof: does not lead to both roots")


def _replay(
    old_size: int, new_size: int, old_root: bytes, proof: Sequence[bytes]
) -> tuple[bytes, bytes] | None:
    steps = list(proof)
    if old_size & (old_size - 1) == 0:  # 1. an exact power of two is a node of the new tree
        steps.insert(0, old_root)
    old, new = old_size - 1, new_size - 1  # 2.
    while old & 1:  # 3.
        old, new = old >> 1, new >> 1
    old_hash = new_hash = steps[0]  # 4.
    for step in steps[1:]:  # 5.
        if new == 0:
            return None
        if old & 1 or old == new:
            old_hash, new_hash = _node_hash(step, old_hash), _node_hash(step, new_hash)
            while old and not old & 1:
                old, new = old >> 1, new >> 1
        else:
            new_hash = _node_hash(new_hash, step)
        old, new = old >> 1, new >> 1
    return (old_hash, new_hash) if new == 0 else None  # 6.
