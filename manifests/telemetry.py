"""Turn ONNX Runtime's telemetry off, before anything imports it.

The official wheels carry a telemetry client that is on by default; it reads this variable once, at
import.
"""

import os

__all__ = ["disable_telemetry"]


def disable_telemetry() -> None:
    """Set the switch for this process and all its children."""
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"
