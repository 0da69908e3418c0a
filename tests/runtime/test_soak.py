"""A short run of the soak: careless clients, models that take turns; nothing sticks or breaks."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

_SOAK = Path(__file__).resolve().parents[2] / "bench" / "soak.py"


@pytest.mark.slow
def test_careless_clients_break_nothing(tmp_path: Path) -> None:
    # So few requests say nothing about memory: the long run does.
    command = [sys.executable, str(_SOAK), "--cache", str(tmp_path), "--requests", "400"]
    done = subprocess.run([*command, "--growth", "2"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    outcomes = result["outcomes"]
    assert sum(outcomes.values()) == 400
    assert outcomes["200 whole"] > 50
    assert outcomes["200 stream"] > 80
    assert outcomes["dropped"] > 10
    known = {"200 whole", "200 stream", "dropped", "400 context_length_exceeded",
             "400 invalid_value", "429 queue_full"}  # fmt: skip
    assert set(outcomes) <= known
    assert "idle" in result["states"].values(), "the memory holds all models: none had to go"
