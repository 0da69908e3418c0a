"""A home with real imports in it."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from sealift.keys.signer import generate
from sealift.runtime.importer.importer import import_bundle
from sealift.runtime.store.store import Store
from tests.sealed import Sealed, meta, seal_files

Make = Callable[..., Sealed]


@pytest.fixture(scope="session")
def releases(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Sealed]:
    """Three releases of one model, and another model, by one signer."""
    root, signer = tmp_path_factory.mktemp("releases"), generate()
    described = {
        "1.0.0": meta(sequence=1),
        "1.1.0": meta(version="1.1.0", sequence=2, created="2026-02-02T00:00:00Z"),
        "1.2.0": meta(version="1.2.0", sequence=3, created="2026-03-02T00:00:00Z"),
        "other": meta(name="other"),
    }
    return {
        label: seal_files(root / label, item, signer=signer, seed=number)
        for number, (label, item) in enumerate(described.items())
    }


@pytest.fixture(scope="session")
def _installed(releases: dict[str, Sealed], tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("installed") / "home"
    store = Store.open(home)
    store.trust(releases["1.0.0"].signer.public)
    for label in ("1.0.0", "1.1.0", "other"):
        import_bundle(releases[label].bundle, store)
    return home


@pytest.fixture
def store(_installed: Path, tmp_path: Path) -> Store:
    """A home of one's own with demo 1.0.0, demo 1.1.0 (current) and other 1.0.0."""
    home = tmp_path / "home"
    copy_home(_installed, home)
    return Store.open(home)


def copy_home(source: Path, target: Path) -> None:
    """Copy a home, hard links included."""
    shutil.copytree(source, target)
    for path in sorted((target / "models").rglob("*")):
        if path.is_file():
            twin = source / path.relative_to(target)
            for blob in (source / "blobs/sha256").iterdir():
                if blob.stat().st_ino == twin.stat().st_ino:
                    path.unlink()
                    path.hardlink_to(target / "blobs/sha256" / blob.name)
