"""Fuzz one reader, or each in turn.

    pip install 'sealift[fuzz]'
    python -m tests.fuzz.fuzz onnx -max_total_time=60
    python -m tests.fuzz.fuzz all  -max_total_time=25      # seconds for each

It starts from what is committed in `corpus/`; what it finds on its way goes to `.work/fuzz/`, an
input that breaks a rule to `crashes/`, from where the tests run it for ever. Other options are
libFuzzer's.
"""

import subprocess
import sys
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["sealift"]):
    from tests.fuzz.targets import TARGETS

HERE = Path(__file__).resolve().parent
WORK = HERE.parent.parent / ".work" / "fuzz"


def main() -> int:
    """Run."""
    name, *options = sys.argv[1:] or ["--help"]
    if name == "all":
        codes = [_in_a_process(target, options) for target in TARGETS]
        return max(codes)
    if name not in TARGETS:
        print(f"usage: python -m tests.fuzz.fuzz {{all,{','.join(TARGETS)}}} [-max_total_time=60]")
        return 2
    found, crashes = WORK / name, HERE / "crashes" / name
    for folder in (found, crashes):
        folder.mkdir(parents=True, exist_ok=True)
    arguments = [
        sys.argv[0], f"-artifact_prefix={crashes}/", "-rss_limit_mb=2048", "-timeout=10",
        "-max_len=65536", *options, str(found), str(HERE / "corpus" / name),
    ]  # fmt: skip
    atheris.Setup(arguments, TARGETS[name])
    atheris.Fuzz()
    return 0


def _in_a_process(name: str, options: list[str]) -> int:
    command = [sys.executable, "-m", "tests.fuzz.fuzz", name, *options]
    done = subprocess.run(command, capture_output=True, text=True)
    lines = done.stderr.splitlines()
    summary = next((line for line in reversed(lines) if line.startswith("Done ")), "stopped")
    coverage = next((line.split("cov: ")[1].split()[0] for line in reversed(lines)
                     if "cov: " in line), "?")  # fmt: skip
    print(f"{name:12} exit {done.returncode}  {summary}, {coverage} edges", flush=True)
    if done.returncode:
        print("\n".join(lines[-40:]), flush=True)
    return done.returncode


if __name__ == "__main__":
    sys.exit(main())
