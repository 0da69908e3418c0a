"""Volumes: every blob exactly once, none over its capacity, the same plan every time."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sealift.keys.claim import ClaimedBundle, ClaimedSeal
from sealift.manifests.bundle import Manifest
from sealift.manifests.digest import Digest
from sealift.manifests.layout import metadata_blobs, render
from sealift.manifests.limits import LIMITS
from sealift.manifests.part import Part
from sealift.manifests.recipe import Task
from sealift.manifests.statement import FileDigest, SealFields, SealStatement
from sealift.manifests.ustar import total_bytes
from sealift.manifests.volume import Volume
from sealift.media.carried import Carried
from sealift.media.errors import WriteRequestError
from sealift.media.media_plan import MediaPlan, plan_media
from sealift.media.profile import DISC, PROFILES, USB, Profile
from sealift.media.volume_plan import PayloadBlob, plan_volumes

METADATA = {"index.json": 3000, "README.txt": 2000, "blobs/sha256/" + "f" * 64: 40_000}


def _hexa(number: int) -> str:
    return f"{number:064x}"


def _blobs(sizes: list[int], repair: list[int]) -> list[PayloadBlob]:
    return [
        PayloadBlob(hexa=_hexa(number), size_bytes=size, is_repair=number >= len(sizes))
        for number, size in enumerate(sizes + repair)
    ]


@settings(max_examples=60, deadline=None)
@given(
    sizes=st.lists(st.integers(512, 3_000_000), max_size=60),
    repair=st.lists(st.integers(512, 3_000_000), max_size=20),
    spare=st.integers(0, 20_000_000),
    profile=st.sampled_from(sorted(PROFILES.values(), key=lambda profile: profile.name)),
)
def test_every_blob_lies_on_one_volume_and_none_is_over_its_capacity(
    sizes: list[int], repair: list[int], spare: int, profile: Profile
) -> None:
    blobs = _blobs(sizes, repair)
    capacity = 9_000_000 + spare
    plan = plan_volumes(blobs, METADATA, capacity_bytes=capacity, profile=profile)
    named = [hexa for volume in plan.volumes for hexa in volume]
    assert sorted(named) == sorted(blob.hexa for blob in blobs)
    assert plan == plan_volumes(blobs, METADATA, capacity_bytes=capacity, profile=profile)
    taken = {blob.hexa: profile.taken_bytes(blob.size_bytes) for blob in blobs}
    for number, volume in enumerate(plan.volumes, 1):
        files = [*METADATA.values()]
        if len(plan.volumes) > 1:
            files.append(len(Volume(number=number, plan=plan).encode()))
        used = sum(taken[hexa] for hexa in volume) + sum(map(profile.taken_bytes, files))
        assert used + profile.reserve_bytes <= capacity


@settings(max_examples=60, deadline=None)
@given(
    parts=st.integers(1, 200),
    repair=st.integers(1, 80),
    capacity=st.integers(9_000_000, 40_000_000),
)
def test_repair_parts_are_spread_evenly(parts: int, repair: int, capacity: int) -> None:
    blobs = _blobs([200_000] * parts, [200_000] * repair)
    plan = plan_volumes(blobs, METADATA, capacity_bytes=capacity, profile=USB)
    made = {blob.hexa for blob in blobs if blob.is_repair}
    counts = [sum(hexa in made for hexa in volume) for volume in plan.volumes]
    assert max(counts) - min(counts) <= 1


def test_parts_keep_their_order() -> None:
    blobs = _blobs([1_000_000] * 30, [])
    plan = plan_volumes(blobs, METADATA, capacity_bytes=12_000_000, profile=DISC)
    assert len(plan.volumes) > 3
    assert [hexa for volume in plan.volumes for hexa in volume] == [b.hexa for b in blobs]


def test_a_folder_never_holds_more_files_than_fat_can() -> None:
    blobs = _blobs([512] * 25_000, [512] * 500)
    plan = plan_volumes(blobs, METADATA, capacity_bytes=10**12, profile=USB)
    assert max(len(volume) for volume in plan.volumes) <= LIMITS.folder_entries - 1
    assert len(plan.volumes) == 3


def test_media_that_cannot_hold_the_signatures_and_one_part_are_refused() -> None:
    blobs = _blobs([50_000_000], [])
    with pytest.raises(WriteRequestError, match="expected at least") as caught:
        plan_volumes(blobs, METADATA, capacity_bytes=40_000_000, profile=USB)
    needed = int(caught.value.message.split()[4])
    assert len(plan_volumes(blobs, METADATA, capacity_bytes=needed + 99_999, profile=USB).volumes)


def test_more_volumes_than_a_set_may_have_are_refused() -> None:
    blobs = _blobs([3_000_000] * 1100, [])
    with pytest.raises(WriteRequestError, match="more than 999 volumes"):
        plan_volumes(blobs, METADATA, capacity_bytes=8_500_000, profile=USB)


def _bundle(part_count: int) -> Carried[ClaimedBundle]:
    parts = tuple(
        Part(
            file="model.onnx.data", offset=number, length=1, index=number, count=part_count,
            tar=Digest("sha256", _hexa(number)), blob=Digest("sha256", _hexa(number)),
            blob_bytes=total_bytes(1), compressed=False,
        )
        for number in range(part_count)
    )  # fmt: skip
    created = "2026-01-02T03:04:05Z"
    manifest = Manifest(
        name="demo", version="1.0.0", created=created, license="MIT", architecture="llama",
        parts=parts,
    )  # fmt: skip
    encoded, config = manifest.encode()
    fields = SealFields(
        manifest=str(Digest.of(encoded)), manifest_size=len(encoded), name="demo", version="1.0.0",
        task=Task.CHAT, sequence=1, created=created, audience=(), attestations=(),
    )  # fmt: skip
    statement = SealStatement(
        files=(FileDigest(path="model.onnx.data", digest="0" * 64),), fields=fields
    )
    seal = ClaimedSeal(statement=statement, key_id="0" * 64, envelope=b"seal")
    bundle = ClaimedBundle(seal=seal, manifest=manifest)
    documents = {Digest.of(data): data for data in (encoded, config, b"seal")}
    return Carried(
        bundle=bundle, documents=documents, predicates={}, parity=None, layout=bundle.layout
    )


def test_one_medium_with_more_files_than_fat_can_is_refused_and_a_set_is_not() -> None:
    bundle = _bundle(LIMITS.folder_entries)
    with pytest.raises(WriteRequestError, match="files in a folder") as caught:
        plan_media([bundle], profile=USB)
    assert "--volume" in (caught.value.hint or "")
    plan = plan_media([bundle], profile=USB, capacity_bytes=10**12)
    assert plan.count == 2


@pytest.mark.parametrize("number", [1, 2, 3])
def test_a_real_volume_fits_with_all_its_metadata(number: int) -> None:
    plan: MediaPlan = plan_media([_bundle(600)], profile=USB, capacity_bytes=14_000_000)
    assert plan.count == 3
    files = plan.files(number)
    sizes = [len(data) for data in files.metadata.values()] + list(files.payload.values())
    assert sum(map(USB.taken_bytes, sizes)) <= USB.usable_bytes(14_000_000)
    layout = _bundle(600).layout
    assert set(files.metadata) == set(render([layout], plan.volume(number))) | set(
        metadata_blobs(layout)
    )
