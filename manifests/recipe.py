"""A recipe: what to build, from where, in which variants, and how good it must be.

>>> Recipe.parse(b"name: demo\nversion: 1.0.0\ntask: chat\nsource: {path: model}\nlicense: MIT\n"
...              b"variants: [{precision: int4}]\n").variants[0].label
'cpu-int4'
"""

import re
from enum import Enum
from typing import Annotated, Any, Self

import msgspec

from sealift.manifests.errors import ManifestError, RecipeError
from sealift.manifests.limits import LIMITS
from sealift.manifests.names import check_name, check_version
from sealift.manifests.record import Record

__all__ = [
    "Device",
    "EvaluateSpec",
    "Exporter",
    "Precision",
    "Recipe",
    "Source",
    "Task",
    "ToolFormat",
    "VariantSpec",
    "recipe_schema",
]

_REVISION = re.compile(r"[0-9a-f]{40}")
_HUB_ID = r"^[A-Za-z0-9][A-Za-z0-9._-]*/[A-Za-z0-9][A-Za-z0-9._-]*$"

_Fraction = Annotated[float, msgspec.Meta(ge=0.0, le=1.0)]
_FilePath = Annotated[str, msgspec.Meta(min_length=1, max_length=1024)]


class Task(Enum):
    """What a model is asked to do."""

    CHAT = "chat"
    EMBED = "embed"
    RERANK = "rerank"
    CLASSIFY = "classify"


class Precision(Enum):
    """How weights are stored; int4 and int8 are weight-only."""

    INT4 = "int4"
    INT8 = "int8"
    FP16 = "fp16"
    FP32 = "fp32"


class Device(Enum):
    """Where a variant is meant to run."""

    CPU = "cpu"


class Exporter(Enum):
    """Which way to ONNX: `auto` takes the model builder for decoders, torch for the rest."""

    AUTO = "auto"
    GENAI = "genai"
    TORCH = "torch"


class ToolFormat(Enum):
    """How a chat model writes the calls of tools; its chat template tells, where this does not."""

    HERMES = "hermes"
    LLAMA3 = "llama3"
    MISTRAL = "mistral"
    PHI = "phi"


class Source(Record, frozen=True, kw_only=True, omit_defaults=True):
    """Where the weights come from: a local folder, or a pinned commit on the hub."""

    path: _FilePath | None = None
    hub: Annotated[str, msgspec.Meta(pattern=_HUB_ID, max_length=200)] | None = None
    revision: (
        Annotated[str, msgspec.Meta(description="the full commit: 40 lower-case hex characters")]
        | None
    ) = None


class VariantSpec(Record, frozen=True, kw_only=True):
    """One build of the model: a device and a precision."""

    precision: Precision
    device: Device = Device.CPU
    block_size: Annotated[
        int, msgspec.Meta(description="weights that share a scale: 16, 32, 64, 128 or 256")
    ] = 32

    @property
    def label(self) -> str:
        """The variant's folder name, as `cpu-int4`."""
        return f"{self.device.value}-{self.precision.value}"


class EvaluateSpec(Record, frozen=True, kw_only=True, omit_defaults=True):
    """What the exported model is measured on, and the limits that stop a build."""

    prompts: _FilePath | None = None
    text: _FilePath | None = None
    min_exact: _Fraction | None = None
    max_kl: Annotated[float, msgspec.Meta(ge=0.0)] | None = None
    min_cosine: _Fraction | None = None


class Recipe(Record, frozen=True, kw_only=True, omit_defaults=True):
    """A whole recipe, checked. Paths are relative to the recipe file."""

    name: Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
    version: Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
    task: Task
    source: Source
    license: Annotated[str, msgspec.Meta(min_length=1, max_length=100)]
    variants: Annotated[tuple[VariantSpec, ...], msgspec.Meta(min_length=1, max_length=16)]
    description: Annotated[str, msgspec.Meta(max_length=500)] = ""
    exporter: Exporter = Exporter.AUTO
    adapter: _FilePath | None = None
    tool_format: ToolFormat | None = None
    evaluate: EvaluateSpec = EvaluateSpec()
    sequence: Annotated[int, msgspec.Meta(ge=1, le=2**53)] = 1
    audience: tuple[Annotated[str, msgspec.Meta(min_length=1, max_length=100)], ...] = ()

    @classmethod
    def parse(cls, data: bytes) -> Self:
        """Read a recipe from YAML.

        Raises:
            RecipeError: not YAML, an unknown or duplicate key, a wrong type, or a rule broken;
                the message carries the path of the field.
        """
        if len(data) > LIMITS.recipe_bytes:
            raise RecipeError(
                f"recipe: expected at most {LIMITS.recipe_bytes} bytes, got {len(data)}"
            )
        from sealift.manifests.strict_yaml import load_yaml  # who only reads bundles needs none

        try:
            recipe = msgspec.convert(load_yaml(data), cls, strict=True)
        except msgspec.ValidationError as error:
            raise RecipeError(f"recipe: {error}", hint=_hint_for(str(error))) from error
        recipe._check()
        return recipe

    def _check(self) -> None:
        try:
            check_name(self.name)
            check_version(self.version)
        except ManifestError as error:
            raise RecipeError(f"recipe: {error.message}") from error
        _check_source(self.source)
        labels = [variant.label for variant in self.variants]
        for index, variant in enumerate(self.variants):
            if variant.block_size not in (16, 32, 64, 128, 256):
                raise RecipeError(
                    f"recipe: variants[{index}].block_size: expected 16, 32, 64, 128 or 256, "
                    f"got {variant.block_size}"
                )
            if labels.index(variant.label) != index:
                raise RecipeError(f"recipe: variants[{index}]: {variant.label} is listed twice")
        _check_limits(self)


def recipe_schema() -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of a recipe, for editors and reviewers."""
    (schema,), components = msgspec.json.schema_components([Recipe], ref_template="#/$defs/{name}")
    revision = components["Source"]["properties"]["revision"]
    revision["anyOf"][0]["pattern"] = f"^{_REVISION.pattern}$"
    components["Source"]["oneOf"] = [
        {"required": ["path"], "not": {"required": ["revision"]}},
        {"required": ["hub", "revision"]},
    ]
    components["VariantSpec"]["properties"]["block_size"]["enum"] = [16, 32, 64, 128, 256]
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Sealift recipe",
        **schema,
        "$defs": components,
    }


def _check_source(source: Source) -> None:
    if (source.path is None) == (source.hub is None):
        raise RecipeError("recipe: source: expected either path or hub")
    if source.path is not None and source.revision is not None:
        raise RecipeError("recipe: source.revision: only a hub source has one")
    if source.hub is not None and not _REVISION.fullmatch(source.revision or ""):
        # A branch or tag can be moved under us: the bundle would not be what was reviewed.
        raise RecipeError(
            f"recipe: source.revision: expected a 40-character commit, got {source.revision!r}",
            hint=f"pin it: open the commit list of {source.hub} on the hub and copy the full hash",
        )


def _check_limits(recipe: Recipe) -> None:
    limits = recipe.evaluate
    chat = recipe.task is Task.CHAT
    if recipe.tool_format is not None and not chat:
        raise RecipeError(f"recipe: tool_format: task {recipe.task.value} calls no tools")
    for field, value, wanted in (
        ("min_exact", limits.min_exact, chat or recipe.task is Task.CLASSIFY),
        ("max_kl", limits.max_kl, chat),
        ("min_cosine", limits.min_cosine, recipe.task is Task.EMBED),
    ):
        if value is not None and not wanted:
            raise RecipeError(
                f"recipe: evaluate.{field}: a {recipe.task.value} model is not measured by it"
            )
    if limits.max_kl is not None and limits.text is None and limits.prompts is None:
        raise RecipeError("recipe: evaluate.max_kl needs evaluate.text or evaluate.prompts")
    for field, value in (("min_exact", limits.min_exact), ("min_cosine", limits.min_cosine)):
        if value is not None and limits.prompts is None:
            raise RecipeError(f"recipe: evaluate.{field} needs evaluate.prompts")


def _hint_for(message: str) -> str | None:
    if "$.version" in message:
        return 'quote it: version: "1.0"'
    return None
