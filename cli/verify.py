"""`sealift verify`: is every byte of a medium what a trusted key signed?"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sealift.cli.media_text import counted, custody_facts, custody_line
from sealift.cli.options import home_option, json_option, open_store_if_any
from sealift.cli.output import human_bytes, print_json

if TYPE_CHECKING:
    from sealift.keys.trust_root import TrustRoot
    from sealift.media.verifier import SetReport, VerifyReport

__all__ = ["command"]


@click.command("verify", short_help="Check every byte of a bundle or medium.")
@click.argument("bundle", type=click.Path(path_type=Path))
@click.option(
    "--key", type=click.Path(path_type=Path, dir_okay=False), help="Accept this public key alone."
)
@home_option
@json_option
def command(bundle: Path, key: Path | None, home: Path, as_json: bool) -> None:
    """Check every byte of BUNDLE against its signatures; nothing is decoded or installed.

    BUNDLE may be one volume of a set, or a folder of volumes: then it is also said whether the set
    is complete. With --key no home is needed; without it, the keys count that this host trusts.
    """
    from sealift.cli.progress import progress_for
    from sealift.media.library import volume_folders
    from sealift.media.verifier import verify_medium, verify_set

    trust = _trust(key, home)
    if bundle.is_dir() and not (bundle / "blobs").exists() and volume_folders(bundle):
        whole = verify_set(bundle, trust, progress_for())
        if as_json:
            print_json(_set_facts(whole))
        else:
            _print_set(whole)
        return
    report = verify_medium(bundle, trust, progress_for())
    if as_json:
        print_json({"verdict": "good", **_facts(report)})
        return
    _print_bundles(report)
    _print_medium(report)


def _facts(report: "VerifyReport") -> dict[str, Any]:
    volume = report.volume
    return {
        "files": report.files,
        "parts": report.part_count,
        "repair_parts": report.repair_count,
        "read_bytes": report.read_bytes,
        "seconds": round(report.seconds, 3),
        "volume": None
        if volume is None
        else {
            "number": volume.number,
            "count": volume.count,
            "set": str(volume.plan.digest),
            "left_out": len(volume.plan.left_out),
        },
        "bundles": [
            {
                "name": carried.name,
                "version": carried.bundle.manifest.version,
                "digest": str(carried.bundle.seal.manifest),
                "key": carried.bundle.seal.key_id,
            }
            for carried in report.bundles
        ],
        "custody": [custody_facts(record) for record in report.custody],
    }


def _set_facts(whole: "SetReport") -> dict[str, Any]:
    return {
        "verdict": "good",
        "complete": not whole.missing,
        "missing": list(whole.missing),
        "repair_parts_suffice": whole.makes_up,
        "volumes": [{"path": report.path.name, **_facts(report)} for report in whole.volumes],
    }


def _print_set(whole: "SetReport") -> None:
    if whole.volumes[0].volume is not None:
        _print_bundles(whole.volumes[0])
    for report in whole.volumes:
        if report.volume is None:
            click.echo(f"{report.path.name}:")
            _print_bundles(report)
        _print_medium(report)
    if whole.missing:
        numbers = ", ".join(map(str, whole.missing))
        outlook = "the repair parts make up for it" if whole.makes_up else "its parts are missing"
        click.echo(f"the set is not complete: volume {numbers} is not there; {outlook}")
    elif whole.volumes[0].volume is not None:
        click.echo("the set is complete")


def _print_bundles(report: "VerifyReport") -> None:
    for carried in report.bundles:
        seal = carried.bundle.seal
        click.echo(
            f"good: {carried.name} {carried.bundle.manifest.version}, {seal.manifest}, "
            f"signed by {seal.key_id[:16]}"
        )


def _print_medium(report: "VerifyReport") -> None:
    parts = counted(report.part_count)
    if report.repair_count:
        parts += f", {counted(report.repair_count, 'repair part')}"
    read = f"{human_bytes(report.read_bytes)} in {report.seconds:.1f} s"
    if report.volume is None:
        click.echo(f"{report.files} files, {parts}, {read}")
    else:
        number, count = report.volume.number, report.volume.count
        click.echo(f"volume {number} of {count}, {parts}, all good ({read})")
        if report.volume.plan.left_out:
            left_out = counted(len(report.volume.plan.left_out))
            click.echo(f"left out: {left_out} that the receiving host must hold")
    for record in report.custody:
        click.echo(custody_line(record))


def _trust(key: Path | None, home: Path) -> "TrustRoot":
    from sealift.keys.errors import UntrustedError
    from sealift.keys.key_file import read_public
    from sealift.keys.trust_root import TrustRoot

    if key is not None:
        return TrustRoot.of([read_public(key)])
    store = open_store_if_any(home)
    if store is None:
        raise UntrustedError(
            f"{home}: no home there, so no key is trusted", hint="give the signer's key with --key"
        )
    return store.trusted()
