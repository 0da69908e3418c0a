"""`manifest.json`: the ONNX Runtime *model package* manifest of an installed model (pure).

ONNX Runtime 1.32 opens a folder by this file (`onnxruntime.ModelPackageContext`) and picks the
variant for the host. Each variant's folder is complete by itself, so the package needs no shared
assets. The form is upstream's schema 1.0: unknown fields are refused there, ours go into
`additional_metadata`.

>>> print(package_manifest("demo", "1.0.0", [PackageVariant(label="cpu-int4", device=Device.CPU,
...     precision=Precision.INT4, graph="model.onnx")]).decode().splitlines()[1])
  "components": {
"""

from collections.abc import Sequence
from dataclasses import dataclass

from sealift.manifests import strict_json
from sealift.manifests.recipe import Device, Precision

__all__ = ["PACKAGE_FILE", "PackageVariant", "package_manifest"]

PACKAGE_FILE = "manifest.json"

_PROVIDERS = {Device.CPU: "CPUExecutionProvider"}


@dataclass(frozen=True, slots=True, kw_only=True)
class PackageVariant:
    """One variant folder: where it runs, how its weights are stored, the graph to open."""

    label: str
    device: Device
    precision: Precision
    graph: str


def package_manifest(name: str, version: str, variants: Sequence[PackageVariant]) -> bytes:
    """Return the manifest's bytes; the same for the same arguments."""
    return strict_json.pretty(
        {
            "schema_version": "1.0",
            "package_name": name,
            "package_version": version,
            "layout": "portable",
            "components": {"model": {"variants": {v.label: _variant(v) for v in variants}}},
        }
    )


def _variant(variant: PackageVariant) -> dict[str, object]:
    return {
        "variant_directory": variant.label,
        "ep": _PROVIDERS[variant.device],
        "device": variant.device.value,
        "executor_info": {"ort": {"model_file": variant.graph}},
        "additional_metadata": {"precision": variant.precision.value},
    }
