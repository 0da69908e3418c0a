"""Frame server-sent events. Pure.

>>> event(b'{"a": 1}')
b'data: {"a": 1}\\n\\n'
"""

__all__ = ["CONTENT_TYPE", "DONE", "event"]

CONTENT_TYPE = "text/event-stream"


def event(payload: bytes) -> bytes:
    """Return one event; JSON has no raw line break that could end it early."""
    return b"data: " + payload + b"\n\n"


DONE = event(b"[DONE]")
