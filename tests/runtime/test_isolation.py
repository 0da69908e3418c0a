"""A worker has no network, whichever way the host allows."""

import subprocess
import sys

CONNECT = """
import socket, sys
ours, theirs = socket.socketpair()
from sealift.runtime import isolation
if sys.argv[1] == "guard":
    isolation._unshare = lambda flags: False
print(isolation.isolate().value)
ours.send(b"x")
assert theirs.recv(1) == b"x"
for action in (lambda: socket.create_connection(("127.0.0.1", int(sys.argv[2])), timeout=5),
               lambda: socket.getaddrinfo("localhost", 80)[0] and 1 / 0):
    try:
        action()
    except OSError as error:
        print("refused")
    except ZeroDivisionError:
        print("resolved")
"""


def _run(way: str, port: int) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", CONNECT, way, str(port)], capture_output=True, text=True, timeout=30
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def test_no_connection_leaves_a_worker() -> None:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert _run("guard", port) == ["socket-guard", "refused", "refused"]
        way, connection, _ = _run("best", port)
        assert way in {"network-namespace", "socket-guard"}
        assert connection == "refused"
