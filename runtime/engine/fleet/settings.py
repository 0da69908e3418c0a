"""How the models of one server share its host, checked before it starts."""

import re
from dataclasses import dataclass, field

from sealift.manifests.errors import Category, SealiftError
from sealift.runtime.engine.fleet.backoff import BackoffPolicy
from sealift.runtime.engine.fleet.watchdog import WatchLimits

__all__ = ["FleetSettings", "FleetSettingsError"]

# What clients send as `model` and what fits in a URL; a colon would mean a version.
_ALIAS = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


class FleetSettingsError(SealiftError):
    """The server refuses to start like this."""

    category = Category.USAGE
    code = "serve_refused"


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetSettings:
    """The knobs; models are named `name` (the current version) or `name:version`.

    Args:
        memory_bytes: of all models together; None: `memory_share` of what this process may use.
        pinned: models that are loaded at the start and never unloaded.
        preloaded: models that are loaded at the start.
        aliases: other names, each with the model that it means.
        keep_alive_s: an idle model is unloaded this long after its last use; None: never.
        hold_s: a busy model keeps its place at least so long although another waits for its room.
        drain_s: requests of a model that must go may go on so long; then they fail.
        refusal_s: a model that was refused is hashed, and its refusal logged, at most so often.

    Raises:
        FleetSettingsError: an alias that no request could name, or that means two things.
    """

    memory_bytes: int | None = None
    memory_share: float = 0.8
    pinned: tuple[str, ...] = ()
    preloaded: tuple[str, ...] = ()
    aliases: tuple[tuple[str, str], ...] = ()
    keep_alive_s: float | None = 1800.0
    hold_s: float = 30.0
    drain_s: float = 120.0
    refusal_s: float = 1.0
    watch: WatchLimits = field(default_factory=WatchLimits)
    backoff: BackoffPolicy = field(default_factory=BackoffPolicy)

    def __post_init__(self) -> None:
        names = [name for name, _ in self.aliases]
        for name in names:
            if not _ALIAS.fullmatch(name):
                raise FleetSettingsError(
                    f"alias {name[:100]!r}: expected 1 to 64 letters, digits, '.', '_' or '-'"
                )
            if names.count(name) > 1:
                raise FleetSettingsError(f"alias {name}: expected one meaning, got several")
