"""A recipe's limits against measured numbers (pure)."""

from sealift.bundler.errors import EvaluationError
from sealift.manifests.recipe import EvaluateSpec, Precision

__all__ = ["applied_limits", "check_limits"]

# limit, metric, whether more is better
_RULES = (
    ("min_exact", "exact", True),
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
        EvaluationError: the first limit that is missed, with all numbers.
    """
    set_limits = applied_limits(spec)
    rules = [
        (name, metric, set_limits[name], more)
        for name, metric, more in _RULES
        if name in set_limits
    ]
    if precision is Precision.FP32:
        rules += [(f"fp32 {metric}", metric, limit, more) for metric, limit, more in _FP32_RULES]
    for name, metric, limit, more in rules:
        value = metrics.get(metric)
        if value is None:
            continue
        if value < limit if more else value > limit:
            numbers = ", ".join(f"{key} {metrics[key]:.4g}" for key in sorted(metrics))
            raise EvaluationError(
                f"{label}: {name}: expected {metric} {'at least' if more else 'at most'} "
                f"{limit:g}, got {value:.4g} ({numbers})",
                metrics=metrics,
                hint="try a smaller block_size or int8, or change the recipe's limit",
            )
