"""`sealift inspect`: what a bundle says of itself, and who says to have signed it."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sealift.cli.media_text import counted, custody_facts, custody_line
from sealift.cli.options import home_option, json_option, open_store_if_any
from sealift.cli.output import human_bytes, print_fields, print_json, print_table, talk

if TYPE_CHECKING:
    from sealift.media.inspector import Claim, MediumClaims

__all__ = ["command"]


@click.command("inspect", short_help="Show what a bundle says of itself, and who signed it.")
@click.argument("bundle", type=click.Path(path_type=Path))
@click.option(
    "--key", type=click.Path(path_type=Path, dir_okay=False), help="Check with this public key."
)
@home_option
@json_option
def command(bundle: Path, key: Path | None, home: Path, as_json: bool) -> None:
    """Show what BUNDLE says of itself: signer, files, evaluation. Its parts are not read.

    Believe it where the signature is good; `sealift verify` then checks every byte.
    """
    from sealift.keys.key_file import read_public
    from sealift.keys.trust_root import TrustRoot
    from sealift.media.inspector import inspect_medium
    from sealift.media.library import volume_folders

    store = open_store_if_any(home)
    trust = store.trusted() if store is not None else TrustRoot.of([])
    if key is not None:
        trust = TrustRoot.of([read_public(key)])
    volumes = volume_folders(bundle) if bundle.is_dir() and not _is_medium(bundle) else ()
    medium = inspect_medium(volumes[0] if volumes else bundle, trust)
    if volumes:
        talk(f"{len(volumes)} media there; this is {volumes[0].name}")
    about = _medium_facts(medium)
    if as_json:
        print_json([{**_facts(claim), **about} for claim in medium.bundles])
        return
    for claim in medium.bundles:
        _print(claim)
    _print_medium(medium)


def _is_medium(path: Path) -> bool:
    return (path / "blobs").exists()


def _medium_facts(medium: "MediumClaims") -> dict[str, Any]:
    volume = medium.volume
    return {
        "volume": None
        if volume is None
        else {
            "number": volume.number,
            "count": volume.count,
            "parts": len(volume.blobs),
            "left_out": len(volume.plan.left_out),
            "set": str(volume.plan.digest),
        },
        "custody": [
            {**custody_facts(claimed.record), "signature": claimed.signature.value}
            for claimed in medium.custody
        ],
    }


def _print_medium(medium: "MediumClaims") -> None:
    from sealift.media.inspector import SignatureState

    volume = medium.volume
    if volume is not None or medium.custody:
        click.echo()
    if volume is not None:
        click.echo(
            f"volume {volume.number} of {volume.count}: {len(volume.blobs)} of the parts are here"
        )
        if volume.plan.left_out:
            click.echo(f"left out: {counted(len(volume.plan.left_out))}, by {volume.plan.base}")
    for claimed in medium.custody:
        good = claimed.signature is SignatureState.GOOD
        signed = f"signed by {claimed.record.key_id[:16]}" + ("" if good else ", not checked")
        click.echo(f"{custody_line(claimed.record)}; {signed}")


def _facts(claim: "Claim") -> dict[str, Any]:
    fields = claim.statement.fields
    return {
        "name": fields.name,
        "version": fields.version,
        "task": fields.task.value,
        "digest": fields.manifest,
        "created": fields.created,
        "sequence": fields.sequence,
        "audience": list(fields.audience),
        "key": claim.key_id,
        "signature": claim.signature.value,
        "parts": claim.parts,
        "repair_parts": claim.repair_parts,
        "files": [{"path": file.path, "sha256": file.digest} for file in claim.statement.files],
        "attestations": claim.predicates,
    }


def _print(claim: "Claim") -> None:
    from sealift.media.inspector import SignatureState

    facts = _facts(claim)
    shown = {name: facts[name] for name in list(facts)[:-2]} | {"files": len(facts["files"])}
    shown["audience"] = ", ".join(facts["audience"]) or "any site"
    print_fields([(name, str(value)) for name, value in shown.items()])
    measured = _measurements(claim)
    if measured:
        click.echo()
        print_table(("VARIANT", "SIZE", "AGAINST FP32"), measured)
    if claim.signature is not SignatureState.GOOD:
        talk(f"the signature was not checked: {claim.signature.value}; all of this is a claim")


def _measurements(claim: "Claim") -> list[tuple[str, str, str]]:
    from sealift.manifests.statement import PREDICATE_EVALUATION

    match claim.predicates.get(PREDICATE_EVALUATION):
        case {"measurements": dict(variants)}:
            return [_measurement(label, found) for label, found in variants.items()]
        case _:
            return []


def _measurement(label: str, found: object) -> tuple[str, str, str]:
    match found:
        case {"metrics": dict(metrics), "sizeBytes": int(size)}:
            numbers = [f"{n} {v:.4g}" for n, v in metrics.items() if isinstance(v, int | float)]
            return label, human_bytes(size), "  ".join(numbers)
        case _:
            return label, "", "not in a known form"
