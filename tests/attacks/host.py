"""A host under attack: `sealift` run in this process, and what must hold after a refusal."""

import io
import os
import shutil
import stat
import subprocess
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path

import pytest

from sealift.cli.exit_code import exit_code_for
from sealift.cli.main import main
from sealift.manifests.errors import SealiftError
from sealift.manifests.progress import Progress
from sealift.runtime.audit.entry import Entry, Kind
from sealift.runtime.importer.importer import import_bundle
from sealift.runtime.store.audit_verify import audit_verify
from sealift.runtime.store.store import Store
from tests.vectors.forge import SIGNER
from tests.vectors.vector import FOLDER, Change, Expected, Vector, lay_out, read_changes

__all__ = ["Done", "Host", "snapshot"]

_KEYS = FOLDER / "keys"


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """How a command ended."""

    exit: int
    out: str
    err: str


class Host:
    """A home with one release installed, and a folder where media are plugged in."""

    def __init__(self, folder: Path) -> None:
        self.home = folder / "home"
        self.medium = folder / "medium"

    @classmethod
    def new(cls, folder: Path) -> "Host":
        """Make a host that trusts the test signer and has its first release."""
        host = cls(folder)
        Store.open(host.home).trust(SIGNER.public)
        host.plug("installed")
        assert host.sealift("import", host.medium).exit == 0
        host.unplug()
        return host

    def copy(self, folder: Path) -> "Host":
        """Return a host just like this one; hard links stay hard links."""
        folder.mkdir(parents=True, exist_ok=True)
        subprocess.run(["cp", "-a", self.home, folder / "home"], check=True)
        return Host(folder)

    def plug(self, base: str, *changes: Change) -> Path:
        """Lay a medium out."""
        lay_out(self.medium, [*read_changes(base), *changes])
        return self.medium

    def plug_vector(self, vector: Vector) -> None:
        """Lay a vector's medium out; skips where a device cannot be made."""
        try:
            vector.lay_out(self.medium)
        except PermissionError:
            pytest.skip("only root can make a device")

    def unplug(self) -> None:
        """Remove the medium."""
        shutil.rmtree(self.medium)

    def sealift(self, *arguments: str | Path) -> Done:
        """Run a command line."""
        out, err = io.StringIO(), io.StringIO()
        words = [str(word).replace("KEYS/", f"{_KEYS}/") for word in arguments]
        with redirect_stdout(out), redirect_stderr(err), pytest.raises(SystemExit) as ended:
            main([*words, "--home", str(self.home)])
        assert isinstance(ended.value.code, int)
        return Done(exit=ended.value.code, out=out.getvalue(), err=err.getvalue())

    def refuses(self, vector: Vector) -> None:
        """Import a hostile medium: refused as the vector says, logged, and nothing else changed."""
        self.plug_vector(vector)
        before = snapshot(self.home)
        done = self.sealift("import", self.medium, *vector.arguments)
        (line,) = (line for line in done.err.splitlines() if line.startswith("error: "))
        self._refused(vector.expected, done.exit, line.removeprefix("error: "), before)

    def refuses_meanwhile(self, vector: Vector, progress: Progress) -> None:
        """Import a medium that `progress` changes while it is read."""
        self.plug_vector(vector)
        before = snapshot(self.home)
        with pytest.raises(SealiftError) as caught:
            import_bundle(self.medium, Store.open(self.home), progress=progress)
        code = int(exit_code_for(caught.value.category))
        self._refused(vector.expected, code, caught.value.message, before)

    def last_entry(self) -> Entry:
        """Return the newest entry of the log."""
        *_, entry = Store.open(self.home).log.entries()
        return entry

    def is_clean(self) -> None:
        """Check that the store is what its log says."""
        assert audit_verify(self.home).failures == ()

    def _refused(self, expected: Expected, code: int, line: str, before: dict[str, object]) -> None:
        assert line.isprintable()
        for word in expected.words:
            assert word in line
        entry = self.last_entry()
        assert (code, entry.fields["code"]) == (expected.exit, expected.code), line
        assert entry.kind is Kind.MODEL_IMPORT_REFUSED
        assert str(entry.fields["message"]) == line[: len(str(entry.fields["message"]))]
        assert snapshot(self.home) == before
        self.is_clean()


def snapshot(home: Path) -> dict[str, object]:
    """Return everything of a home but its log and its staging: mode, links and bytes, by path."""
    found: dict[str, object] = {}
    for folder, folders, names in os.walk(home):
        here = Path(folder).relative_to(home)
        folders[:] = [name for name in folders if str(here / name) not in ("log", "staging")]
        for name in names:
            path = Path(folder, name)
            info = path.lstat()
            data = path.read_bytes() if stat.S_ISREG(info.st_mode) else None
            found[str(here / name)] = (info.st_mode, info.st_nlink, data)
        found.update({str(here / name): "folder" for name in folders})
    return found
