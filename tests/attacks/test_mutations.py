"""Whatever single thing is changed on a medium: refused, or harmless.

    SEALIFT_MUTATIONS=100000 pytest tests/attacks/test_mutations.py          # more of them
    SEALIFT_MUTATION=repairable:1234 pytest tests/attacks/test_mutations.py  # one of them again

Harmless means that what is installed is exactly what was signed: repair parts may make up for a
damaged part. Of a set's first volume alone nothing can be installed at all.
"""

import io
import os
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from sealift.manifests.errors import SealiftError
from sealift.runtime.audit.entry import Kind
from sealift.runtime.importer.importer import import_bundle, import_stream
from sealift.runtime.importer.result import ImportResult, Waiting
from sealift.runtime.store.store import Store
from tests.attacks.host import Host, snapshot
from tests.attacks.mutation import KINDS, STREAM_KINDS, Mutation, classes, mutate, mutate_stream
from tests.fuzz.seed import CORPUS
from tests.sealed import tree
from tests.vectors.model_files import files
from tests.vectors.vector import lay_out, read_changes

_COUNT = int(os.environ.get("SEALIFT_MUTATIONS", "2000"))
_ONLY = os.environ.get("SEALIFT_MUTATION", "")
_SHARES = {"base": 0.42, "repairable": 0.22, "volume-1": 0.3}
_STREAM_SHARE = 0.06
_HOME_USES_MAX = 50
_SIGNED = files()
_HARMLESS, _REFUSED, _WAITING = "harmless", "refused", "waiting"


_Result = ImportResult | Waiting


class _Bench:
    """A medium to spoil, and a host that is renewed when its log has become long."""

    def __init__(self, base: str, first: Host, folder: Path) -> None:
        self._base = base
        self._first = first
        self._folder = folder
        self._uses = 0
        self.medium = {change.path: change.data for change in read_changes(base)}
        self._renew()

    def _renew(self) -> None:
        shutil.rmtree(self._folder, ignore_errors=True)
        self._host = self._first.copy(self._folder)
        self._store = Store.open(self._host.home)
        self._before = snapshot(self._host.home)

    def _renew_if_due(self) -> None:
        self._uses += 1
        if self._uses % _HOME_USES_MAX == 0:
            self._renew()

    def try_one(self, seed: str) -> tuple[Mutation, str]:
        """Spoil the medium, import it, and check what must hold whatever came of it."""
        self._renew_if_due()
        lay_out(self._host.medium, read_changes(self._base))
        try:
            mutation = mutate(self._host.medium, self.medium, seed)
            return mutation, self._try(mutation, seed, self._import_folder)
        finally:
            self._host.unplug()

    def try_stream(self, stream: bytes, seed: str) -> tuple[Mutation, str]:
        """The same with the medium as a stream."""
        self._renew_if_due()
        data, mutation = mutate_stream(stream, seed)
        return mutation, self._try(mutation, seed, lambda: self._import_stream(data))

    def _try(self, mutation: Mutation, seed: str, take: Callable[[], _Result]) -> str:
        try:
            return self._outcome(take)
        except BaseException as error:
            error.add_note(f"{mutation}\nagain: SEALIFT_MUTATION={seed}")
            raise
        finally:
            for folder in (self._host.home / "staging").iterdir():
                if folder.is_dir():
                    shutil.rmtree(folder)

    def _import_folder(self) -> _Result:
        return import_bundle(self._host.medium, self._store)

    def _import_stream(self, data: bytes) -> _Result:
        return import_stream(io.BytesIO(data), self._store)

    def _outcome(self, take: Callable[[], _Result]) -> str:
        store, home = self._store, self._host.home
        entries = store.log.checkpoint.size
        try:
            result = take()
        except SealiftError:
            outcome = _REFUSED
            *_, last = store.log.entries()
            assert (last.seq, last.kind) == (entries, Kind.MODEL_IMPORT_REFUSED)
        else:
            outcome = _WAITING if isinstance(result, Waiting) else _HARMLESS
        if outcome is _HARMLESS:
            assert tree(home / "models/demo/2.0.0") == _SIGNED
            self._host.is_clean()
            store.remove("demo", "2.0.0")
            store.rollback("demo", "1.0.0")
        assert snapshot(home) == self._before
        self._host.is_clean()
        return outcome


@pytest.mark.slow
@pytest.mark.timeout(0 if _COUNT > 2000 else 300)
@pytest.mark.parametrize("base", _SHARES)
def test_any_single_mutation_is_refused_or_harmless(
    base: str, first_host: Host, scratch: Path
) -> None:
    count = int(_COUNT * _SHARES[base])
    seeds = [f"{base}:{number}" for number in range(count)]
    if _ONLY:
        seeds = [_ONLY] if _ONLY.startswith(f"{base}:") else []
    bench = _Bench(base, first_host, scratch / "bench")
    hit: Counter[str] = Counter()
    for seed in seeds:
        mutation, outcome = bench.try_one(seed)
        hit.update((mutation.kind, mutation.file_class, outcome))
    if len(seeds) >= 400:
        assert set(KINDS) | set(classes(bench.medium)) <= set(hit), hit
        assert hit[_REFUSED] > len(seeds) / 2, hit
        assert bool(hit[_WAITING]) == (base == "volume-1"), hit


@pytest.mark.slow
@pytest.mark.timeout(0 if _COUNT > 2000 else 300)
def test_any_single_mutation_of_a_stream_is_refused_or_harmless(
    first_host: Host, scratch: Path
) -> None:
    stream = (CORPUS / "stream/repairable").read_bytes()
    seeds = [f"stream:{number}" for number in range(int(_COUNT * _STREAM_SHARE))]
    if _ONLY:
        seeds = [_ONLY] if _ONLY.startswith("stream:") else []
    bench = _Bench("repairable", first_host, scratch / "bench")
    hit: Counter[str] = Counter()
    for seed in seeds:
        mutation, outcome = bench.try_stream(stream, seed)
        hit.update((mutation.kind, outcome))
    if len(seeds) >= 100:
        assert set(STREAM_KINDS) <= set(hit), hit
        assert {_REFUSED, _HARMLESS} <= set(hit), hit
