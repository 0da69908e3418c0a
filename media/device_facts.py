"""What the system knows of the device under a folder: read from it, never guessed.

    device_facts(Path("/media/usb")).serial

Linux says it in several places (proc(5) mountinfo, udev's /dev/disk/by-*, sysfs). Each fact that is
not there is null: a network share has no serial number, a bare container has no udev.
"""

import os
from collections.abc import Iterator
from pathlib import Path

from sealift.manifests.custody import DeviceFacts

__all__ = ["device_facts"]

_FACT_CHARS_MAX = 200
_FACT_BYTES_MAX = 4096
# A stick's serial number is at its place on the USB, some ten folders above its partition.
_ANCESTORS_MAX = 16


def device_facts(folder: Path, *, system: Path = Path("/")) -> DeviceFacts:
    """Say what is known of the device that a folder is on.

    Args:
        system: where proc, dev and sys are.

    Raises:
        OSError: the folder cannot be looked at.
    """
    info, disk = folder.stat(), os.statvfs(folder)
    number = f"{os.major(info.st_dev)}:{os.minor(info.st_dev)}"
    mount = _mount(system, number)
    node = mount[1] if mount is not None else None
    return DeviceFacts(
        file_system=_fact(mount[0] if mount is not None else None),
        label=_fact(_link_name(system / "dev/disk/by-label", node)),
        uuid=_fact(_link_name(system / "dev/disk/by-uuid", node)),
        model=_fact(_attribute(system, number, ("device/model", "product", "model"))),
        serial=_fact(_attribute(system, number, ("device/serial", "serial"))),
        size_bytes=disk.f_blocks * disk.f_frsize or None,  # no blocks: it does not say
    )


def _mount(system: Path, number: str) -> tuple[str, str] | None:
    """Return type and source of the mount with this device number (the last one counts)."""
    found = None
    for line in _lines(system / "proc/self/mountinfo"):
        left, separator, right = line.partition(" - ")
        fields, after = left.split(), right.split()
        if separator and len(fields) > 2 and len(after) > 1 and fields[2] == number:
            found = after[0], after[1]
    return found


def _link_name(folder: Path, node: str | None) -> str | None:
    """Return the name of the link in a folder that leads to a device."""
    if node is None or not node.startswith("/"):
        return None
    try:
        links = sorted(folder.iterdir())
    except OSError:
        return None
    for link in links:
        if os.path.realpath(link) == os.path.realpath(node):
            return _unescaped(link.name)
    return None


def _attribute(system: Path, number: str, names: tuple[str, ...]) -> str | None:
    """Return the first attribute of these names, at the device or above it."""
    device = system / "sys/dev/block" / number
    if not device.exists():
        return None
    for place in _ancestors(device.resolve()):
        for name in names:
            for line in _lines(place / name):
                if line.strip():
                    return line.strip()
    return None


def _ancestors(place: Path) -> Iterator[Path]:
    for folder in (place, *place.parents)[:_ANCESTORS_MAX]:
        if folder.name == "devices":
            return
        yield folder


def _lines(path: Path) -> list[str]:
    try:
        with path.open("rb") as file:
            # mountinfo has a line a mount, and a host may have hundreds; an attribute has one.
            data = file.read() if path.name == "mountinfo" else file.read(_FACT_BYTES_MAX)
    except OSError:
        return []
    return data.decode("utf-8", "replace").splitlines()


def _unescaped(name: str) -> str:
    """Undo udev's escapes of bytes that no file name should have: a space is `\\x20`."""
    pieces = name.split("\\x")
    data = pieces[0].encode()
    for piece in pieces[1:]:
        try:
            data += bytes.fromhex(piece[:2]) + piece[2:].encode()
        except ValueError:
            data += b"\\x" + piece.encode()
    return data.decode("utf-8", "replace")


def _fact(text: str | None) -> str | None:
    """Keep what can be printed; nothing is better than an empty name."""
    kept = "".join(char if char.isprintable() else "?" for char in (text or "").strip())
    return kept[:_FACT_CHARS_MAX] or None
