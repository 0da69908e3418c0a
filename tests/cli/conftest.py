"""A `sealift` in a process of its own, as a user or a script runs it."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


@pytest.fixture
def sealift(home: Path) -> Run:
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(home.parent),
        "SEALIFT_HOME": str(home),
        "LANG": "C.UTF-8",
    }

    def run(
        *arguments: str | Path, stdin: str | None = None, **extra: str
    ) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [sys.executable, "-c", "from sealift.cli.main import main; main()",
             *map(str, arguments)],
            env=environment | extra,
            input=stdin if stdin is not None else "",
            capture_output=True,
            text=True,
            timeout=120,
        )  # fmt: skip

    return run
