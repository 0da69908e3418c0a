"""What the log says this host holds: trusted keys, installed versions, which one is current.

>>> state = replay(log.entries())            # doctest: +SKIP
>>> state.current["purser"]                  # doctest: +SKIP
'1.0.0'

Pure: entries in, state out. The disk is compared with this, never the other way round.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

import msgspec

from sealift.manifests.digest import Digest
from sealift.manifests.errors import ManifestError
from sealift.manifests.recipe import Task
from sealift.manifests.record import Record
from sealift.runtime.audit.entry import Entry, Event, Kind

__all__ = ["Imported", "ModelRecord", "StoreState", "replay"]


class Imported(Record, frozen=True, kw_only=True):
    """Fields of a `model.import` entry.

    Attributes:
        digest: of the manifest: the model's identity.
        seal: digest of the seal's envelope.
        inspection: digest of the signed report about its content.
        custody: digest of the last custody record of the medium it came from, if it had any.
        by_key_option: accepted under a key typed for this import, not one trusted here.
        downgrade: older than the newest release seen, and asked for.
    """

    name: str
    version: str
    task: Task
    digest: str
    seal: str
    inspection: str
    custody: str | None
    key_id: str
    by_key_option: bool
    downgrade: bool
    sequence: int
    created: str
    size_bytes: int

    def event(self) -> Event:
        """Return what is logged."""
        return Event(kind=Kind.MODEL_IMPORT, fields=msgspec.to_builtins(self))


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelRecord:
    """An installed version, as it was logged.

    Attributes:
        is_key_accepted: a key that was only typed for the import still holds for this version.
    """

    name: str
    version: str
    task: Task
    digest: Digest
    seal: Digest
    inspection: Digest
    key_id: str
    by_key_option: bool
    is_key_accepted: bool
    sequence: int
    created: str
    size_bytes: int
    imported: str

    @property
    def reference(self) -> str:
        """Name and version, for messages."""
        return f"{self.name} {self.version}"


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreState:
    """The expected state.

    Attributes:
        models: by name, then by version, in the order of their import.
        sequences: highest sequence ever accepted, by name; removal does not lower it.
        newest_created: latest creation time of anything ever accepted; empty before the first.
        last_time: time of the last entry.
    """

    trusted: frozenset[str] = frozenset()
    models: Mapping[str, Mapping[str, ModelRecord]] = field(default_factory=dict)
    current: Mapping[str, str] = field(default_factory=dict)
    sequences: Mapping[str, int] = field(default_factory=dict)
    newest_created: str = ""
    last_time: str = ""

    def all_models(self) -> tuple[ModelRecord, ...]:
        """Return every installed version, by name and order of import."""
        return tuple(
            record for _, versions in sorted(self.models.items()) for record in versions.values()
        )

    def find(self, name: str, version: str) -> ModelRecord | None:
        """Return an installed version."""
        return self.models.get(name, {}).get(version)

    def before(self, name: str, version: str) -> str | None:
        """Return the version that was imported before another one."""
        order = list(self.models.get(name, {}))
        index = order.index(version) if version in order else 0
        return order[index - 1] if index > 0 else None

    def apply(self, entry: Entry) -> "StoreState":
        """Return the state after one more entry.

        Raises:
            ManifestError: an entry that no Sealift wrote.
        """
        state = replace(self, last_time=entry.time)
        fields = entry.fields
        match entry.kind:
            case Kind.KEY_TRUST:
                return replace(state, trusted=self.trusted | {_text(fields, "key_id")})
            case Kind.KEY_DISTRUST:
                return state._without_key(_text(fields, "key_id"))
            case Kind.MODEL_IMPORT:
                return state._with_model(entry)
            case Kind.MODEL_REMOVE:
                return state._without_model(_text(fields, "name"), _text(fields, "version"))
            case Kind.MODEL_ROLLBACK:
                return state._with_current(_text(fields, "name"), _text(fields, "to"))
            case _:
                return state

    def _with_model(self, entry: Entry) -> "StoreState":
        try:
            fields = msgspec.convert(entry.fields, Imported)
        except msgspec.ValidationError as error:
            raise ManifestError(f"log entry {entry.seq}: {error}") from error
        record = ModelRecord(
            name=fields.name,
            version=fields.version,
            task=fields.task,
            digest=Digest.parse(fields.digest),
            seal=Digest.parse(fields.seal),
            inspection=Digest.parse(fields.inspection),
            key_id=fields.key_id,
            by_key_option=fields.by_key_option,
            is_key_accepted=fields.by_key_option,
            sequence=fields.sequence,
            created=fields.created,
            size_bytes=fields.size_bytes,
            imported=entry.time,
        )
        name, version = record.name, record.version
        highest = max(record.sequence, self.sequences.get(name, 0))
        return replace(
            self,
            models={**self.models, name: {**self.models.get(name, {}), version: record}},
            current={**self.current, name: version},
            sequences={**self.sequences, name: highest},
            newest_created=max(self.newest_created, record.created),
        )

    def _without_model(self, name: str, version: str) -> "StoreState":
        kept = {key: value for key, value in self.models.get(name, {}).items() if key != version}
        current = self.current.get(name)
        if current == version:
            # The one before it; the oldest had none, so then the next.
            current = self.before(name, version) or next(iter(kept), None)
        models = {**self.models, name: kept}
        pointers = {**self.current, name: current or ""}
        return replace(
            self,
            models={key: value for key, value in models.items() if value},
            current={key: value for key, value in pointers.items() if value},
        )

    def _with_current(self, name: str, version: str) -> "StoreState":
        if self.find(name, version) is None:
            raise ManifestError(f"log: rollback of {name} to {version}, which is not installed")
        return replace(self, current={**self.current, name: version})

    def _without_key(self, key_id: str) -> "StoreState":
        models = {
            name: {
                version: replace(record, is_key_accepted=False)
                if record.key_id == key_id
                else record
                for version, record in versions.items()
            }
            for name, versions in self.models.items()
        }
        return replace(self, trusted=self.trusted - {key_id}, models=models)


def replay(entries: Iterable[Entry], start: StoreState | None = None) -> StoreState:
    """Apply entries in order.

    Raises:
        ManifestError: an entry that no Sealift wrote.
    """
    state = start or StoreState()
    for entry in entries:
        state = state.apply(entry)
    return state


def _text(fields: Mapping[str, object], name: str) -> str:
    value = fields.get(name)
    if not isinstance(value, str):
        raise ManifestError(f"log entry: {name}: expected text, got {value!r}")
    return value
