"""The base of every record that crosses a wire or a disk: frozen, and strict about its fields."""

import msgspec

__all__ = ["Record"]


class Record(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Derive with `frozen=True, kw_only=True`; an unknown field is an error, never ignored."""
