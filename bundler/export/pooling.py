"""How a model's token vectors become one vector, read from its sentence-transformers files (pure).

Without such files: mean over the tokens, then normalization, as most embedding models want.

>>> read_pooling(None, None)
Pooling(mode='mean', normalize=True)
"""

from dataclasses import dataclass

from sealift.bundler.errors import ExportError
from sealift.manifests.strict_json import JsonValue

__all__ = ["MODES", "Pooling", "read_pooling"]

MODES = ("mean", "cls", "max", "mean_sqrt_len_tokens", "lasttoken")

_OLD_KEYS = {
    "pooling_mode_cls_token": "cls",
    "pooling_mode_max_tokens": "max",
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_mean_sqrt_len_tokens": "mean_sqrt_len_tokens",
    "pooling_mode_weightedmean_tokens": "weightedmean",
    "pooling_mode_lasttoken": "lasttoken",
}
_KINDS = frozenset({"Transformer", "Pooling", "Normalize"})


@dataclass(frozen=True, slots=True)
class Pooling:
    """One of `MODES`, and whether the vector is scaled to length one."""

    mode: str
    normalize: bool


def read_pooling(modules: JsonValue, pooling: JsonValue) -> Pooling:
    """Read `modules.json` and the pooling module's `config.json`; `None` where there is no file.

    Raises:
        ExportError: a module or mode that the graph cannot hold yet.
    """
    if modules is None:
        return Pooling("mean", normalize=True)
    kinds = [
        str(module.get("type", "")).rpartition(".")[2]
        for module in (modules if isinstance(modules, list) else [])
        if isinstance(module, dict)
    ]
    unknown = [kind for kind in kinds if kind not in _KINDS]
    if unknown or not kinds:
        raise ExportError(
            f"modules.json: expected Transformer, Pooling, Normalize, got {unknown or modules!r}"
        )
    return Pooling(_mode(pooling), normalize="Normalize" in kinds)


def _mode(config: JsonValue) -> str:
    if not isinstance(config, dict):
        return "mean"
    found = config.get("pooling_mode")
    modes = [found] if isinstance(found, str) else found
    if modes is None:
        modes = [mode for key, mode in _OLD_KEYS.items() if config.get(key) is True]
    if not isinstance(modes, list) or len(modes) != 1 or modes[0] not in MODES:
        raise ExportError(f"pooling: expected one of {', '.join(MODES)}, got {modes!r}")
    return str(modes[0])
