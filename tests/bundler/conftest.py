"""Shared by the bundler's tests: quiet libraries, and the builder run in this process."""

import contextlib
import io
import json
import warnings
from pathlib import Path

import pytest

from sealift.manifests.telemetry import disable_telemetry

disable_telemetry()


@pytest.fixture(scope="session", autouse=True)
def _quiet() -> None:
    from sealift.bundler.libraries import quieten_libraries

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # deprecations inside torch and its friends
        quieten_libraries()


def build_here(source: Path, out: Path, precision: str, block_size: int) -> int:
    """Run the genai model builder without the five seconds that a child process needs to start."""
    from sealift.bundler.export.builder_process import build

    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        with contextlib.redirect_stderr(io.StringIO()):
            build(str(source), str(out), precision, block_size)
    return 0


def write_recipe_text(**fields: object) -> bytes:
    """A recipe as JSON, which is YAML too."""
    return json.dumps(fields).encode()
