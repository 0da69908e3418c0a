"""`sealift serve` refuses at the start what it could not keep later."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--preload", "none"], "the model 'none' is not installed"),
        (["--pin", "none:1.0.0"], "the model 'none:1.0.0' is not installed"),
        (["--alias", "gpt=none"], "the model 'none' is not installed"),
        (["--alias", "gpt"], "expected NAME=MODEL"),
        (["--alias", "a:b=none"], "alias 'a:b'"),
        (["--alias", "a=b", "--alias", "a=c"], "expected one meaning"),
        (["--keep-alive", "30"], "expected a time such as 90s, 30m, 2h, 0, forever"),
        (["--request-timeout", "0"], "expected a time such as 90s, 30m, 2h, got"),
        (["--memory", "lots"], "expected a size such as"),
    ],
)
def test_what_cannot_be_kept_is_refused(
    sealift: Run, home: Path, arguments: list[str], message: str
) -> None:
    done = sealift("serve", "--port", "0", *arguments)
    assert done.returncode == 2, done.stderr
    assert message in done.stderr
    assert done.stdout == ""
    if (home / "log").exists():  # a start that failed has its end in the log
        lines = (home / "log" / "entries.jsonl").read_text().splitlines()
        kinds = [json.loads(line)["kind"] for line in lines]
        assert kinds.count("serve.start") == kinds.count("serve.stop")
