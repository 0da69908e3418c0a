"""What is generated and committed is current."""

import subprocess
import sys
from pathlib import Path

REPO = Path(__file__).resolve().parent.parent.parent


def test_cli_page_is_current() -> None:
    done = subprocess.run(
        [sys.executable, "docs/generate_cli.py"],
        cwd=REPO,
        capture_output=True,
        text=True,
        check=True,
    )
    committed = (REPO / "docs" / "cli.md").read_text()
    assert committed == done.stdout, "run `make schema`"
