"""Turn other people's telemetry off, before anything imports them.

The wheels of ONNX Runtime carry a telemetry client that is on by default; the hub's client tells
the hub what calls it, and asks for more than the files. Both read their switch once, at import.
"""

import os

__all__ = ["disable_telemetry"]


def disable_telemetry() -> None:
    """Set the switches for this process and all its children."""
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"
    os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
