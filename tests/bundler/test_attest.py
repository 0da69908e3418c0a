"""Attestations: the standard fields of SLSA and in-toto, from the export record alone."""

from sealift.bundler.attest import attestations
from sealift.bundler.record import (
    EvaluationRecord,
    ExportRecord,
    FileRecord,
    SourceRecord,
    VariantRecord,
)
from sealift.manifests.recipe import Device, Precision, Task
from sealift.manifests.statement import PREDICATE_EVALUATION, PREDICATE_PROVENANCE

_HEX = "ab" * 32


def _record() -> ExportRecord:
    return ExportRecord(
        name="demo",
        version="1.0.0",
        task=Task.CHAT,
        license="MIT",
        architecture="llama",
        recipe_digest=f"sha256:{_HEX}",
        source=SourceRecord(
            origin="folder model",
            digest=f"sha256:{_HEX}",
            files=(FileRecord(path="model.safetensors", size_bytes=3, sha256=_HEX),),
        ),
        tools={"torch": "2.13.0"},
        created="2026-01-02T03:04:05Z",
        steps=(),
        variants=(
            VariantRecord(
                label="cpu-int4",
                device=Device.CPU,
                precision=Precision.INT4,
                block_size=32,
                exporter="genai",
                size_bytes=10,
                evaluation=EvaluationRecord(
                    reference="torch fp32",
                    metrics={"kl": 0.01, "exact": 1.0},
                    samples={"prompts": 5},
                    limits={"min_exact": 0.99},
                ),
            ),
        ),
    )


def test_provenance_names_source_recipe_tools_and_builder() -> None:
    provenance, _ = attestations(_record())
    assert provenance.predicate_type == PREDICATE_PROVENANCE
    definition = provenance.predicate["buildDefinition"]
    details = provenance.predicate["runDetails"]
    assert definition["externalParameters"]["recipe"]["digest"] == {"sha256": _HEX}
    names = [item["name"] for item in definition["resolvedDependencies"]]
    assert names == ["folder model", "folder model/model.safetensors"]
    assert details["builder"]["version"] == {"torch": "2.13.0"}
    assert details["metadata"]["startedOn"] == "2026-01-02T03:04:05Z"


def test_evaluation_has_the_standard_fields_and_the_numbers() -> None:
    _, evaluation = attestations(_record())
    assert evaluation.predicate_type == PREDICATE_EVALUATION
    assert evaluation.predicate["result"] == "PASSED"
    assert evaluation.predicate["passedTests"] == ["cpu-int4: min_exact"]
    assert evaluation.predicate["failedTests"] == []
    assert evaluation.predicate["measurements"]["cpu-int4"]["metrics"]["kl"] == 0.01


def test_equal_records_give_equal_statements() -> None:
    assert attestations(_record()) == attestations(_record())
