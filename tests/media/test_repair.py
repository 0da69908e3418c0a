"""Whether parts can be rebuilt is known before anything is read, and said with names."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sealift.manifests.digest import Digest
from sealift.manifests.errors import Category
from sealift.manifests.oci import blob_path
from sealift.manifests.parity import Parity
from sealift.manifests.part import Part
from sealift.media.errors import RepairError
from sealift.media.repair import plan_repair, repair_path


def part(index: int, count: int) -> Part:
    """Describe a part of a file of many."""
    digest = Digest.of(f"part {index}".encode())
    return Part(
        file="model.onnx", offset=index * 512, length=512, index=index, count=count,
        tar=digest, blob=digest, blob_bytes=2048, compressed=False,
    )  # fmt: skip


PARTS = tuple(part(index, 40) for index in range(40))


def parity(count: int) -> Parity:
    """Name some repair parts."""
    names = tuple(Digest.of(f"repair {index}".encode()).hex for index in range(count))
    return Parity(code="leopard-rs16", shard_bytes=2048, blobs=names)


@given(st.sets(st.integers(0, 39)), st.integers(1, 20), st.data())
def test_it_is_possible_exactly_if_as_many_repair_parts_are_left(
    lost: set[int], count: int, data: st.DataObject
) -> None:
    lost_repair = data.draw(st.sets(st.integers(0, count - 1)))
    if len(lost) > count - len(lost_repair):
        with pytest.raises(RepairError):
            plan_repair(PARTS, parity(count), lost, lost_repair)
        return
    plan = plan_repair(PARTS, parity(count), lost, lost_repair)
    assert set(plan.lost) == lost
    assert set(plan.data) == set(range(40)) - lost
    assert len(plan.repair) == len(lost)
    assert not set(plan.repair) & lost_repair
    assert (plan.lost, plan.data, plan.repair) == tuple(
        tuple(sorted(each)) for each in (plan.lost, plan.data, plan.repair)
    )


@pytest.mark.parametrize(
    ("made", "lost", "lost_repair", "counts"),
    [
        (None, {7}, (), "1 part is lost, there are no repair parts"),
        (12, range(13), (), "13 parts are lost, there are 12 repair parts"),
        (12, range(13), {3}, "13 parts are lost, 11 of 12 repair parts are left"),
        (2, {1, 2}, {0}, "2 parts are lost, 1 of 2 repair parts is left"),
        (1, {1, 2}, (), "2 parts are lost, there is 1 repair part:"),
    ],
)
def test_a_refusal_counts_and_names_what_is_lost(
    made: int | None, lost: set[int], lost_repair: set[int], counts: str
) -> None:
    with pytest.raises(RepairError) as caught:
        plan_repair(PARTS, parity(made) if made else None, set(lost), set(lost_repair))
    message = caught.value.message
    assert message.startswith(counts)
    first = PARTS[min(lost)]
    assert f"model.onnx.part{first.index:05d} ({blob_path(first.blob)})" in message
    assert (f"and {len(lost) - 5} more" in message) == (len(lost) > 5)
    assert caught.value.hint
    assert (caught.value.category, caught.value.code) == (Category.INTEGRITY, "repair_impossible")


def test_a_repair_part_is_a_blob() -> None:
    assert repair_path(parity(3), 2) == f"blobs/sha256/{parity(3).blobs[2]}"
