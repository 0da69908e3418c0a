"""Make custody records: who writes, when, where, and onto what."""

import os
import pwd
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from sealift.keys.envelope import sign
from sealift.keys.signer import Signer
from sealift.manifests.custody import Custody, ReadBackLabel
from sealift.manifests.limits import LIMITS
from sealift.manifests.statement import PAYLOAD_TYPE
from sealift.manifests.timestamp import format_time
from sealift.manifests.tool import tool_name
from sealift.media.custody import CustodyRecord
from sealift.media.device_facts import device_facts
from sealift.media.errors import WriteRequestError

__all__ = ["CustodyRecorder"]

_TEXT_CHARS_MAX = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class CustodyRecorder:
    """Signs a record for one medium.

    Attributes:
        volume, volumes: which of how many; 1 of 1 for a medium that is complete by itself.
        manifests: digests of the manifests of its bundles.
    """

    signer: Signer
    clock: Callable[[], datetime]
    volume: int
    volumes: int
    manifests: tuple[str, ...]

    def record(
        self, root: Path, before: Sequence[CustodyRecord], sums: str, method: ReadBackLabel
    ) -> bytes:
        """Return the file of the record that follows those `before`.

        Raises:
            WriteRequestError: there are as many as a medium may have.
            OSError: the medium cannot be looked at.
        """
        number = len(before) + 1
        if number > LIMITS.custody_records:
            raise WriteRequestError(
                f"{root}: expected at most {LIMITS.custody_records} custody records",
                hint="write to a new medium",
            )
        custody = Custody(
            number=number,
            user=_text(_user()),
            host=_text(os.uname().nodename),
            time=format_time(self.clock()),
            tool=tool_name(),
            device=device_facts(root),
            volume=self.volume,
            volumes=self.volumes,
            manifests=self.manifests,
            read_back=method,
            sums=sums,
            previous=before[-1].digest.hex if before else None,
        )
        return sign(PAYLOAD_TYPE, custody.statement(), self.signer)


def _user() -> str:
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:  # a user id without a name, as containers have
        return f"uid {os.getuid()}"


def _text(text: str) -> str:
    kept = "".join(char if char.isprintable() else "?" for char in text)
    return kept[:_TEXT_CHARS_MAX] or "?"
