"""Compare parts with their digests, in parallel, through small buffers; nothing is decoded."""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from sealift.manifests.part import Part
from sealift.manifests.progress import Advance
from sealift.media.errors import MediumError
from sealift.media.folder import MediumFolder
from sealift.media.part_reader import hash_blob

__all__ = ["check_parts"]

_HASH_STEP_BYTES = 1 << 20


def check_parts(
    folder: MediumFolder, parts: Sequence[Part], advance: Advance, *, workers: int | None = None
) -> None:
    """Compare every part's blob with its digest; nothing is decoded or written.

    Raises:
        MediumError: the first that is wrong; the hint names more.
        MediumReadError: the device failed.
    """
    wrong: list[MediumError] = []

    def check(part: Part) -> None:
        try:
            hash_blob(folder, part, memoryview(bytearray(_HASH_STEP_BYTES)))
        except MediumError as error:
            wrong.append(error)
        advance(part.blob_bytes)

    with ThreadPoolExecutor(workers or os.cpu_count(), thread_name_prefix="verify") as executor:
        tasks = [executor.submit(check, part) for part in parts]
        try:
            for task in tasks:
                task.result()
        finally:
            executor.shutdown(wait=True, cancel_futures=True)
    if wrong:
        raise _first(wrong)


def _first(wrong: list[MediumError]) -> MediumError:
    first, *others = sorted(wrong, key=lambda error: error.path)
    if not others:
        return first
    return MediumError(
        first.path,
        first.message.removeprefix(f"{first.path}: "),
        hint=f"{len(wrong)} files are wrong, also {', '.join(error.path for error in others[:3])}",
    )
