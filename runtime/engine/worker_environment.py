"""What our processes that run native code get of our environment: nothing secret.

>>> worker_environment()["ORT_DISABLE_TELEMETRY"]
'1'
"""

import os

from sealift.manifests.telemetry import disable_telemetry

__all__ = ["worker_environment"]

# What a worker needs of our environment; the rest (passphrases, proxies) is none of its business.
_ENVIRONMENT = ("HOME", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "PATH", "PYTHONPATH", "TMPDIR", "TZ")


def worker_environment() -> dict[str, str]:
    """Return what a process of ours that runs native code gets of our environment."""
    disable_telemetry()
    kept = {name: os.environ[name] for name in _ENVIRONMENT if name in os.environ}
    return {**kept, "ORT_DISABLE_TELEMETRY": os.environ["ORT_DISABLE_TELEMETRY"]}
