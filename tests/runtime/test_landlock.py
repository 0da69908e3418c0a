"""What Landlock leaves a process, seen from within such a process."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from sealift.runtime.landlock import abi

PROBE = """
import json, os, signal, socket, sys
from sealift.runtime.landlock import Access, Rule, restrict
readable, writable, file, other, port, victim = sys.argv[1:]
version = restrict([Rule(readable, Access.READ), Rule(writable, Access.READ_WRITE),
                    Rule(file, Access.READ), Rule("/no/such/folder", Access.READ),
                    Rule("/usr/lib", Access.READ), Rule("/lib", Access.READ)])
def attempt(action):
    try:
        action()
    except OSError as error:
        return type(error).__name__
    return "done"
def connect():
    socket.create_connection(("127.0.0.1", int(port)), timeout=5)
def listen():
    socket.socket().bind(("127.0.0.1", 0))
attempts = {
    "read": lambda: open(f"{readable}/a").read(),
    "list": lambda: os.listdir(readable),
    "read file": lambda: open(file).read(),
    "write where reading is allowed": lambda: open(f"{readable}/b", "w"),
    "change where reading is allowed": lambda: open(f"{readable}/a", "r+"),
    "write": lambda: open(f"{writable}/b", "w").write("x"),
    "make folder": lambda: os.mkdir(f"{writable}/c"),
    "replace": lambda: os.replace(f"{writable}/b", f"{writable}/d"),
    "remove": lambda: os.remove(f"{writable}/d"),
    "link out": lambda: os.link(f"{readable}/a", f"{writable}/link"),
    "symlink": lambda: os.symlink(other, f"{writable}/way"),
    "read other": lambda: open(other).read(),
    "list other": lambda: os.listdir(os.path.dirname(other)),
    "run": lambda: os.execv("/bin/true", ["true"]),
    "connect": connect,
    "listen": listen,
    "kill": lambda: os.kill(int(victim), 0),
}
print(json.dumps({"version": version} | {name: attempt(do) for name, do in attempts.items()}))
"""


@pytest.fixture
def probed(tmp_path: Path) -> dict[str, object]:
    import os
    import socket

    for name in ("readable", "writable", "other"):
        (tmp_path / name).mkdir()
    for path in ("readable/a", "other/secret", "file"):
        (tmp_path / path).write_text("secret")
    with socket.create_server(("127.0.0.1", 0)) as server:
        arguments = [
            *(str(tmp_path / name) for name in ("readable", "writable", "file", "other/secret")),
            str(server.getsockname()[1]),
            str(os.getpid()),
        ]
        done = subprocess.run(
            [sys.executable, "-c", PROBE, *arguments], capture_output=True, text=True, timeout=30
        )
    assert done.returncode == 0, done.stderr
    found: dict[str, object] = json.loads(done.stdout)
    return found


@pytest.mark.skipif(abi() == 0, reason="this kernel has no Landlock")
def test_only_what_the_rules_leave_is_left(probed: dict[str, object]) -> None:
    version = probed.pop("version")
    assert version == abi()
    allowed = {name for name, outcome in probed.items() if outcome == "done"}
    expected = {"read", "list", "read file", "write", "make folder", "replace", "remove"}
    if abi() < 6:
        expected |= {"kill"}
    if abi() < 4:
        expected |= {"connect", "listen"}
    assert allowed == expected
    # A link to another device or folder may be refused with EXDEV, all else as forbidden.
    refused = {outcome for name, outcome in probed.items() if name not in allowed | {"link out"}}
    assert refused <= {"PermissionError"}
