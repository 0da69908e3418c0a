"""A recipe's limits against measured numbers (pure)."""

from sealift.bundler.errors import EvaluationError
from sealift.manifests.recipe import EvaluateSpec, Precision

__all__ = ["applied_limits", "check_limits"]

# limit, metric, whether more is better
_RULES = (
    ("min_exact", "exact_of_fp32", True),
    ("min_exact", "label_agreement", True),
    ("max_kl", "kl", False),
    ("min_cosine", "cosine_min", True),
)
# An fp32 graph that is not torch's equal is a broken export, whatever the recipe says.
_FP32_RULES = (
    ("cosine_min", 0.9999, True),
    ("top1_agreement", 0.99, True),
    ("label_agreement", 0.99, True),
    ("order_agreement", 0.99, True),
)


def applied_limits(spec: EvaluateSpec) -> dict[str, float]:
    """The limits that a recipe sets, by name, for the record."""
    values = {name: getattr(spec, name) for name, _, _ in _RULES}
    return {name: float(value) for name, value in values.items() if value is not None}


def check_limits(
    label: str, precision: Precision, metrics: dict[str, float], spec: EvaluateSpec
) -> None:
    """Compare.

    Raises:
        EvaluationError: the first limit that is missed or was not measured, with all numbers.
    """
    numbers = ", ".join(f"{name} {metrics[name]:.4g}" for name in sorted(metrics))
    set_limits = applied_limits(spec)
    rules = [
        (name, metric, set_limits[name], more)
        for name, metric, more in _RULES
        if name in set_limits and metric in metrics
    ]
    for name in sorted(set(set_limits) - {rule[0] for rule in rules}):
        raise EvaluationError(
            f"{label}: {name}: nothing was measured for it ({numbers})", metrics=metrics
        )
    if precision is Precision.FP32:
        rules += [
            (f"fp32 {metric}", metric, limit, more)
            for metric, limit, more in _FP32_RULES
            if metric in metrics
        ]
    for name, metric, limit, more in rules:
        value = metrics[metric]
        # Said this way round, a NaN misses every limit.
        if not (value >= limit if more else value <= limit):
            raise EvaluationError(
                f"{label}: {name}: expected {metric} {'at least' if more else 'at most'} "
                f"{limit:g}, got {value:.4g} ({numbers})",
                metrics=metrics,
                hint="try a smaller block_size or int8, or change the recipe's limit",
            )
