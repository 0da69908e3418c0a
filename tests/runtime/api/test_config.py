"""What the server refuses to start with."""

from pathlib import Path

import pytest

from sealift.manifests.errors import Category
from sealift.runtime.api import ServeConfig, ServeConfigError, read_api_keys


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.4", "example.org", "", "127.0.0.1.x"])
def test_other_hosts_need_a_key(host: str) -> None:
    with pytest.raises(ServeConfigError, match="without a key") as caught:
        ServeConfig(host=host)
    assert caught.value.category is Category.USAGE
    assert "--api-key-file" in str(caught.value.hint)
    assert ServeConfig(host=host, api_keys=("k",)).host == host


@pytest.mark.parametrize("host", ["127.0.0.1", "127.3.2.1", "::1", "localhost"])
def test_this_host_does_not(host: str) -> None:
    assert ServeConfig(host=host).api_keys == ()


def test_keys_are_not_shown() -> None:
    assert "secret" not in repr(ServeConfig(api_keys=("secret",)))


def _file(tmp_path: Path, data: bytes, mode: int = 0o600) -> Path:
    path = tmp_path / "keys"
    path.write_bytes(data)
    path.chmod(mode)
    return path


@pytest.mark.parametrize(
    ("data", "mode", "message"),
    [
        (b"key\n", 0o644, "every user of this host can read"),
        (b"key\n", 0o602, "every user of this host can read"),
        (b"", 0o600, "no key in it"),
        (b"\n# key\n", 0o600, "no key in it"),
        (b"k\xc3\xa9y\n", 0o600, "expected ASCII"),
        (b"k" * 70_000, 0o600, "at most"),
    ],
)
def test_key_file_is_refused(tmp_path: Path, data: bytes, mode: int, message: str) -> None:
    with pytest.raises(ServeConfigError, match=message):
        read_api_keys(_file(tmp_path, data, mode))


def test_missing_key_file(tmp_path: Path) -> None:
    with pytest.raises(ServeConfigError, match="No such file"):
        read_api_keys(tmp_path / "nope")


def test_key_file(tmp_path: Path) -> None:
    assert read_api_keys(_file(tmp_path, b"# team\n one \n\ntwo\n", 0o640)) == ("one", "two")
