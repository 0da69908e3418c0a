"""Decide what each medium of a set holds, before anything is written; no I/O.

plan = plan_media(bundles, capacity_bytes=4_700_000_000, profile=DISC)
plan.files(2)            # every path that the second volume shall hold
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sealift.keys.claim import ClaimedBundle
from sealift.manifests.have import Have
from sealift.manifests.layout import metadata_blobs, render
from sealift.manifests.limits import LIMITS
from sealift.manifests.oci import blob_path
from sealift.manifests.volume import Volume, VolumePlan
from sealift.media.carried import Carried
from sealift.media.errors import WriteRequestError
from sealift.media.medium_files import MediumFiles
from sealift.media.profile import Profile
from sealift.media.volume_plan import PayloadBlob, plan_volumes

__all__ = ["MediaPlan", "plan_media"]

_BLOBS = "blobs/sha256/"


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaPlan:
    """A set of media, perhaps of one.

    Attributes:
        plan: which part is on which.
        sizes: of every part and repair part, by SHA-256; what is left out included.
    """

    bundles: tuple[Carried[ClaimedBundle], ...]
    plan: VolumePlan
    sizes: Mapping[str, int]

    @property
    def count(self) -> int:
        """How many media there are."""
        return len(self.plan.volumes)

    def volume(self, number: int) -> Volume | None:
        """Return what `volume.json` says; a medium that carries all of its parts has none."""
        if self.count == 1 and not self.plan.left_out:
            return None
        return Volume(number=number, plan=self.plan)

    def files(self, number: int) -> MediumFiles:
        """Return what a medium of the set shall hold."""
        layouts = [carried.layout for carried in self.bundles]
        metadata = {
            blob_path(digest): data
            for carried in self.bundles
            for digest, data in carried.documents.items()
        }
        labels = {blob_path(part.blob): part.member for layout in layouts for part in layout.parts}
        return MediumFiles(
            metadata=metadata | render(layouts, self.volume(number)),
            payload={f"{_BLOBS}{hexa}": self.sizes[hexa] for hexa in self.plan.volumes[number - 1]},
            labels=labels,
        )


def plan_media(
    bundles: Sequence[Carried[ClaimedBundle]],
    *,
    profile: Profile,
    capacity_bytes: int | None = None,
    have: Have | None = None,
    already_left_out: Mapping[str, str] | None = None,
) -> MediaPlan:
    """Plan one medium, or as many of a capacity as it takes.

    Args:
        capacity_bytes: none: one medium, of whatever size.
        have: what the receiving host holds: such parts are left out.
        already_left_out: SHA-256 of blobs that the sources leave out, and by which list.

    Raises:
        WriteRequestError: it cannot be done with such media, or the sources leave out what the
            receiving host does not hold.
    """
    blobs = _blobs(bundles)
    left_out, base = _left_out(bundles, have, already_left_out or {}, {b.hexa for b in blobs})
    carried = [blob for blob in blobs if blob.hexa not in left_out]
    if capacity_bytes is None:
        plan = VolumePlan(
            volumes=(tuple(blob.hexa for blob in carried),),
            left_out=tuple(sorted(left_out)),
            base=base,
        )
    else:
        plan = plan_volumes(
            carried, _metadata_sizes(bundles),
            capacity_bytes=capacity_bytes, profile=profile,
            left_out=sorted(left_out), base=base,
        )  # fmt: skip
    media = MediaPlan(
        bundles=tuple(bundles), plan=plan, sizes={blob.hexa: blob.size_bytes for blob in blobs}
    )
    _require_entries(media)
    return media


def _blobs(bundles: Sequence[Carried[ClaimedBundle]]) -> list[PayloadBlob]:
    """Return every part and repair part once, in the order of the manifests."""
    found: dict[str, PayloadBlob] = {}
    for carried in bundles:
        for part in carried.layout.parts:
            blob = PayloadBlob(hexa=part.blob.hex, size_bytes=part.blob_bytes, is_repair=False)
            found.setdefault(blob.hexa, blob)
    for carried in bundles:
        for item in carried.layout.repair:
            blob = PayloadBlob(hexa=item.checked_digest.hex, size_bytes=item.size, is_repair=True)
            found.setdefault(blob.hexa, blob)
    return list(found.values())


def _left_out(
    bundles: Sequence[Carried[ClaimedBundle]],
    have: Have | None,
    already: Mapping[str, str],
    known: set[str],
) -> tuple[frozenset[str], str]:
    absent = {hexa: base for hexa, base in already.items() if hexa in known}
    if have is None:
        bases = sorted(set(absent.values()))
        if len(bases) > 1:
            raise WriteRequestError(
                f"the media given leave out parts by {len(bases)} different lists",
                hint="give the whole bundle",
            )
        return frozenset(absent), "".join(bases)
    held = _held(bundles, have)
    if set(absent) - held:
        raise WriteRequestError(
            f"{len(set(absent) - held)} parts are on none of the media given, and the receiving "
            "host does not hold them",
            hint="give the whole bundle",
        )
    return frozenset(held), str(have.digest) if held else ""


def _held(bundles: Sequence[Carried[ClaimedBundle]], have: Have) -> set[str]:
    parts, files = set(have.parts), set(have.files)
    held = set()
    for carried in bundles:
        whole = {file.path for file in carried.bundle.seal.statement.files if file.digest in files}
        held |= {
            part.blob.hex
            for part in carried.layout.parts
            if part.tar.hex in parts or part.file in whole
        }
    return held


def _metadata_sizes(bundles: Sequence[Carried[ClaimedBundle]]) -> dict[str, int]:
    """Return size by path of all that lies beside the parts on a medium with all of them."""
    layouts = [carried.layout for carried in bundles]
    sizes = {path: len(data) for path, data in render(layouts).items()}
    for layout in layouts:
        sizes.update(metadata_blobs(layout))
    return sizes


def _require_entries(media: MediaPlan) -> None:
    others = sum(path.startswith(_BLOBS) for path in _metadata_sizes(media.bundles))
    largest = max(len(blobs) for blobs in media.plan.volumes) + others
    if largest > LIMITS.folder_entries:
        raise WriteRequestError(
            f"one medium: expected at most {LIMITS.folder_entries} files in a folder, "
            f"got {largest}",
            hint="use several with --volume",
        )
