"""Facts about a device come from where Linux says them, and are null where it says nothing."""

import os
from pathlib import Path

from sealift.media.device_facts import device_facts


def _system(root: Path, folder: Path, *, serial: str = "4C530001") -> Path:
    """Write what Linux shows of a USB stick: mountinfo, udev's links, sysfs."""
    info = folder.stat()
    number = f"{os.major(info.st_dev)}:{os.minor(info.st_dev)}"
    (root / "proc/self").mkdir(parents=True)
    (root / "proc/self/mountinfo").write_text(
        f"21 1 8:99 / / rw - ext4 /dev/sda1 rw\n"
        f"36 21 {number} / /media/usb rw shared:1 master:2 - vfat {root}/dev/sdb1 rw\n"
    )
    (root / "dev/disk/by-label").mkdir(parents=True)
    (root / "dev/disk/by-uuid").mkdir(parents=True)
    (root / "dev/sdb1").touch()
    (root / "dev/disk/by-label/AIR\\x20GAP").symlink_to("../../sdb1")
    (root / "dev/disk/by-uuid/1234-ABCD").symlink_to("../../sdb1")
    usb = root / "sys/devices/pci0000:00/usb1/1-2"
    block = usb / "1-2:1.0/host3/target3:0:0/3:0:0:0/block/sdb"
    (block / "sdb1").mkdir(parents=True)
    (block.parent.parent / "model").write_text("Ultra Fit       \n")
    (block / "device").symlink_to("../..")
    (usb / "serial").write_text(f"{serial}\n")
    (root / "sys/dev/block").mkdir(parents=True)
    (root / "sys/dev/block" / number).symlink_to(block / "sdb1")
    return root


def test_a_stick_is_known_by_serial_number_model_and_label(tmp_path: Path) -> None:
    folder = tmp_path / "usb"
    folder.mkdir()
    facts = device_facts(folder, system=_system(tmp_path / "system", folder))
    assert facts.file_system == "vfat"
    assert (facts.label, facts.uuid) == ("AIR GAP", "1234-ABCD")
    assert (facts.model, facts.serial) == ("Ultra Fit", "4C530001")
    assert facts.size_bytes == os.statvfs(folder).f_blocks * os.statvfs(folder).f_frsize


def test_nothing_is_guessed_where_the_system_says_nothing(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    facts = device_facts(tmp_path, system=tmp_path / "empty")
    assert (facts.file_system, facts.label, facts.uuid) == (None, None, None)
    assert (facts.model, facts.serial) == (None, None)


def test_what_a_device_says_of_itself_cannot_reach_a_terminal(tmp_path: Path) -> None:
    folder = tmp_path / "usb"
    folder.mkdir()
    system = _system(tmp_path / "system", folder, serial="\x1b[2Jevil" + "x" * 500)
    serial = device_facts(folder, system=system).serial
    assert serial is not None
    assert serial.isprintable()
    assert len(serial) == 200
