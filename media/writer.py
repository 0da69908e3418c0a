"""Write bundles onto media: one, or a set of volumes. Needs no key: signatures travel as they are.

    request = WriteRequest(sources=(Path("bundle"),), target=Path("/media/usb"), profile=USB)
    report = write_media(request)

Plan, then copy: what a medium will hold is known, and checked against its size and what lies on it,
before the first byte is written. A set is planned from digests alone, so each of its volumes can be
written on another day, and comes out the same. Only repair parts and custody records are signed.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from sealift.keys.claim import ClaimedBundle
from sealift.keys.errors import UntrustedError
from sealift.keys.judge import ClaimJudge
from sealift.keys.signer import Signer
from sealift.manifests.digest import Digest
from sealift.manifests.errors import SealiftError
from sealift.manifests.have import Have
from sealift.manifests.layout import INDEX
from sealift.manifests.progress import Progress, QuietProgress
from sealift.media.carried import Carried, read_bundles
from sealift.media.custody_recorder import CustodyRecorder
from sealift.media.errors import WriteRequestError
from sealift.media.folder import MediumFolder
from sealift.media.library import Library, merge_bundles
from sealift.media.media_plan import MediaPlan, plan_media
from sealift.media.medium_files import Find, Written
from sealift.media.medium_writer import MediumWriter
from sealift.media.profile import USB, Profile
from sealift.media.repair_maker import RepairMaker
from sealift.media.source import MediumSource

__all__ = ["WriteReport", "WriteRequest", "write_media"]

_VOLUME = "volume-"


@dataclass(frozen=True, slots=True, kw_only=True)
class WriteRequest:
    """What to write where.

    Attributes:
        sources: media, or folders of volumes.
        target: the medium; with a capacity and no number, the folder of the volumes.
        capacity_bytes: of each medium of a set; none writes one medium, of whatever size.
        number: the one volume to write, straight into `target`.
        parity_percent: share of the parts that may be lost; needs the key that sealed the bundle.
        have: what the receiving host holds: such parts are left out.
        signer: makes a custody record for each medium; none makes no record.
    """

    sources: tuple[Path, ...]
    target: Path
    profile: Profile = USB
    capacity_bytes: int | None = None
    number: int | None = None
    parity_percent: float | None = None
    have: Have | None = None
    signer: Signer | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class WriteReport:
    """What was written, volume by volume.

    Attributes:
        written: by volume number.
    """

    plan: MediaPlan
    written: dict[int, Written]


def write_media(
    request: WriteRequest,
    progress: Progress | None = None,
    clock: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> WriteReport:
    """Write one medium, a whole set, or one volume of it.

    Raises:
        WriteRequestError, UntrustedError: it cannot be done as asked for; nothing was written.
        MediumNotFoundError: a source is no medium.
        MediumError, SignatureError, ManifestError: a source is damaged.
        MediumWriteError, MediumReadError, ReadBackError: a device failed.
    """
    _check(request)
    progress = progress or QuietProgress()
    with ExitStack() as stack:
        library = stack.enter_context(Library.open(request.sources))
        bundles = merge_bundles([*library.bundles, *_there(request)])
        _check_signer(request, bundles)
        maker = None
        if request.parity_percent is not None and request.signer is not None:
            maker = stack.enter_context(
                RepairMaker.open(request.signer, percent=request.parity_percent, progress=progress)
            )
            bundles = maker.complete(bundles, library)
        plan = plan_media(
            bundles,
            profile=request.profile,
            capacity_bytes=request.capacity_bytes,
            have=request.have,
            already_left_out=library.left_out,
        )
        written = {}
        for number, folder in _folders(request, plan.count).items():
            writer = MediumWriter(folder, request.profile, progress)
            written[number] = writer.write(
                plan.files(number), _finder(library, maker), _recorder(request, plan, number, clock)
            )
    return WriteReport(plan=plan, written=written)


def _check(request: WriteRequest) -> None:
    if request.number is not None and request.capacity_bytes is None:
        raise WriteRequestError(
            "--number: which volume, without a capacity of volumes", hint="add --volume SIZE"
        )
    if request.parity_percent is not None and request.signer is None:
        raise WriteRequestError(
            "--parity: repair parts must be signed",
            hint="give the key that sealed the bundle: --key",
        )


def _check_signer(request: WriteRequest, bundles: Sequence[Carried[ClaimedBundle]]) -> None:
    if request.signer is None:
        return
    key_id = request.signer.public.key_id
    signers = {carried.bundle.seal.key_id for carried in bundles}
    if key_id not in signers:
        # Readers refuse a medium with a record by a key that they do not trust.
        raise UntrustedError(
            f"--key: {key_id[:16]} sealed none of these bundles",
            hint="give the key of one of them, or none: then no custody record is made",
        )


def _there(request: WriteRequest) -> Iterator[Carried[ClaimedBundle]]:
    """Read the bundles that the target carries already: they stay, and others join them."""
    for index in sorted((*request.target.glob(INDEX), *request.target.glob(f"{_VOLUME}*/{INDEX}"))):
        try:
            with MediumFolder.open(index.parent) as folder:
                yield from read_bundles(folder, ClaimJudge())
        except SealiftError:
            # Its metadata are damaged. If it carries the same bundles, it is healed; if it carries
            # others, their files are found foreign, and nothing is changed.
            continue


def _folders(request: WriteRequest, count: int) -> dict[int, Path]:
    """Return which volume goes into which folder."""
    if request.number is not None:
        if request.number > count:
            raise WriteRequestError(f"--number: expected 1 to {count}, got {request.number}")
        return {request.number: request.target}
    if request.capacity_bytes is None:
        return {1: request.target}
    width = max(2, len(str(count)))
    names = [f"{_VOLUME}{n:0{width}d}-of-{count:0{width}d}" for n in range(1, count + 1)]
    for found in sorted(request.target.glob(f"{_VOLUME}*")):
        if found.name not in names:
            raise WriteRequestError(
                f"{found}: belongs to another set than this one of {count}",
                hint="use an empty folder",
            )
    return {n: request.target / name for n, name in enumerate(names, 1)}


def _finder(library: Library, maker: RepairMaker | None) -> Find:
    def find(digest: Digest, size_bytes: int) -> Sequence[MediumSource]:
        found: list[MediumSource] = [*library.find(digest, size_bytes)]
        return [*found, *maker.find(digest, size_bytes)] if maker is not None else found

    return find


def _recorder(
    request: WriteRequest, plan: MediaPlan, number: int, clock: Callable[[], datetime]
) -> CustodyRecorder | None:
    if request.signer is None:
        return None
    return CustodyRecorder(
        signer=request.signer,
        clock=clock,
        volume=number,
        volumes=plan.count,
        manifests=tuple(str(carried.bundle.seal.manifest) for carried in plan.bundles),
    )
