"""From a recipe to an export folder, step by step, each step measured.

    EXPORT/files/…       the tree that gets installed: `manifest.json` and one folder a variant
    EXPORT/export.json   the `ExportRecord`

The export folder appears whole or not at all: everything is made in a work folder beside it.

    record = export_bundle(recipe, recipe_dir, Path("export"), progress_for())
"""

import datetime
import importlib.metadata
import json
import os
import platform
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sealift.bundler.adapter import merge_adapter
from sealift.bundler.errors import BundlerError, SourceError
from sealift.bundler.facts import ModelFacts, read_facts
from sealift.bundler.libraries import hub_closed, quieten_libraries, require_libraries
from sealift.bundler.plan import plan_variants
from sealift.bundler.record import (
    EXPORT_FILE,
    FILES_FOLDER,
    ExportRecord,
    FileRecord,
    SourceRecord,
    VariantRecord,
)
from sealift.bundler.source import SourceTree, read_tree, recheck, resolve_source
from sealift.bundler.staging import copy_papers, stage
from sealift.bundler.steps import StepLog
from sealift.bundler.variants import build_variants
from sealift.manifests import strict_json
from sealift.manifests.digest import Digest
from sealift.manifests.package import PACKAGE_FILE, PackageVariant, package_manifest
from sealift.manifests.progress import Progress
from sealift.manifests.recipe import Recipe

__all__ = ["export_bundle"]

_TOOLS = (
    "sealift",
    "huggingface-hub",
    "numpy",
    "onnx",
    "onnx-ir",
    "onnxruntime",
    "onnxruntime-genai",
    "onnxscript",
    "optimum",
    "peft",
    "safetensors",
    "tokenizers",
    "torch",
    "transformers",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Inputs:
    model: SourceTree
    adapter: SourceTree | None


def export_bundle(recipe: Recipe, recipe_dir: Path, out: Path, progress: Progress) -> ExportRecord:
    """Export, quantize and evaluate every variant of a recipe.

    Args:
        recipe: a checked recipe.
        recipe_dir: the folder that its paths are relative to.
        out: the export folder; must not exist or be empty.
        progress: where each step reports itself.

    Raises:
        LibrariesMissingError: this installation cannot build.
        SourceError, HubError: the model cannot be used.
        AdapterError: the adapter does not fit.
        ExportError: a variant cannot be made.
        EvaluationError: a variant missed a limit of the recipe; carries the numbers.
        BundlerError: `out` is not empty.
    """
    require_libraries()
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise BundlerError(f"{out}: expected an empty or new folder", hint="choose another --out")
    out.parent.mkdir(parents=True, exist_ok=True)
    log = StepLog(progress)
    with _work_folder(out) as work:
        made = work / "export"
        record = _export(recipe, recipe_dir, work, made / FILES_FOLDER, log)
        (made / EXPORT_FILE).write_bytes(record.encode())
        if out.exists():
            out.rmdir()
        made.replace(out)
    return record


def _export(
    recipe: Recipe, recipe_dir: Path, work: Path, files: Path, log: StepLog
) -> ExportRecord:
    with log.step("read source"):
        inputs = _read_inputs(recipe, recipe_dir)
    facts = _facts(inputs.model.root)
    plans = plan_variants(recipe, facts)
    quieten_libraries()
    files.mkdir(parents=True)
    with hub_closed():
        model = _prepare_model(inputs, work / "model", log)
        variants = build_variants(recipe, recipe_dir, plans, facts, model, files, log)
    copy_papers(model, files)
    packaged = [
        PackageVariant(
            label=p.label, device=p.spec.device, precision=p.precision, graph="model.onnx"
        )
        for p in plans
    ]
    manifest = package_manifest(recipe.name, recipe.version, packaged)
    (files / PACKAGE_FILE).write_bytes(manifest)
    for tree in (inputs.model, inputs.adapter):
        if tree is not None:
            recheck(tree)
    return _record(recipe, facts, inputs, log, variants)


def _prepare_model(inputs: _Inputs, out: Path, log: StepLog) -> Path:
    out.mkdir()
    if inputs.adapter is None:
        stage(inputs.model, out)
        return out
    with log.step("merge adapter"):
        merge_adapter(inputs.model, inputs.adapter, out)
    return out


def _record(
    recipe: Recipe,
    facts: ModelFacts,
    inputs: _Inputs,
    log: StepLog,
    variants: tuple[VariantRecord, ...],
) -> ExportRecord:
    return ExportRecord(
        name=recipe.name,
        version=recipe.version,
        task=recipe.task,
        license=recipe.license,
        architecture=facts.model_type,
        recipe_digest=str(Digest.of(strict_json.canonical(recipe))),
        source=_source_record(inputs.model),
        adapter=_source_record(inputs.adapter) if inputs.adapter is not None else None,
        tools=_tool_versions(),
        created=_now(),
        steps=log.records,
        variants=variants,
    )


def _read_inputs(recipe: Recipe, recipe_dir: Path) -> _Inputs:
    adapter = None
    if recipe.adapter is not None:
        root = (recipe_dir / recipe.adapter).resolve()
        adapter = read_tree(root, origin=f"path:{recipe.adapter}")
    return _Inputs(model=resolve_source(recipe.source, recipe_dir), adapter=adapter)


def _facts(root: Path) -> ModelFacts:
    path = root / "config.json"
    if not path.is_file():
        raise SourceError(f"{root}: expected config.json")
    config = json.loads(path.read_bytes())
    if not isinstance(config, dict):
        raise SourceError("config.json: expected an object")
    return read_facts(config)


def _source_record(tree: SourceTree) -> SourceRecord:
    return SourceRecord(
        origin=tree.origin,
        digest=str(tree.digest),
        files=tuple(
            FileRecord(path=f.path, size_bytes=f.size_bytes, sha256=f.sha256) for f in tree.files
        ),
    )


def _tool_versions() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for name in _TOOLS:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue  # not part of every build (peft, genai)
    return found


def _now() -> str:
    # Reproducible builds set the clock: https://reproducible-builds.org/specs/source-date-epoch/
    epoch = os.environ.get("SOURCE_DATE_EPOCH")
    now = (
        datetime.datetime.fromtimestamp(int(epoch), datetime.UTC)
        if epoch
        else datetime.datetime.now(datetime.UTC)
    )
    return now.strftime("%Y-%m-%dT%H:%M:%SZ")


@contextmanager
def _work_folder(out: Path) -> Iterator[Path]:
    # Beside the result: the last step is a rename, which another file system could not do.
    work = Path(tempfile.mkdtemp(prefix=f".{out.name}.", dir=out.parent))
    try:
        yield work
    finally:
        shutil.rmtree(work, ignore_errors=True)
