"""Compare everything in a home with what its log says.

Nothing is changed, save that a change which a crash interrupted is completed or taken back first.

    report = audit_verify(home)
    report.is_intact, report.failures

1. The log: every line in its form, the tree's root signed by the site's key, that key unchanged.
2. The keys: exactly those that the log trusts, byte for byte.
3. Each installed version: seal, manifest, config and attestations verify under the keys accepted
   now and are those that the log names; so does the report of its inspection, under the site's
   key; its folder holds exactly the signed files.
4. Every blob has the bytes that its name says; none is missing, none is there for nothing.
5. The current version of each model is the log's.
6. No other file is there, and every file has its mode.

So a changed byte in any file of the home is found, and the file is named.
"""

import os
import time
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from sealift.keys.public_key import PublicKey
from sealift.keys.trust_root import TrustRoot
from sealift.keys.verify import VerifiedBundle, verify_attestation
from sealift.manifests.digest import Digest
from sealift.manifests.errors import SealiftError
from sealift.manifests.limits import LIMITS
from sealift.media.regular_file import read_regular
from sealift.runtime.audit.entry import Entry, Kind
from sealift.runtime.audit.errors import AuditError
from sealift.runtime.audit.log import ENTRIES, AuditLog, parse_line
from sealift.runtime.audit.site_key import SITE_KEY, SITE_PUBLIC, read_private
from sealift.runtime.store import change, inventory, paths
from sealift.runtime.store.errors import StoreError
from sealift.runtime.store.file_hash import hash_file
from sealift.runtime.store.findings import AuditReport, Findings
from sealift.runtime.store.inspection_record import read_inspection
from sealift.runtime.store.installed import KEY_FILE, open_bundle, read_record, record_files
from sealift.runtime.store.inventory import Found, is_link, parents
from sealift.runtime.store.state import ModelRecord, StoreState, replay
from sealift.runtime.store.store import Store, read_key

__all__ = ["audit_verify"]

_POINTER_BYTES_MAX = 4096


def audit_verify(home: Path, *, workers: int | None = None) -> AuditReport:
    """Check a home.

    Raises:
        StoreError: there is no home, or the disk fails.
    """
    if not (home / "log").is_dir():
        raise StoreError(f"{home}: expected a home, found no log", hint="set SEALIFT_HOME")
    started = time.monotonic()
    audit = _Audit(home.absolute(), workers or os.cpu_count() or 1)
    try:
        checkpoint = audit.read_log()
        with change.shared(home):
            audit.compare()
    except OSError as error:
        raise StoreError(f"{home}: {error}") from error
    return AuditReport(
        failures=tuple(sorted(audit.findings.failures)),
        notes=tuple(audit.findings.notes),
        checkpoint=checkpoint,
        entries=len(audit.entries),
        models=len(audit.state.all_models()),
        trusted_keys=len(audit.state.trusted),
        files=audit.findings.files,
        size_bytes=audit.findings.size_bytes,
        seconds=time.monotonic() - started,
    )


class _Audit:
    """One walk over a home."""

    def __init__(self, home: Path, workers: int) -> None:
        self.home = home
        self.workers = workers
        self.findings = Findings()
        self.entries: list[Entry] = []
        self.state = StoreState()
        self.site: PublicKey | None = None
        self.is_comparable = True

    def read_log(self) -> str:
        """Step 1; an interrupted change is mended first, as on every start."""
        checkpoint = "unknown"
        try:
            log = AuditLog.open(self.home)
            checkpoint = log.checkpoint.short
            Store.open(self.home)
        except AuditError as error:
            if error.path not in (SITE_KEY, SITE_PUBLIC):  # named below
                self.findings.fail(error.path, error.message)
        except (SealiftError, OSError) as error:
            self.findings.fail(paths.INTENT, str(error))
        try:
            # Without a valid head the entries are only a claim; still, most damage can be named.
            self.entries = _parse(self.home)
            self.state = replay(self.entries)
            self._check_site(self.entries[0] if self.entries else None)
        except (SealiftError, OSError) as error:
            self.findings.fail(ENTRIES, str(error))
            self.is_comparable = False
            self.findings.notes.append("the log cannot be read: the rest was not compared with it")
        return checkpoint

    def _check_site(self, first: Entry | None) -> None:
        if first is None or first.kind is not Kind.SITE_INIT:
            self.findings.fail(ENTRIES, "line 1: expected the start of the log")
            return
        key_id = first.fields.get("site_key")
        self._check_digest(SITE_PUBLIC, Digest("sha256", str(key_id)))
        try:
            site = read_private(self.home).public
        except AuditError as error:
            self.findings.fail(error.path, error.message)
            return
        if site.key_id != key_id:
            self.findings.fail(SITE_KEY, f"expected the key of {key_id}, got {site.key_id}")
        else:
            self.site = site

    def compare(self) -> None:
        """Steps 2 to 6."""
        if not self.is_comparable:
            return
        trusted = self._trusted_keys()
        expected = inventory.fixed_files() | {paths.trust(key_id) for key_id in self.state.trusted}
        folders: set[str] = set()
        links: dict[str, str] = {}
        for record in self.state.all_models():
            expected |= self._check_version(record, trusted, links, folders)
        expected |= set(links) | {paths.blob(sha256) for sha256 in links.values()}
        expected |= {paths.pointer(name) for name in self.state.models}
        self._check_pointers()
        found = inventory.list_home(self.home, self.findings, folders)
        inventory.compare(found, expected, self.findings)
        self._check_contents(found, links)

    def _trusted_keys(self) -> TrustRoot:
        keys = []
        for key_id in sorted(self.state.trusted):
            try:
                keys.append(read_key(self.home, key_id))
            except SealiftError as error:
                self.findings.fail(paths.trust(key_id), error.message)
        return TrustRoot.of(keys)

    def _check_version(
        self, record: ModelRecord, trusted: TrustRoot, links: dict[str, str], folders: set[str]
    ) -> set[str]:
        """Step 3; returns the files of its records, and adds its links to blobs."""
        folder = paths.record(record.name, record.version)
        folders |= parents(f"{folder}/x")
        self._check_inspection(record, f"{folder}/{paths.INSPECTION_FILE}")
        try:
            bundle = open_bundle(self.home, record, trusted)
        except SealiftError as error:
            path, _, _ = error.message.partition(":")
            name = path if path.startswith(f"{folder}/") else f"{folder}/{paths.SEAL_FILE}"
            self.findings.fail(name, error.message)
            return self._unreadable_version(record, links, folders)
        for file in bundle.seal.statement.files:
            path = f"{paths.model(record.name, record.version)}/{file.path}"
            links[path] = file.digest
            folders |= parents(path)
        self._check_attestations(record, bundle, trusted)
        names_here = {*record_files(bundle), paths.INSPECTION_FILE}
        names_here |= {KEY_FILE} if record.by_key_option else set()
        if record.by_key_option:
            self._check_digest(f"{folder}/{KEY_FILE}", Digest("sha256", record.key_id))
        return {f"{folder}/{name}" for name in names_here}

    def _unreadable_version(
        self, record: ModelRecord, links: dict[str, str], folders: set[str]
    ) -> set[str]:
        # Its seal lists what must be there, and cannot be read: what is there gets no second
        # finding, but blobs that it links to are still compared with their names.
        known: set[str] = set()
        for root in (
            paths.record(record.name, record.version), paths.model(record.name, record.version)
        ):  # fmt: skip
            for path in (self.home / root).rglob("*"):
                relative = str(path.relative_to(self.home))
                folders |= parents(relative)
                if path.is_file():
                    known.add(relative)
        inodes = {
            (path.stat().st_dev, path.stat().st_ino): path.name
            for path in (self.home / paths.BLOBS).iterdir()
        }
        for relative in known:
            info = (self.home / relative).stat()
            sha256 = inodes.get((info.st_dev, info.st_ino))
            if sha256 is not None:
                links[relative] = sha256
        return known

    def _check_inspection(self, record: ModelRecord, path: str) -> None:
        if self.site is None:  # a finding of its own; what the log holds still counts
            self._check_digest(path, record.inspection)
            return
        try:
            read_inspection(self.home, record, self.site)
        except SealiftError as error:
            self.findings.fail(path, error.message)

    def _check_attestations(
        self, record: ModelRecord, bundle: VerifiedBundle, trusted: TrustRoot
    ) -> None:
        folder = paths.record(record.name, record.version)
        keys = TrustRoot.of([*trusted.keys.values(), bundle.seal.key])
        refs = {Digest.parse(ref.digest): ref for ref in bundle.seal.statement.fields.attestations}
        for name, (digest, _) in record_files(bundle).items():
            ref = refs.get(digest)
            if ref is None:
                continue
            try:
                data = read_record(self.home, record, name, LIMITS.envelope_bytes)
                verify_attestation(data, ref, bundle.seal, keys)
            except SealiftError as error:
                self.findings.fail(f"{folder}/{name}", error.message)

    def _check_digest(self, path: str, digest: Digest) -> None:
        try:
            got = hash_file(self.home / path)
        except OSError as error:
            self.findings.fail(path, f"cannot be read: {error.strerror or error}")
            return
        if got != digest.hex:
            self.findings.fail(path, f"expected {digest}, got sha256:{got}")

    def _check_pointers(self) -> None:
        """Step 5."""
        for name in self.state.models:
            path = paths.pointer(name)
            expected = change.pointer_bytes(self.state, name)
            try:
                got = read_regular(self.home / path, size_max=_POINTER_BYTES_MAX)
            except OSError:
                continue  # named as missing by the inventory
            if got != expected:
                self.findings.fail(path, f"expected {expected!r}, got {got[:200]!r}")

    def _check_contents(self, found: Mapping[str, Found], links: Mapping[str, str]) -> None:
        """Step 4, and that each file of a model is the blob of its digest."""
        blobs = {path for path in found if path.startswith(f"{paths.BLOBS}/")}
        apart = {
            path
            for path, sha256 in links.items()
            if path in found and not is_link(found, path, paths.blob(sha256))
        }
        hashes = self._hash_all(found, blobs | apart)
        for path in blobs:
            sha256 = path.rpartition("/")[2]
            self._expect_hash(path, sha256, hashes.get(path))
        for path, sha256 in links.items():
            if path in apart:
                if self._expect_hash(path, sha256, hashes.get(path)):
                    self.findings.fail(path, f"expected a hard link to {paths.blob(sha256)}")
            elif path in found:
                self._expect_hash(path, sha256, hashes.get(paths.blob(sha256)))

    def _hash_all(self, found: Mapping[str, Found], names: Iterable[str]) -> dict[str, str]:
        def hash_one(path: str) -> str:
            try:
                return hash_file(self.home / path)
            except OSError as error:
                self.findings.fail(path, f"cannot be read: {error.strerror or error}")
                return ""

        ordered = sorted(names, key=lambda path: -found[path].size_bytes)
        with ThreadPoolExecutor(self.workers, thread_name_prefix="audit") as executor:
            hashes = dict(zip(ordered, executor.map(hash_one, ordered), strict=True))
        self.findings.files = len(found)
        self.findings.size_bytes = sum(found[path].size_bytes for path in ordered)
        return {path: sha256 for path, sha256 in hashes.items() if sha256}

    def _expect_hash(self, path: str, expected: str, got: str | None) -> bool:
        if got is not None and got != expected:
            self.findings.fail(path, f"expected sha256:{expected}, got sha256:{got}")
        return got == expected


def _parse(home: Path) -> list[Entry]:
    with (home / ENTRIES).open("rb") as file:
        return [parse_line(line.removesuffix(b"\n"), number) for number, line in enumerate(file)]
