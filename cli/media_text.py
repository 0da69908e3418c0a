"""Parts and custody records of media, as `media write`, `verify` and `inspect` show them."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sealift.media.custody import CustodyRecord

__all__ = ["counted", "custody_facts", "custody_line"]


def counted(parts: int, kind: str = "part") -> str:
    """Return how many parts, as `1 part` or `3 repair parts`."""
    return f"{parts} {kind}" if parts == 1 else f"{parts} {kind}s"


def custody_facts(record: "CustodyRecord") -> dict[str, Any]:
    """Return a custody record for programs."""
    from msgspec.structs import asdict

    said = record.custody
    return {**asdict(said), "device": asdict(said.device), "key": record.key_id}


def custody_line(record: "CustodyRecord") -> str:
    """Return a custody record in one line."""
    said = record.custody
    device = said.device
    named = [device.model, device.label and f"label {device.label}"]
    named += [device.serial and f"serial {device.serial}", device.file_system]
    onto = ", ".join(text for text in named if text) or "a device that the system did not name"
    return f"custody {said.number}: {said.time} by {said.user} on {said.host}, onto {onto}"
