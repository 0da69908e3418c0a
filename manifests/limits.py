"""Every bound on data from outside, by name, in one place."""

from dataclasses import dataclass

__all__ = ["LIMITS", "Limits"]

_MIB = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Bounds that a reader enforces before it spends memory or time.

    A 40 GB model is about 640 parts and 250 KB of manifest, so each default leaves an order of
    magnitude of room and still fits a small host.

    Attributes:
        folder_entries: of one folder of a medium. A FAT folder holds 65,536 entries, and a name of
            64 characters takes six of them: 10,922 files.
        stream_metadata_bytes, stream_metadata_files: what is kept of a stream before its parts.
        stream_rounds: after so many, a stream whose metadata are still damaged is given up.
        have_bytes: of the list of what a host holds: some 180,000 parts, 11 TB of models.
    """

    json_bytes: int = 8 * _MIB
    json_depth: int = 32
    recipe_bytes: int = 256 * 1024
    index_bytes: int = 1 * _MIB
    index_entries: int = 4096
    envelope_bytes: int = 4 * _MIB
    have_bytes: int = 16 * _MIB
    stream_metadata_bytes: int = 64 * _MIB
    stream_metadata_files: int = 20_000
    stream_rounds: int = 1000
    part_bytes: int = 64 * _MIB
    parts: int = 16384
    files: int = 4096
    volumes: int = 999
    custody_records: int = 999
    custody_bytes: int = 512 * 1024
    folder_entries: int = 10_000
    path_chars: int = 240
    component_chars: int = 100
    zstd_window_bytes: int = 8 * _MIB

    @property
    def blob_bytes(self) -> int:
        """Largest blob: a raw part, its tar header, its padding and the end mark."""
        return self.part_bytes + 4 * 512


LIMITS = Limits()
