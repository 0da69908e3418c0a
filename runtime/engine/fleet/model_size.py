"""Read how large a model is, from what its signed statement lists; blocking.

>>> read_estimate(source, settings, memory_bytes=16 << 30).total_bytes      # doctest: +SKIP
"""

from sealift.manifests.serving import SERVING_FILE, ServingConfig
from sealift.runtime.engine.fleet.memory_estimate import MemoryEstimate, estimate
from sealift.runtime.engine.integrity import VerifiedFolder
from sealift.runtime.engine.settings import EngineSettings
from sealift.runtime.engine.source import ModelSource
from sealift.runtime.engine.variant import choose_variant

__all__ = ["read_estimate"]

_WEIGHTS_SUFFIX = ".onnx.data"


def read_estimate(
    source: ModelSource, settings: EngineSettings, *, memory_bytes: int
) -> MemoryEstimate:
    """Estimate the variant that this host would run.

    Args:
        memory_bytes: the budget of all models.

    Raises:
        ModelIntegrityError: the folder, or its `serving.json`, is not the signed one.
        LoadError: no variant is for this host.
    """
    variant = choose_variant(source)
    config = ServingConfig.parse(VerifiedFolder.open(source, variant).read(SERVING_FILE))
    # A small model's weights are in its graph; other graphs of the folder are not opened.
    weights = sum(
        file.size_bytes
        for file in source.files
        if file.path == f"{variant}/{config.graph}"
        or (file.path.startswith(f"{variant}/") and file.path.endswith(_WEIGHTS_SUFFIX))
    )
    return estimate(config, weight_bytes=weights, settings=settings, memory_bytes=memory_bytes)
