"""How this tool names itself in what it writes."""

__all__ = ["tool_name"]


def tool_name() -> str:
    """Return name and version, as `sealift 0.1.0`."""
    from importlib.metadata import version  # 25 ms that most commands need not spend

    return f"sealift {version('sealift')}"
