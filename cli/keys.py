"""`sealift keys`: make signing keys, and say whose signatures count on this host."""

from pathlib import Path

import click

from sealift.cli.options import (
    home_option,
    json_option,
    open_store,
    passphrase_option,
    passphrase_source,
)
from sealift.cli.output import print_fields, print_json, print_table, talk

__all__ = ["command"]


@click.group("keys", short_help="Make signing keys, and say whose signatures count.")
def command() -> None:
    """Make signing keys, and say whose signatures count."""


@command.command("generate")
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    required=True,
    help="Folder to write to.",
)
@click.option("--name", default="signer", show_default=True, help="File name without its ending.")
@click.option("--no-passphrase", is_flag=True, help="Write the private key unencrypted.")
@passphrase_option
@json_option
def generate(
    out: Path, name: str, no_passphrase: bool, passphrase_file: Path | None, as_json: bool
) -> None:
    """Make an ECDSA P-384 key pair: NAME.key (keep it) and NAME.pub (hand it out).

    The private key is encrypted with a passphrase and has mode 0600.
    """
    from sealift.keys.key_file import write_pair
    from sealift.keys.signer import generate as generate_key

    ask = passphrase_source(passphrase_file, confirm=True)
    signer = generate_key()
    pair = write_pair(out, name, signer, None if no_passphrase else ask())
    facts = {
        "private": str(pair.private),
        "public": str(pair.public),
        "algorithm": signer.public.algorithm.value,
        "fingerprint": signer.public.key_id,
    }
    if as_json:
        print_json(facts)
    else:
        print_fields(list(facts.items()))
        talk("read the fingerprint to the other side over another channel")


@command.command("trust")
@click.argument("public_key", metavar="PUB", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--fingerprint", help="Refuse a key whose fingerprint does not start like this.")
@home_option
def trust(public_key: Path, fingerprint: str | None, home: Path) -> None:
    """Accept bundles that this key signed. Compare its fingerprint out of band first."""
    from sealift.keys.errors import UntrustedError
    from sealift.keys.key_file import read_public

    key = read_public(public_key)
    if fingerprint is not None and not _starts_with(key.key_id, fingerprint):
        raise UntrustedError(
            f"{public_key}: expected fingerprint {fingerprint}, got {key.key_id}",
            hint="this is not the key that you were told of: find out why before you go on",
        )
    added = open_store(home).trust(key)
    click.echo(f"{'trusted' if added else 'trusted already'} {key.key_id} ({key.algorithm.value})")


@command.command("distrust")
@click.argument("fingerprint")
@home_option
def distrust(fingerprint: str, home: Path) -> None:
    """Accept a key no more: models it signed stay installed and are not served."""
    open_store(home).distrust(fingerprint.lower())
    click.echo(f"distrusted {fingerprint}")


@command.command("list")
@home_option
@json_option
def list_(home: Path, as_json: bool) -> None:
    """List the keys whose bundles this host accepts."""
    keys = sorted(open_store(home).trusted().keys.values(), key=lambda key: key.key_id)
    if as_json:
        print_json(
            [
                {"fingerprint": key.key_id, "algorithm": key.algorithm.value,
                 "pem": key.pem.decode()}
                for key in keys
            ]
        )  # fmt: skip
    elif keys:
        print_table(("FINGERPRINT", "ALGORITHM"), [(k.key_id, k.algorithm.value) for k in keys])
    else:
        talk("no key is trusted; `sealift keys trust PUB` adds one")


def _starts_with(key_id: str, fingerprint: str) -> bool:
    wanted = fingerprint.lower().replace(":", "").replace(" ", "")
    return len(wanted) >= 8 and key_id.startswith(wanted)
