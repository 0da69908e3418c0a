"""What a host on the far side holds: sent out, so that the next medium carries only the rest.

An in-toto Statement v1 about a site, with predicate type `urn:sealift:have:v1`, signed by the key
of the site's log. Nothing is ever trusted because of it: a list that is wrong, old or forged gives
a medium that the host cannot complete, and the import says which parts are missing.

    have = Have.parse(payload)
    left_out = [part for part in manifest.parts if part.tar.hex in have.parts]
"""

import dataclasses
import hashlib
import re

from sealift.manifests import strict_json
from sealift.manifests.digest import Digest
from sealift.manifests.errors import ManifestError
from sealift.manifests.limits import LIMITS
from sealift.manifests.record import Record
from sealift.manifests.timestamp import parse_time

__all__ = ["HAVE_LIMITS", "PREDICATE_HAVE", "Have"]

PREDICATE_HAVE = "urn:sealift:have:v1"

HAVE_LIMITS = dataclasses.replace(
    LIMITS, json_bytes=LIMITS.have_bytes, envelope_bytes=LIMITS.have_bytes
)
"""The usual bounds, with room for a long list."""

_STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
_CHECKPOINT = re.compile(r"(0|[1-9]\d{0,15}) [0-9a-f]{12}", re.ASCII)
_KEY_CHARS_MAX = 4096


class _Subject(Record, frozen=True, kw_only=True):
    name: str
    digest: dict[str, str]


class _Predicate(Record, frozen=True, kw_only=True, rename="camel"):
    site_key: str
    time: str
    checkpoint: str
    files: tuple[str, ...]
    parts: tuple[str, ...]


class _Statement(
    Record, frozen=True, kw_only=True, rename={"type_": "_type", "predicate_type": "predicateType"}
):
    type_: str
    subject: tuple[_Subject]
    predicate_type: str
    predicate: _Predicate


class Have(Record, frozen=True, kw_only=True):
    """What a host holds.

    Attributes:
        site_key: PEM of the public key of the site's log: for whoever holds no copy, a way to see
            that the list is undamaged, not whose it is.
        time: RFC 3339, UTC, whole seconds, as the host's clock said.
        checkpoint: size and short root of the site's log, as the host prints them.
        files: SHA-256 in hex of every installed file, each once, sorted.
        parts: SHA-256 in hex of the tar images (`Part.tar`) of all their parts, each once, sorted.
    """

    site_key: str
    time: str
    checkpoint: str
    files: tuple[str, ...]
    parts: tuple[str, ...]

    @property
    def site(self) -> str:
        """The site key's id: SHA-256 of its PEM."""
        return hashlib.sha256(self.site_key.encode()).hexdigest()

    @property
    def digest(self) -> Digest:
        """The list's identity: of the bytes that are signed."""
        return Digest.of(self.encode())

    def encode(self) -> bytes:
        """Return the payload that is signed, in its one form."""
        return strict_json.canonical(
            _Statement(
                type_=_STATEMENT_TYPE,
                subject=(_Subject(name=f"sealift/{self.site[:16]}", digest={"sha256": self.site}),),
                predicate_type=PREDICATE_HAVE,
                predicate=_Predicate(
                    site_key=self.site_key,
                    time=self.time,
                    checkpoint=self.checkpoint,
                    files=self.files,
                    parts=self.parts,
                ),
            )
        )

    @classmethod
    def parse(cls, payload: bytes) -> "Have":
        """Read a payload whose signature was checked.

        Raises:
            ManifestError: anything that `encode` would not have written, or lists that are not
                sorted or name a digest twice.
        """
        raw = strict_json.decode(payload, _Statement, what="have list", limits=HAVE_LIMITS)
        said = raw.predicate
        have = cls(
            site_key=said.site_key,
            time=said.time,
            checkpoint=said.checkpoint,
            files=said.files,
            parts=said.parts,
        )
        if not 0 < len(said.site_key) <= _KEY_CHARS_MAX:
            raise ManifestError(f"have list: expected a key of at most {_KEY_CHARS_MAX} characters")
        parse_time(said.time, what="have list: time")
        if not _CHECKPOINT.fullmatch(said.checkpoint):
            raise ManifestError(f"have list: expected a checkpoint, got {said.checkpoint[:40]!r}")
        _check_list("files", said.files)
        _check_list("parts", said.parts)
        if have.encode() != payload:
            raise ManifestError("have list: not in the one form that this format writes")
        return have


def _check_list(name: str, listed: tuple[str, ...]) -> None:
    for index, hexa in enumerate(listed):
        try:
            Digest("sha256", hexa)
        except ManifestError as error:
            raise ManifestError(f"have list: {name}[{index}]: {error.message}") from error
        if index and listed[index - 1] >= hexa:
            raise ManifestError(f"have list: {name}[{index}]: not sorted, or twice")
