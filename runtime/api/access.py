"""Decide who may ask. Pure.

With keys: a bearer key from the file. Without: only this machine can connect, but a page in its
browser can too. So the Host must be a loopback name (a rebound DNS name is not), and an Origin,
which browsers send with every request that a page makes, must be one as well.
"""

import hashlib
import hmac
from collections.abc import Mapping
from urllib.parse import urlsplit

from sealift.runtime.api.errors import AccessError, KeyMissingError

__all__ = ["check_browser", "check_key"]

_LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})


def check_key(headers: Mapping[str, str], api_keys: tuple[str, ...]) -> None:
    """Check the bearer key.

    Raises:
        KeyMissingError: there is none, or not one of ours.
    """
    scheme, _, given = headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not given.strip():
        raise KeyMissingError(
            "no API key", hint="send the header `Authorization: Bearer` with a key"
        )
    # Digests have one length, and every key is compared: time tells nothing about any of them.
    digest = hashlib.sha256(given.strip().encode()).digest()
    matches = [
        hmac.compare_digest(digest, hashlib.sha256(key.encode()).digest()) for key in api_keys
    ]
    if not any(matches):
        raise KeyMissingError("the API key is not known here")


def check_browser(headers: Mapping[str, str]) -> None:
    """Check that no foreign page is behind the request.

    Raises:
        AccessError: the Host or the Origin is not a loopback name.
    """
    host = headers.get("Host", "")
    if _host_name(f"//{host}") not in _LOOPBACK_NAMES:
        raise AccessError(
            f"host {host[:100]!r}: expected localhost, 127.0.0.1 or [::1]",
            hint="use one of these names, or serve with an API key",
        )
    origin = headers.get("Origin")
    if origin is not None and _host_name(origin) not in _LOOPBACK_NAMES:
        raise AccessError(
            f"origin {origin[:100]!r}: pages of other sites may not use this server",
            hint="serve with an API key to allow it",
        )


def _host_name(url: str) -> str | None:
    try:
        parts = urlsplit(url)
        _ = parts.port  # raises where it is no number
    except ValueError:
        return None
    return None if parts.username is not None or parts.path else parts.hostname
