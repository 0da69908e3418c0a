"""What all bodies of one chat answer have in common. Pure.

The digest of the model's manifest is the `system_fingerprint`: the same fingerprint means the same
bytes answered.
"""

from dataclasses import dataclass

from sealift.manifests.strict_json import JsonValue

__all__ = ["ChatHead"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatHead:
    """The fields that come first.

    Args:
        model: the name as the client asked for it.
    """

    id: str
    created_s: int
    model: str
    digest: str

    def fields(self, kind: str) -> dict[str, JsonValue]:
        """Return the fields of a body of this kind."""
        return {
            "id": self.id,
            "object": kind,
            "created": self.created_s,
            "model": self.model,
            "system_fingerprint": self.digest,
        }
