"""How to serve, checked before a socket is opened."""

import ipaddress
import os
import stat
from dataclasses import dataclass, field
from pathlib import Path

from sealift.manifests.errors import Category, SealiftError
from sealift.runtime.engine.fleet.settings import FleetSettings
from sealift.runtime.engine.prepack_spec import PrepackSettings
from sealift.runtime.engine.settings import EngineSettings

__all__ = ["ApiLimits", "ServeConfig", "ServeConfigError", "is_loopback", "read_api_keys"]

_KEY_FILE_BYTES_MAX = 64 * 1024


class ServeConfigError(SealiftError):
    """The server refuses to start like this."""

    category = Category.USAGE
    code = "serve_refused"


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiLimits:
    """Bounds on what a client may send and for how long."""

    body_bytes: int = 8 << 20
    body_timeout_s: float = 30.0
    json_depth: int = 64
    header_bytes: int = 8190
    headers: int = 64
    messages: int = 4096
    stop_strings: int = 4
    stop_chars: int = 1024
    choices: int = 16
    logit_biases: int = 1024
    tools: int = 128
    grammar_bytes: int = 1 << 18
    inputs: int = 2048
    documents: int = 1024
    pair_chars: int = 16 << 20
    request_timeout_s: float = 600.0
    shutdown_timeout_s: float = 10.0
    keepalive_timeout_s: float = 75.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ServeConfig:
    """Where to listen, for whom, and how the engine runs.

    Raises:
        ServeConfigError: other hosts could reach a server that asks for no key.
    """

    host: str = "127.0.0.1"
    port: int = 8080
    api_keys: tuple[str, ...] = field(default=(), repr=False)
    limits: ApiLimits = field(default_factory=ApiLimits)
    engine: EngineSettings = field(default_factory=EngineSettings)
    fleet: FleetSettings = field(default_factory=FleetSettings)
    prepack: PrepackSettings | None = None

    def __post_init__(self) -> None:
        if not self.api_keys and not is_loopback(self.host):
            raise ServeConfigError(
                f"host {self.host}: other machines could use the models without a key",
                hint="give --api-key-file, or listen on 127.0.0.1",
            )
        if not 0 <= self.port <= 65535:
            raise ServeConfigError(f"port: expected 0 to 65535, got {self.port}")


def is_loopback(host: str) -> bool:
    """Tell whether only this machine reaches the address; an unknown name is taken as reachable."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def read_api_keys(path: Path) -> tuple[str, ...]:
    """Read keys, one a line; empty lines and lines that begin with `#` are skipped.

    Raises:
        ServeConfigError: no key in it, unreadable, or readable by every user of the host.
    """
    try:
        with path.open("rb") as stream:
            mode = os.fstat(stream.fileno()).st_mode
            data = stream.read(_KEY_FILE_BYTES_MAX + 1)
    except OSError as error:
        raise ServeConfigError(f"API key file {path}: {error.strerror}") from error
    if mode & (stat.S_IROTH | stat.S_IWOTH):
        raise ServeConfigError(
            f"API key file {path}: every user of this host can read or change it "
            f"(mode {stat.S_IMODE(mode):04o})",
            hint=f"chmod 600 {path}",
        )
    if len(data) > _KEY_FILE_BYTES_MAX:
        raise ServeConfigError(f"API key file {path}: expected at most {_KEY_FILE_BYTES_MAX} bytes")
    try:
        lines = [line.strip() for line in data.decode("ascii").splitlines()]
    except UnicodeDecodeError as error:
        raise ServeConfigError(f"API key file {path}: expected ASCII text") from error
    keys = tuple(line for line in lines if line and not line.startswith("#"))
    if not keys:
        raise ServeConfigError(f"API key file {path}: no key in it")
    return keys
