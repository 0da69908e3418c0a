"""Make the repair parts of a bundle that lies complete in a folder.

    parity = make_parity(folder, parts, percent=10, target=staging, progress=progress)

The repair parts are of right parts only: every byte that they are computed from is compared with
the signed digests in the same pass. What comes back is to be signed by whoever holds the bundle's
key; without a signature nobody uses it.
"""

import tempfile
from collections.abc import Sequence
from pathlib import Path

from sealift.manifests.parity import Parity
from sealift.manifests.part import Part
from sealift.manifests.progress import Progress, QuietProgress
from sealift.media.folder import MediumFolder
from sealift.media.parity_codec import repair_count, write_parity
from sealift.media.part_images import open_images, require_scratch

__all__ = ["make_parity"]


def make_parity(
    folder: MediumFolder, parts: Sequence[Part], *, percent: float, target: Path,
    progress: Progress | None = None,
) -> Parity:  # fmt: skip
    """Write repair parts into a folder, each under the SHA-256 that names it, and describe them.

    Parts that are stored as zstd are unpacked into a folder next to `target` for as long.

    Args:
        parts: all of the bundle, in the manifest's order; their blobs are in `folder`.
        percent: of all parts, repair parts included, that may be lost.

    Raises:
        ParityCountError: no such share.
        MediumError, MediumReadError: a part is missing, damaged, or cannot be read; nothing is
            left in `target`.
        MediaError: too little space to unpack.
        OSError: the disk of `target` failed.
    """
    progress = progress or QuietProgress()
    count = repair_count(len(parts), percent)
    shard_bytes = max(part.tar_bytes for part in parts)
    unpacked = sum(part.tar_bytes for part in parts if part.compressed)
    require_scratch(target, unpacked + count * shard_bytes)
    with tempfile.TemporaryDirectory(prefix=".images-", dir=target.parent) as scratch:
        with progress.step("unpack parts", unpacked) as advance:
            images = open_images(
                dict(enumerate(parts)), lambda part: folder, Path(scratch), advance
            )
        with progress.step("repair parts", len(parts) * shard_bytes) as advance:
            digests = write_parity(
                list(images.values()),
                shard_bytes=shard_bytes, count=count, folder=target, advance=advance,
            )  # fmt: skip
    try:
        for image in images.values():
            image.check()
    except BaseException:
        for digest in digests:
            (target / digest.hex).unlink(missing_ok=True)
        raise
    return Parity(
        code="leopard-rs16",
        shard_bytes=shard_bytes,
        blobs=tuple(digest.hex for digest in digests),
    )
