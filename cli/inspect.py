"""`sealift inspect`: what a bundle says of itself, and who says to have signed it."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sealift.cli.options import home_option, json_option, open_store_if_any
from sealift.cli.output import human_bytes, print_fields, print_json, print_table, talk

if TYPE_CHECKING:
    from sealift.media.inspector import Claim

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

    store = open_store_if_any(home)
    trust = store.trusted() if store is not None else TrustRoot.of([])
    if key is not None:
        trust = TrustRoot.of([read_public(key)])
    claims = inspect_medium(bundle, trust)
    if as_json:
        print_json([_facts(claim) for claim in claims])
        return
    for claim in claims:
        _print(claim)


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
