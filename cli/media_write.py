"""`sealift media write`: bundles onto sticks, discs and write-once media."""

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sealift.cli.byte_size import ByteSize
from sealift.cli.media_text import counted
from sealift.cli.options import json_option, passphrase_option, passphrase_source
from sealift.cli.output import human_bytes, print_json, talk

if TYPE_CHECKING:
    from sealift.keys.signer import Signer
    from sealift.manifests.have import Have
    from sealift.media.writer import WriteReport, WriteRequest

__all__ = ["write"]

_PERCENT = re.compile(r"(\d{1,2}(?:\.\d{1,3})?)\s*%?", re.ASCII)


class _Share(click.ParamType[float]):
    """A share in percent: `10%`."""

    name = "percent"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Read a share."""
        match = _PERCENT.fullmatch(str(value).strip())
        if match is None or float(match[1]) <= 0:
            self.fail(f"expected a share such as 10%, got {value!r}", param, ctx)
        return float(match[1])


@click.command("write")
@click.argument(
    "bundles", metavar="BUNDLE...", nargs=-1, required=True, type=click.Path(path_type=Path)
)
@click.argument("dest", type=click.Path(path_type=Path, file_okay=False))
@click.option(
    "--volume", "capacity", type=ByteSize(), metavar="SIZE",
    help="Split over volumes of this size, as 700MB, 4.7GB or 29GiB.",
)  # fmt: skip
@click.option(
    "--number", type=click.IntRange(1), metavar="N",
    help="Write volume N alone, straight into DEST: one stick or disc after the other.",
)  # fmt: skip
@click.option(
    "--profile", type=click.Choice(["usb", "disc", "worm"]), default="usb", show_default=True,
    help="What kind of medium DEST is; worm: write-once.",
)  # fmt: skip
@click.option(
    "--parity", type=_Share(), metavar="SHARE",
    help="Add repair parts, so that this share of all parts may be lost; needs --key.",
)  # fmt: skip
@click.option(
    "--base", type=click.Path(path_type=Path, dir_okay=False), metavar="HAVE",
    help="Leave out the parts that the receiving host listed with `sealift have`.",
)  # fmt: skip
@click.option(
    "--key", type=click.Path(path_type=Path, dir_okay=False),
    help="The private key that sealed the bundle: signs repair parts and a custody record.",
)  # fmt: skip
@passphrase_option
@json_option
def write(
    bundles: tuple[Path, ...],
    dest: Path,
    capacity: int | None,
    number: int | None,
    profile: str,
    parity: float | None,
    base: Path | None,
    key: Path | None,
    passphrase_file: Path | None,
    as_json: bool,
) -> None:
    """Write every BUNDLE to DEST, and read all of it back from the device.

    A BUNDLE is what `sealift build` wrote, or another medium, or a folder of volumes: join and
    split as you like, no key is needed. What DEST carries already stays, is read back, and is
    written again where it is damaged; an interrupted write is completed by the next. With --volume
    and without --number, the volumes are folders in DEST.

    \b
        sealift media write BUNDLE /media/usb
        sealift media write BUNDLE /media/usb --volume 29GiB --number 1
        sealift media write BUNDLE discs --volume 4.7GB --profile disc --parity 10% --key K.key
        sealift media write discs whole                       join them again
    """
    from sealift.cli.progress import progress_for
    from sealift.media.profile import PROFILES
    from sealift.media.writer import WriteRequest, write_media

    request = WriteRequest(
        sources=bundles,
        target=dest,
        profile=PROFILES[profile],
        capacity_bytes=capacity,
        number=number,
        parity_percent=parity,
        have=_have(base),
        signer=_signer(key, passphrase_file),
    )
    report = write_media(request, progress_for())
    if request.signer is None:
        talk("no custody record was made: that needs the signing key (--key)")
    if as_json:
        print_json(_facts(report))
        return
    _print(report, request)


def _have(base: Path | None) -> "Have | None":
    from sealift.keys.have import read_have
    from sealift.manifests.have import HAVE_LIMITS
    from sealift.media.regular_file import read_regular

    if base is None:
        return None
    have = read_have(read_regular(base, size_max=HAVE_LIMITS.envelope_bytes), None)
    talk(f"leaving out what site {have.site} listed at {have.time}")
    return have


def _signer(key: Path | None, passphrase_file: Path | None) -> "Signer | None":
    from sealift.keys.key_file import read_signer

    if key is None:
        return None
    return read_signer(key, passphrase_source(passphrase_file, confirm=False))


def _facts(report: "WriteReport") -> dict[str, Any]:
    plan = report.plan
    return {
        "volumes": plan.count,
        "set": str(plan.plan.digest),
        "left_out": len(plan.plan.left_out),
        "base": plan.plan.base or None,
        "bundles": [
            {
                "name": carried.name,
                "version": carried.bundle.manifest.version,
                "digest": str(carried.bundle.seal.manifest),
                "parts": len(carried.layout.parts),
                "repair_parts": len(carried.layout.repair),
            }
            for carried in plan.bundles
        ],
        "written": [
            {
                "volume": number,
                "path": str(written.path),
                "parts": written.written + written.healed + written.kept,
                "written": written.written,
                "healed": written.healed,
                "kept": written.kept,
                "copied_bytes": written.copied_bytes,
                "read_back": written.read_back.label,
                "custody_record": written.record,
            }
            for number, written in report.written.items()
        ],
    }


def _print(report: "WriteReport", request: "WriteRequest") -> None:
    from sealift.media.readback import Method

    how = {
        Method.DIRECT: "read back from the device",
        Method.UNCACHED: "read back, past what was in memory",
        Method.CACHED: "read back, maybe from memory: this file system offers no other way",
    }
    count = report.plan.count
    for number, done in report.written.items():
        volume = f"volume {number} of {count}: " if count > 1 else ""
        healed = f", {done.healed} damaged ones replaced" if done.healed else ""
        record = f", custody record {done.record}" if done.record else ""
        copied = human_bytes(done.copied_bytes)
        click.echo(
            f"{volume}{done.path}: {counted(done.written)} written ({copied})"
            f"{healed}, {done.kept} there already; all {how[done.read_back]}{record}"
        )
    if request.number is not None and request.number < count:
        click.echo(f"next: --number {request.number + 1}")
    if report.plan.plan.left_out:
        click.echo(f"left out {counted(len(report.plan.plan.left_out))} that the host holds")
