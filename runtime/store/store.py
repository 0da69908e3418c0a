"""The store of a host: everything that is served comes from here.

    store = Store.open(home)
    store.trust(PublicKey.parse(pem))
    model = store.resolve("purser")          # its seal is verified now, under the keys trusted now

What is installed is what the log says; the disk follows it, and `audit_verify` compares the two.
Every change is one entry of the log. A process that holds a `Store` sees the changes of others.
"""

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from sealift.keys.errors import KeyFileError
from sealift.keys.public_key import PublicKey
from sealift.keys.trust_root import TrustRoot
from sealift.media.durable import replace_file
from sealift.media.regular_file import read_regular
from sealift.runtime.audit.entry import Entry, Event, Field, Kind
from sealift.runtime.audit.log import AuditLog, Clock, utc_now
from sealift.runtime.store import change, paths
from sealift.runtime.store.change import Intent
from sealift.runtime.store.errors import NotInstalledError, StoreError, StoreIntegrityError
from sealift.runtime.store.inspection_record import read_inspection
from sealift.runtime.store.installed import InstalledModel, open_model
from sealift.runtime.store.staged import Staged, install_files
from sealift.runtime.store.state import Imported, ModelRecord, StoreState, replay

__all__ = ["Store", "read_key"]

_FOLDERS = (paths.BLOBS, paths.MODELS, paths.RECORDS, paths.TRUST, paths.CURRENT, paths.STAGING)
_PEM_BYTES_MAX = 16 * 1024
_KEY_ID_CHARS_MIN = 8

_T = TypeVar("_T")


class Store:
    """One home; safe to share between threads, and beside other processes."""

    def __init__(self, home: Path, log: AuditLog, clock: Clock, site: str | None) -> None:
        self.home = home
        self.log = log
        self.clock = clock
        self.site = site
        self._thread = threading.RLock()
        self._state = StoreState()
        self._read_bytes = 0

    @classmethod
    def open(cls, home: Path, *, clock: Clock = utc_now, site: str | None = None) -> "Store":
        """Open a home, make it if it is new, and mend what a crash interrupted.

        Args:
            site: this site's name, for bundles that are meant for certain sites.

        Raises:
            AuditError: the log is not in order: nothing may be imported or served.
            StoreError: the home cannot be read or written.
        """
        home = home.absolute()
        try:
            log = AuditLog.open(home, clock=clock)
            for folder in _FOLDERS:
                (home / folder).mkdir(parents=True, exist_ok=True)
            store = cls(home, log, clock, site)
            # A lock that is held belongs to a change that is still going on.
            with change.try_exclusive(home / paths.LOCK) as held:
                if held:
                    change.mend(home, store.state())
        except OSError as error:
            raise StoreError(f"{home}: {error}") from error
        return store

    def state(self) -> StoreState:
        """Return what the log says now, changes by other processes included.

        Raises:
            AuditError: the log is not in order any more.
        """
        with self._thread:
            self.log.sync()
            start, self._read_bytes = self._read_bytes, self.log.size_bytes
            if self._read_bytes > start:
                lines = list(self.log.lines(start))
                # The last one always matters: it tells the time.
                picked = [*(line for line in lines[:-1] if _matters(line)), *lines[-1:]]
                self._state = replay(map(Entry.parse, picked), self._state)
            return self._state

    def models(self) -> tuple[ModelRecord, ...]:
        """List what is installed, as it was logged; nothing is verified."""
        return self.state().all_models()

    def current(self, name: str) -> str:
        """Return a model's current version.

        Raises:
            NotInstalledError: there is none of that name.
        """
        version = self.state().current.get(name)
        if version is None:
            known = ", ".join(sorted(self.state().current)) or "none"
            raise NotInstalledError(f"model {name!r} is not installed (installed: {known})")
        return version

    def resolve(self, name: str, version: str | None = None) -> InstalledModel:
        """Verify a version's seal under the keys trusted now and return where it lies.

        Raises:
            NotInstalledError: not here.
            UntrustedError: its signer is not trusted (any more).
            StoreIntegrityError, SignatureError, ManifestError: its records were changed.
        """
        record = self._record(name, version)
        is_current = self.state().current.get(name) == record.version
        return open_model(self.home, record, self.trusted(), is_current=is_current)

    def show(self, name: str, version: str | None = None) -> InstalledModel:
        """Describe a version; the same as `resolve`: nothing unverified is described."""
        return self.resolve(name, version)

    def inspection(self, name: str, version: str | None = None) -> Any:
        """Return what was found in a version's files before it was installed, as it was signed.

        Raises:
            NotInstalledError: not here.
            StoreIntegrityError, SignatureError, ManifestError: not the report that was logged.
        """
        return read_inspection(self.home, self._record(name, version), self.log.public)

    def trusted(self) -> TrustRoot:
        """Read the trusted keys, and check that they are those of the log.

        Raises:
            StoreIntegrityError: a key file is missing, changed or added.
        """
        expected = self.state().trusted
        if _key_files(self.home) != expected:
            # Another process may be between writing a key and logging it: wait for its end.
            with change.shared(self.home):
                expected, found = self.state().trusted, _key_files(self.home)
            for key_id in sorted(found ^ expected):
                word = "missing" if key_id in expected else "not in the log"
                raise StoreIntegrityError(f"{paths.trust(key_id)}: {word}")
        return TrustRoot.of(
            [read_key(self.home, key_id) for key_id in sorted(expected)], site=self.site
        )

    def trust(self, key: PublicKey) -> bool:
        """Accept a key for bundles; false: it was trusted already.

        Raises:
            UntrustedError: of a kind that bundles are not signed with.
        """
        TrustRoot.of([key]).require(key.key_id)

        def accept(state: StoreState) -> bool:
            if key.key_id in state.trusted:
                return False
            replace_file(self.home / paths.trust(key.key_id), key.pem)
            fields: dict[str, Field] = {"key_id": key.key_id, "algorithm": key.algorithm.value}
            self.log.append(Event(kind=Kind.KEY_TRUST, fields=fields))
            return True

        return self._change(Intent(keys=(key.key_id,)), accept)

    def distrust(self, key_id: str) -> None:
        """Accept a key no more; versions that it sealed stay, and are not served.

        Args:
            key_id: the whole id, or its first 8 characters or more.

        Raises:
            NotInstalledError: no such key is accepted here.
        """
        known = [key for key in self._known_keys() if key.startswith(key_id)]
        if len(known) != 1 or len(key_id) < _KEY_ID_CHARS_MIN:
            raise NotInstalledError(
                f"key {key_id[:80]!r}: expected the id of one trusted key",
                hint="`sealift keys list` prints the ids",
            )
        event = Event(kind=Kind.KEY_DISTRUST, fields={"key_id": known[0]})
        self._change(Intent(keys=(known[0],)), lambda state: self.log.append(event))

    def remove(self, name: str, version: str | None = None) -> ModelRecord:
        """Remove a version (the current one) and what no other version needs.

        Raises:
            NotInstalledError: not here.
        """
        record = self._record(name, version)

        def drop(state: StoreState) -> ModelRecord:
            fields: dict[str, Field] = {
                "name": name, "version": record.version, "digest": str(record.digest)
            }  # fmt: skip
            self.log.append(Event(kind=Kind.MODEL_REMOVE, fields=fields))
            return record

        return self._change(Intent(models=((name, record.version),)), drop)

    def rollback(self, name: str, to: str | None = None) -> ModelRecord:
        """Make another installed version current: by default the one imported before.

        Raises:
            NotInstalledError: there is no such version.
        """
        current = self.current(name)
        target = to or self.state().before(name, current)
        if target is None:
            raise NotInstalledError(f"{name} {current}: no version was imported before it")
        record = self._record(name, target)

        def point(state: StoreState) -> ModelRecord:
            fields: dict[str, Field] = {"name": name, "from": current, "to": record.version}
            self.log.append(Event(kind=Kind.MODEL_ROLLBACK, fields=fields))
            return record

        return self._change(Intent(models=((name, record.version),)), point)

    def install(self, staged: Staged, imported: Imported) -> ModelRecord:
        """Take verified files in: blobs, links, records, then the log entry, then the pointer."""
        name, version = imported.name, imported.version

        def take(state: StoreState) -> ModelRecord:
            staged.recheck(state)
            install_files(self.home, staged)
            self.log.append(imported.event())
            return self._record(name, version)

        blobs = tuple(sorted({file.digest for file in staged.bundle.seal.statement.files}))
        intent = Intent(models=((name, version),), blobs=blobs, staging=staged.folder.name)
        return self._change(intent, take)

    def _change(self, intent: Intent, apply: Callable[[StoreState], _T]) -> _T:
        """Make one change with the home held: what must be on the disk first, then the log entry.

        `mend` then brings the rest of the disk to the log's state, or takes a failed change back.
        """
        try:
            with self._thread, change.exclusive(self.home):
                change.mend(self.home, self.state())
                change.begin(self.home, intent)
                try:
                    return apply(self.state())
                finally:
                    change.mend(self.home, self.state())
        except OSError as error:
            raise StoreError(f"{self.home}: {error}") from error

    def _record(self, name: str, version: str | None) -> ModelRecord:
        wanted = version or self.current(name)
        record = self.state().find(name, wanted)
        if record is None:
            raise NotInstalledError(f"model {name!r} version {wanted!r} is not installed")
        return record

    def _known_keys(self) -> set[str]:
        state = self.state()
        return set(state.trusted) | {r.key_id for r in state.all_models() if r.is_key_accepted}


def _matters(line: bytes) -> bool:
    # Most of a log is requests, which change nothing here. Fields are flat and come first.
    return b'},"kind":"request' not in line


def _key_files(home: Path) -> set[str]:
    return {path.name.removesuffix(".pem") for path in (home / paths.TRUST).iterdir()}


def read_key(home: Path, key_id: str) -> PublicKey:
    path = paths.trust(key_id)
    try:
        pem = read_regular(home / path, size_max=_PEM_BYTES_MAX)
        key = PublicKey.parse(pem, what=path)
    except (OSError, KeyFileError) as error:
        raise StoreIntegrityError(f"{path}: not the key that was trusted: {error}") from error
    if key.key_id != key_id or key.pem != pem:
        raise StoreIntegrityError(f"{path}: expected key {key_id[:16]}, got {key.key_id[:16]}")
    return key
