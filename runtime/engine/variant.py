"""Which folder of a model this host runs.

>>> choose_variant(source)                    # doctest: +SKIP
'cpu-int4'
"""

from sealift.runtime.engine.errors import LoadError
from sealift.runtime.engine.source import ModelSource

__all__ = ["choose_variant"]

_LABELS = ("cpu-int4", "cpu-int8", "cpu-fp16", "cpu-fp32")


def choose_variant(source: ModelSource) -> str:
    """Return the folder that this host runs fastest: memory bandwidth is what limits a CPU.

    Raises:
        LoadError: there is none.
    """
    for label in _LABELS:
        if label in source.variant_folders:
            return label
    raise LoadError(
        f"{source.name}:{source.version}: no variant for this host among "
        f"{', '.join(source.variant_folders) or 'none'}"
    )
