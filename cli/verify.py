"""`sealift verify`: is every byte of a medium what a trusted key signed?"""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from sealift.cli.options import home_option, json_option, open_store_if_any
from sealift.cli.output import human_bytes, print_json

if TYPE_CHECKING:
    from sealift.keys.trust_root import TrustRoot

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

    With --key no home is needed; without it, the keys count that this host trusts.
    """
    from sealift.cli.progress import progress_for
    from sealift.media.verifier import verify_medium

    report = verify_medium(bundle, _trust(key, home), progress_for())
    if as_json:
        print_json(
            {
                "verdict": "good",
                "files": report.files,
                "parts": report.part_count,
                "read_bytes": report.read_bytes,
                "seconds": round(report.seconds, 3),
                "bundles": [
                    {
                        "name": carried.name,
                        "version": carried.bundle.manifest.version,
                        "digest": str(carried.bundle.seal.manifest),
                        "key": carried.bundle.seal.key.key_id,
                    }
                    for carried in report.bundles
                ],
            }
        )
        return
    for carried in report.bundles:
        seal = carried.bundle.seal
        click.echo(
            f"good: {carried.name} {carried.bundle.manifest.version}, {seal.manifest}, "
            f"signed by {seal.key.key_id[:16]}"
        )
    click.echo(
        f"{report.files} files, {report.part_count} parts, {human_bytes(report.read_bytes)} "
        f"in {report.seconds:.1f} s"
    )


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
