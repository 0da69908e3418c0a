"""The tree of RFC 6962: known heads, and proofs that hold for every pair of sizes."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sealift.manifests.errors import ManifestError
from sealift.runtime.audit.merkle import (
    Frontier,
    consistency_proof,
    leaf_hash,
    root_of,
    verify_consistency,
)

# The test vectors of the certificate-transparency reference implementation.
_INPUTS = (
    "", "00", "10", "2021", "3031", "40414243", "5051525354555657",
    "606162636465666768696a6b6c6d6e6f",
)  # fmt: skip
_ROOTS = (
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
)


def _naive(leaves: list[bytes]) -> bytes:
    if len(leaves) == 1:
        return leaves[0]
    cut = 1
    while cut * 2 < len(leaves):
        cut *= 2
    return hashlib.sha256(b"\1" + _naive(leaves[:cut]) + _naive(leaves[cut:])).digest()


def test_known_roots() -> None:
    tree = Frontier()
    for text, root in zip(_INPUTS, _ROOTS, strict=True):
        tree.append(leaf_hash(bytes.fromhex(text)))
        assert tree.root().hex() == root


def test_the_empty_tree_is_the_hash_of_nothing() -> None:
    assert Frontier().root() == hashlib.sha256(b"").digest()


@given(st.lists(st.binary(max_size=8), min_size=1, max_size=70))
def test_appending_gives_the_recursive_definition(entries: list[bytes]) -> None:
    leaves = [leaf_hash(entry) for entry in entries]
    assert root_of(leaves) == _naive(leaves)


def test_every_consistency_proof_holds_and_no_other_old_tree_passes() -> None:
    leaves = [leaf_hash(b"%d" % number) for number in range(40)]
    for new in range(1, 41):
        for old in range(1, new + 1):
            proof = consistency_proof(old, leaves[:new])
            verify_consistency(old, new, root_of(leaves[:old]), root_of(leaves[:new]), proof)
            forged = root_of([*leaves[: old - 1], leaf_hash(b"forged")])
            with pytest.raises(ManifestError):
                verify_consistency(old, new, forged, root_of(leaves[:new]), proof)


@given(st.integers(2, 40), st.data())
def test_a_changed_proof_fails(new: int, data: st.DataObject) -> None:
    leaves = [leaf_hash(b"%d" % number) for number in range(new)]
    old = data.draw(st.integers(1, new - 1))
    proof = consistency_proof(old, leaves)
    roots = root_of(leaves[:old]), root_of(leaves)
    index = data.draw(st.integers(0, len(proof) - 1))
    changed = [*proof[:index], hashlib.sha256(proof[index]).digest(), *proof[index + 1 :]]
    for bad in (changed, proof[:index] + proof[index + 1 :], [*proof, proof[0]]):
        with pytest.raises(ManifestError):
            verify_consistency(old, new, *roots, bad)


@pytest.mark.parametrize(("old", "new"), [(0, 3), (4, 3), (-1, 3)])
def test_sizes_out_of_order_are_refused(old: int, new: int) -> None:
    leaves = [leaf_hash(b"%d" % number) for number in range(3)]
    with pytest.raises(ManifestError):
        verify_consistency(old, new, root_of(leaves), root_of(leaves), [leaves[0]])
    with pytest.raises(ManifestError):
        consistency_proof(old, leaves)
