"""`sealift models`: what is installed, and which version is current."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sealift.cli.options import home_option, json_option, open_store
from sealift.cli.output import human_bytes, print_fields, print_json, print_table, talk

if TYPE_CHECKING:
    from sealift.runtime.store.installed import InstalledModel
    from sealift.runtime.store.state import ModelRecord

__all__ = ["command"]


@click.group("models", short_help="List, show, remove and roll back installed models.")
def command() -> None:
    """List, show, remove and roll back installed models."""


@command.command("list")
@home_option
@json_option
def list_(home: Path, as_json: bool) -> None:
    """List every installed version; `*` marks the one that is served under the bare name."""
    store = open_store(home)
    state = store.state()
    records = state.all_models()
    if as_json:
        print_json([_row(record, state.current.get(record.name)) for record in records])
    elif records:
        print_table(
            ("", "NAME", "VERSION", "TASK", "SIZE", "IMPORTED", "DIGEST"),
            [
                ("*" if state.current.get(r.name) == r.version else "", r.name, r.version,
                 r.task.value, human_bytes(r.size_bytes), r.imported, r.digest.hex[:16])
                for r in records
            ],
        )  # fmt: skip
    else:
        talk("no model is installed; `sealift import MEDIUM` installs one")


@command.command("show")
@click.argument("name")
@click.option("--version", help="Another version than the current one.")
@home_option
@json_option
def show(name: str, version: str | None, home: Path, as_json: bool) -> None:
    """Show a version, after its seal was verified; `path` and `signature` are for other tools."""
    import msgspec

    from sealift.runtime.content.report import ContentReport

    store = open_store(home)
    facts = _facts(store.show(name, version))
    inspection = store.inspection(name, version)
    if as_json:
        print_json({**facts, "inspection": inspection})
    else:
        plain = {key: value for key, value in facts.items() if not isinstance(value, list)}
        print_fields([(key, str(value)) for key, value in plain.items()])
        print_fields([("variants", ", ".join(facts["variants"]))])
        report = msgspec.convert(inspection, ContentReport)
        print_fields([("inspection", report.summary)])


@command.command("remove")
@click.argument("name")
@click.option("--version", help="Another version than the current one.")
@home_option
def remove(name: str, version: str | None, home: Path) -> None:
    """Remove a version, and the files that no other version needs."""
    record = open_store(home).remove(name, version)
    click.echo(f"removed {record.reference}")


@command.command("rollback")
@click.argument("name")
@click.option("--to", help="The version to go back to; default: the one imported before.")
@home_option
def rollback(name: str, to: str | None, home: Path) -> None:
    """Make another installed version the current one."""
    record = open_store(home).rollback(name, to)
    click.echo(f"{record.name} is now {record.version}")


def _row(record: "ModelRecord", current: str | None) -> dict[str, Any]:
    return {
        "name": record.name,
        "version": record.version,
        "current": current == record.version,
        "task": record.task.value,
        "digest": str(record.digest),
        "size_bytes": record.size_bytes,
        "sequence": record.sequence,
        "created": record.created,
        "imported": record.imported,
        "key": record.key_id,
    }


def _facts(model: "InstalledModel") -> dict[str, Any]:
    return {
        "name": model.name,
        "version": model.version,
        "current": model.is_current,
        "task": model.task.value,
        "digest": str(model.digest),
        "path": str(model.path),
        "signature": str(model.signature),
        "size_bytes": model.size_bytes,
        "sequence": model.sequence,
        "created": model.created,
        "imported": model.imported,
        "license": model.license,
        "architecture": model.architecture,
        "key": model.key_id,
        "accepted_by": "a key typed at import" if model.by_key_option else "a trusted key",
        "audience": list(model.audience),
        "variants": list(model.variants),
        "files": [
            {"path": file.path, "size_bytes": file.size_bytes, "sha256": file.sha256}
            for file in model.files
        ],
    }
