"""May this release come in? Rules over the log's state and the host's clock; no I/O.

Time has no network source here. The floor is the latest of: anything ever accepted, the last log
entry, this tool's own release, the release in hand. A clock far behind it was set back.
"""

from datetime import UTC, datetime, timedelta

from sealift.manifests.digest import Digest
from sealift.manifests.statement import SealFields
from sealift.manifests.timestamp import format_time, parse_time
from sealift.runtime.store.errors import ClockError, DowngradeError, VersionConflictError
from sealift.runtime.store.state import StoreState

__all__ = ["BUILD_TIME", "CLOCK_SLACK", "admit", "is_installed"]

BUILD_TIME = datetime(2026, 11, 1, tzinfo=UTC)
"""No host that runs this code can be older; each release moves it."""

CLOCK_SLACK = timedelta(hours=24)


def is_installed(state: StoreState, fields: SealFields) -> bool:
    """Say whether exactly this release is here.

    Raises:
        VersionConflictError: its name and version are, with other content.
    """
    record = state.find(fields.name, fields.version)
    if record is None:
        return False
    if record.digest != Digest.parse(fields.manifest):
        raise VersionConflictError(
            f"{fields.name} {fields.version}: expected the installed {record.digest}, "
            f"got {fields.manifest}",
            hint=f"a changed model needs a new version; or `sealift models remove {fields.name}`",
        )
    return True


def admit(state: StoreState, fields: SealFields, now: datetime, *, allow_downgrade: bool) -> bool:
    """Accept a release; the value says whether it is a downgrade.

    1. The clock is not behind the floor.
    2. The sequence is not below the highest one accepted, unless that was asked for.

    Raises:
        ClockError: step 1.
        DowngradeError: step 2.
    """
    floor = max(
        parse_time(fields.created, what="seal: created"),
        BUILD_TIME,
        *(parse_time(text) for text in (state.newest_created, state.last_time) if text),
    )
    if now < floor - CLOCK_SLACK:  # 1
        raise ClockError(
            f"clock says {format_time(now)}, expected at least {format_time(floor)} less a day",
            hint="set the host's clock; a release from the future is refused for the same reason",
        )
    highest = state.sequences.get(fields.name, 0)
    is_downgrade = fields.sequence < highest
    if is_downgrade and not allow_downgrade:  # 2
        raise DowngradeError(
            f"{fields.name} {fields.version}: expected sequence {highest} or more, "
            f"got {fields.sequence}",
            hint="an older release can bring back a fixed fault; --allow-downgrade installs it",
        )
    return is_downgrade
