"""What the build says about a bundle, as predicates that others can read.

Provenance is SLSA v1; the evaluation is in-toto's test result v0.1, with the measured numbers
beside its own fields. Both come from the export record alone: equal exports give equal statements.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from sealift.bundler.record import ExportRecord, SourceRecord
from sealift.manifests.digest import Digest
from sealift.manifests.statement import PREDICATE_EVALUATION, PREDICATE_PROVENANCE

__all__ = ["Attestation", "attestations", "evaluation", "provenance"]

_BUILD_TYPE = "urn:sealift:build:v1"
_BUILDER = "urn:sealift:builder:local"


@dataclass(frozen=True, slots=True, kw_only=True)
class Attestation:
    """A predicate and its type, to be signed about a bundle's manifest."""

    predicate_type: str
    predicate: dict[str, Any]


def attestations(record: ExportRecord) -> tuple[Attestation, ...]:
    """Write everything an export record proves."""
    return provenance(record), evaluation(record)


def provenance(record: ExportRecord) -> Attestation:
    """Say from what, with which tools and when the export was made."""
    sources = [record.source, *([record.adapter] if record.adapter else [])]
    return Attestation(
        predicate_type=PREDICATE_PROVENANCE,
        predicate={
            "buildDefinition": {
                "buildType": _BUILD_TYPE,
                "externalParameters": {
                    "recipe": {"name": record.name, "digest": _digest(record.recipe_digest)},
                    "source": record.source.origin,
                },
                "internalParameters": {
                    "variants": [
                        {"label": variant.label, "exporter": variant.exporter,
                         "blockSize": variant.block_size}
                        for variant in record.variants
                    ]
                },
                "resolvedDependencies": [
                    dependency for source in sources for dependency in _dependencies(source)
                ],
            },
            "runDetails": {
                "builder": {"id": _BUILDER, "version": dict(record.tools)},
                "metadata": {"startedOn": record.created, "finishedOn": record.created},
            },
        },
    )  # fmt: skip


def evaluation(record: ExportRecord) -> Attestation:
    """Say how good each variant is; a missed limit would have stopped the build before this."""
    return Attestation(
        predicate_type=PREDICATE_EVALUATION,
        predicate={
            "result": "PASSED",
            "configuration": [{"name": "recipe", "digest": _digest(record.recipe_digest)}],
            "passedTests": [
                f"{variant.label}: {limit}"
                for variant in record.variants
                for limit in sorted(variant.evaluation.limits)
            ],
            "warnedTests": [],
            "failedTests": [],
            "measurements": {
                variant.label: {
                    "reference": variant.evaluation.reference,
                    "metrics": dict(variant.evaluation.metrics),
                    "samples": dict(variant.evaluation.samples),
                    "limits": dict(variant.evaluation.limits),
                    "sizeBytes": variant.size_bytes,
                }
                for variant in record.variants
            },
        },
    )


def _dependencies(source: SourceRecord) -> Iterator[dict[str, Any]]:
    yield {"name": source.origin, "digest": _digest(source.digest)}
    for file in source.files:
        yield {"name": f"{source.origin}/{file.path}", "digest": {"sha256": file.sha256}}


def _digest(text: str) -> dict[str, str]:
    digest = Digest.parse(text)
    return {digest.algorithm: digest.hex}
