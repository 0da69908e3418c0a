"""What to do for each variant of a recipe, decided before anything heavy starts (pure)."""

from dataclasses import dataclass
from enum import Enum

from sealift.bundler.errors import ExportError
from sealift.bundler.facts import ModelFacts
from sealift.manifests.recipe import Exporter, Precision, Recipe, Task, ToolFormat, VariantSpec

__all__ = ["Route", "VariantPlan", "plan_variants"]

_BLOCKED = frozenset({Precision.INT4, Precision.INT8})


class Route(Enum):
    """Which exporter makes the graph."""

    GENAI = "genai"
    TORCH = "torch"


@dataclass(frozen=True, slots=True, kw_only=True)
class VariantPlan:
    """One variant folder to make."""

    spec: VariantSpec
    task: Task
    route: Route
    tool_format: ToolFormat | None = None

    @property
    def label(self) -> str:
        """The variant's folder name."""
        return self.spec.label

    @property
    def precision(self) -> Precision:
        """How weights are stored."""
        return self.spec.precision

    @property
    def block_size(self) -> int:
        """Weights that share a scale; 0 where weights are not quantized."""
        return self.spec.block_size if self.precision in _BLOCKED else 0


def plan_variants(recipe: Recipe, facts: ModelFacts) -> tuple[VariantPlan, ...]:
    """Choose the route of each variant and refuse what cannot work.

    Raises:
        ExportError: the model does not fit the task or the exporter, or a block does not divide
            the model's shape.
    """
    route = _route(recipe, facts)
    for spec in recipe.variants:
        if spec.precision in _BLOCKED:
            _check_block(spec, facts)
    return tuple(
        VariantPlan(spec=spec, task=recipe.task, route=route, tool_format=recipe.tool_format)
        for spec in recipe.variants
    )


def _route(recipe: Recipe, facts: ModelFacts) -> Route:
    if recipe.task is Task.CHAT:
        if not facts.is_decoder:
            raise ExportError(
                f"task chat: expected a causal language model, got {facts.architecture}"
            )
        if recipe.exporter is Exporter.TORCH:
            raise ExportError(
                "exporter torch: a chat model needs the key-value cache that only exporter genai "
                "builds",
                hint="leave exporter out, or set it to auto",
            )
        return Route.GENAI
    if recipe.exporter is Exporter.GENAI:
        raise ExportError(
            f"exporter genai: expected task chat, got {recipe.task.value}",
            hint="leave exporter out, or set it to auto",
        )
    if facts.is_decoder:
        raise ExportError(
            f"task {recipe.task.value}: expected an encoder, got {facts.architecture}",
            hint="embedding models made from causal language models are not supported yet",
        )
    if recipe.task in (Task.RERANK, Task.CLASSIFY) and not facts.architecture.endswith(
        "ForSequenceClassification"
    ):
        raise ExportError(
            f"task {recipe.task.value}: expected a sequence classification model, "
            f"got {facts.architecture}"
        )
    return Route.TORCH


def _check_block(spec: VariantSpec, facts: ModelFacts) -> None:
    bad = [size for size in facts.contracted_sizes if size % spec.block_size]
    if not bad:
        return
    fitting = [b for b in (128, 64, 32, 16) if not any(s % b for s in facts.contracted_sizes)]
    raise ExportError(
        f"variant {spec.label}: block_size: expected a divisor of "
        f"{', '.join(map(str, facts.contracted_sizes))}, got {spec.block_size}",
        hint=f"use {' or '.join(map(str, fitting))}" if fitting else "use fp16 for this model",
    )
