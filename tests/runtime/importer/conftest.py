"""One sealed bundle a session, copied where a test changes it."""

import shutil
from pathlib import Path

import pytest

from sealift.runtime.store.store import Store
from tests.sealed import Sealed, seal_files


@pytest.fixture(scope="session")
def sealed(tmp_path_factory: pytest.TempPathFactory) -> Sealed:
    """A bundle that nobody changes."""
    return seal_files(tmp_path_factory.mktemp("sealed"))


@pytest.fixture
def medium(sealed: Sealed, tmp_path: Path) -> Sealed:
    """The same bundle in a copy of one's own."""
    copy = tmp_path / "medium"
    shutil.copytree(sealed.bundle, copy)
    return Sealed(bundle=copy, files=sealed.files, signer=sealed.signer)


@pytest.fixture
def store(sealed: Sealed, tmp_path: Path) -> Store:
    """An empty home that trusts the bundle's signer."""
    store = Store.open(tmp_path / "home")
    store.trust(sealed.signer.public)
    return store
