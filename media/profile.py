"""What kind of medium is written: how much of it files take, and what may be done to a file twice.

>>> USB.taken_bytes(1)
33024
"""

from dataclasses import dataclass

__all__ = ["DISC", "PROFILES", "USB", "WORM", "Profile"]

_MIB = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """How a kind of medium keeps files.

    Attributes:
        block_bytes: a file takes whole blocks.
        file_bytes: what a file takes besides: its entries in folders and tables.
        reserve_bytes: kept free: file system tables, custody records, what systems put there.
        reserve_permille: the same, as a share of the capacity.
        is_write_once: each file is written once, under its final name; nothing is ever renamed,
            replaced or deleted.
    """

    name: str
    block_bytes: int
    file_bytes: int
    reserve_bytes: int
    reserve_permille: int
    is_write_once: bool = False

    def taken_bytes(self, size_bytes: int) -> int:
        """Return what a file of a size takes of the medium."""
        return size_bytes + -size_bytes % self.block_bytes + self.file_bytes

    def usable_bytes(self, capacity_bytes: int) -> int:
        """Return what of a medium of a capacity is there for files."""
        reserve = self.reserve_bytes + capacity_bytes * self.reserve_permille // 1000
        return max(0, capacity_bytes - reserve)


# FAT32 and exFAT: clusters of 32 KiB, eight folder entries a name, two tables of 4 bytes a cluster.
USB = Profile(
    name="usb", block_bytes=32 << 10, file_bytes=256, reserve_bytes=4 * _MIB, reserve_permille=1
)
# ISO 9660 and UDF: sectors of 2 KiB; UDF gives each file one of its own, and a folder entry.
DISC = Profile(
    name="disc", block_bytes=2 << 10, file_bytes=4 << 10, reserve_bytes=4 * _MIB, reserve_permille=0
)
# Tape-like appliances and retention-locked shares: their file systems are not known here.
WORM = Profile(
    name="worm", block_bytes=4 << 10, file_bytes=4 << 10, reserve_bytes=4 * _MIB,
    reserve_permille=10, is_write_once=True,
)  # fmt: skip

PROFILES = {profile.name: profile for profile in (USB, DISC, WORM)}
