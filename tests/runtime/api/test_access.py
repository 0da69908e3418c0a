"""Who may ask: keys, rebound names, foreign pages."""

import pytest

from sealift.runtime.api.access import check_browser, check_key
from sealift.runtime.api.errors import AccessError, KeyMissingError

KEYS = ("first-key", "second-key")


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": ""},
        {"Authorization": "Bearer"},
        {"Authorization": "Bearer "},
        {"Authorization": "Bearer wrong"},
        {"Authorization": "Bearer first-ke"},
        {"Authorization": "Bearer first-key second-key"},
        {"Authorization": "Basic first-key"},
        {"Authorization": "first-key"},
        {"Authorization": "Bearer Ünïcode"},
    ],
)
def test_wrong_keys(headers: dict[str, str]) -> None:
    with pytest.raises(KeyMissingError):
        check_key(headers, KEYS)


@pytest.mark.parametrize("header", ["Bearer first-key", "Bearer second-key", "bearer first-key"])
def test_right_keys(header: str) -> None:
    check_key({"Authorization": header}, KEYS)


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Host": ""},
        {"Host": "evil.example"},
        {"Host": "evil.example:8080"},
        {"Host": "localhost.evil.example"},
        {"Host": "127.0.0.1.evil.example"},
        {"Host": "user@localhost"},
        {"Host": "localhost/x"},
        {"Host": "localhost:port"},
        {"Host": "[::2]:80"},
        {"Host": "[::1"},
        {"Host": "192.168.0.4:8080"},
        {"Host": "localhost", "Origin": "null"},
        {"Host": "localhost", "Origin": "https://evil.example"},
        {"Host": "localhost", "Origin": "https://localhost.evil.example"},
        {"Host": "localhost", "Origin": "https://localhost@evil.example"},
        {"Host": "localhost", "Origin": ""},
    ],
)
def test_foreign_pages(headers: dict[str, str]) -> None:
    with pytest.raises(AccessError):
        check_browser(headers)


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "localhost"},
        {"Host": "LOCALHOST:8080"},
        {"Host": "127.0.0.1:1"},
        {"Host": "[::1]:8080"},
        {"Host": "localhost:8080", "Origin": "http://localhost:3000"},
        {"Host": "localhost:8080", "Origin": "http://127.0.0.1:8080"},
        {"Host": "localhost:8080", "Origin": "https://[::1]"},
    ],
)
def test_this_machine(headers: dict[str, str]) -> None:
    check_browser(headers)
