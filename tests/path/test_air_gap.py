"""The runtime's whole path in a network namespace that holds nothing but a loopback device."""

import json
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.path.conftest import Workbench

_UNSHARE = ["unshare", "--map-root-user", "--net"]

# Runs inside: bring loopback up, import, serve, chat, audit; print what was seen.
_INSIDE = r"""
import fcntl, json, os, pathlib, socket, struct, subprocess, sys, time, urllib.request
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
    fcntl.ioctl(control, 0x8914, struct.pack("16sH14x", b"lo", 0x1 | 0x40))  # SIOCSIFFLAGS: up
command = [sys.executable, "-c", "from sealift.cli.main import main; main()"]
def sealift(*arguments):
    return subprocess.run([*command, *arguments], capture_output=True, text=True, timeout=100)
steps = {}
steps["trust"] = sealift("keys", "trust", "keys/signer.pub").returncode
steps["import"] = sealift("import", "bundle-purser").returncode
server = subprocess.Popen([*command, "serve", "--port", "8080"], stderr=subprocess.DEVNULL)
body = json.dumps({"model": "purser", "temperature": 0,
                   "messages": [{"role": "user", "content": "What is the capital of France?"}]})
for _ in range(200):
    try:
        urllib.request.urlopen("http://127.0.0.1:8080/health", timeout=1); break
    except OSError:
        time.sleep(0.1)
request = urllib.request.Request("http://127.0.0.1:8080/v1/chat/completions", body.encode(),
                                 {"Content-Type": "application/json"})
answer = json.load(urllib.request.urlopen(request, timeout=60))
server.terminate(); server.wait(30)
audit = sealift("audit", "verify", "--json")
try:
    socket.create_connection(("192.0.2.1", 80), timeout=2)
    reached = True
except OSError:
    reached = False
print(json.dumps({"steps": steps, "answer": answer["choices"][0]["message"]["content"],
                  "audit": json.loads(audit.stdout), "reached": reached}))
"""


def _can_unshare() -> bool:
    if shutil.which("unshare") is None:
        return False
    return subprocess.run([*_UNSHARE, "true"], capture_output=True).returncode == 0


@pytest.mark.skipif(not _can_unshare(), reason="this kernel gives no network namespaces")
def test_import_serve_chat_audit_without_a_network(workbench: "Workbench") -> None:
    done = subprocess.run(
        [*_UNSHARE, sys.executable, "-c", _INSIDE],
        cwd=workbench.root,
        env=workbench.environment | {"SEALIFT_HOME": str(workbench.root / "sealed-home")},
        capture_output=True,
        text=True,
        timeout=200,
    )
    assert done.returncode == 0, done.stderr
    seen = json.loads(done.stdout)
    assert seen["steps"] == {"trust": 0, "import": 0}
    assert "Paris" in seen["answer"]
    assert seen["audit"]["verdict"] == "intact"
    assert seen["reached"] is False
