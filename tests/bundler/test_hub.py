"""The real hub client against a small hub on loopback that serves a real model's files."""

import hashlib
import http.server
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

PURSER = Path(__file__).resolve().parents[2] / "examples" / "purser" / "model"
REPOSITORY = "ship/purser"
REVISION = "0123456789abcdef0123456789abcdef01234567"
_RESOLVE = """
import json, sys
from pathlib import Path
from sealift.bundler.source import resolve_source
from sealift.manifests.errors import SealiftError
from sealift.manifests.recipe import Source
try:
    tree = resolve_source(Source(hub=sys.argv[1], revision=sys.argv[2]), Path("."))
    print(json.dumps({"origin": tree.origin, "files": {f.path: f.sha256 for f in tree.files}}))
except SealiftError as error:
    print(json.dumps({"error": error.message, "hint": error.hint}))
"""


class _Hub(http.server.BaseHTTPRequestHandler):
    """The answers that a download needs: the commit, its tree, a file's facts, a file."""

    files: dict[str, bytes]
    asked: list[str]
    unknown: list[str]

    def do_HEAD(self) -> None:
        self._answer(is_body_sent=False)

    def do_GET(self) -> None:
        self._answer(is_body_sent=True)

    def log_message(self, format: str, *args: object) -> None:
        pass

    def _answer(self, *, is_body_sent: bool) -> None:
        path = self.path.partition("?")[0]
        prefix = f"/{REPOSITORY}/resolve/{REVISION}/"
        if path == f"/api/models/{REPOSITORY}/revision/{REVISION}":
            siblings = [{"rfilename": name} for name in self.files]
            body = json.dumps({"id": REPOSITORY, "sha": REVISION, "siblings": siblings}).encode()
            self._send(200, body, is_body_sent, {"Content-Type": "application/json"})
        elif path == f"/api/models/{REPOSITORY}/tree/{REVISION}":
            tree = [
                {"type": "file", "path": name, "size": len(data), "oid": _git_blob(data)}
                for name, data in self.files.items()
            ]
            self._send(200, json.dumps(tree).encode(), is_body_sent, {})
        elif path.startswith(prefix) and path.removeprefix(prefix) in self.files:
            name = path.removeprefix(prefix)
            self.asked.append(name)
            body = self.files[name]
            etag = f'"{hashlib.sha256(body).hexdigest()}"'
            self._send(200, body, is_body_sent, {"ETag": etag, "X-Repo-Commit": REVISION})
        else:
            self.unknown.append(path)
            self._send(404, b"", is_body_sent, {"X-Error-Code": "RevisionNotFound"})

    def _send(self, status: int, body: bytes, is_body_sent: bool, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in (headers | {"Content-Length": str(len(body))}).items():
            self.send_header(name, value)
        self.end_headers()
        if is_body_sent:
            self.wfile.write(body)


def _git_blob(data: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


@pytest.fixture
def hub() -> Iterator[tuple[str, type[_Hub]]]:
    """The address of a hub that holds Purser, and beside it what must never be fetched."""
    files = {path.name: path.read_bytes() for path in PURSER.iterdir()}
    files |= dict.fromkeys(
        ("pytorch_model.bin", "modeling.py", "onnx/model.safetensors", "consolidated.safetensors"),
        b"never fetched",
    )
    handler = type("Hub", (_Hub,), {"files": files, "asked": [], "unknown": []})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}", handler
        server.shutdown()
        thread.join()


def _resolve(endpoint: str, home: Path, revision: str = REVISION) -> dict[str, object]:
    # The client reads its settings when it is imported: a process of its own.
    done = subprocess.run(
        [sys.executable, "-c", _RESOLVE, REPOSITORY, revision],
        env={"PATH": os.environ["PATH"], "HF_ENDPOINT": endpoint, "HF_HOME": str(home)},
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    answer: dict[str, object] = json.loads(done.stdout)
    return answer


def test_a_pinned_model_is_fetched_whole_and_nothing_beside_it(
    hub: tuple[str, type[_Hub]], tmp_path: Path
) -> None:
    endpoint, handler = hub
    tree = _resolve(endpoint, tmp_path / "hf")
    expected = {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in PURSER.iterdir()}
    assert tree == {"origin": f"hub:{REPOSITORY}@{REVISION}", "files": expected}
    assert set(handler.asked) == set(expected)
    assert handler.unknown == []  # nothing but the model is asked for


def test_a_fetched_model_is_used_again_without_the_hub(
    hub: tuple[str, type[_Hub]], tmp_path: Path
) -> None:
    endpoint, _ = hub
    first = _resolve(endpoint, tmp_path / "hf")
    assert _resolve("http://127.0.0.1:9", tmp_path / "hf") == first


def test_an_unknown_revision_is_one_line(hub: tuple[str, type[_Hub]], tmp_path: Path) -> None:
    endpoint, handler = hub
    answer = _resolve(endpoint, tmp_path / "hf", revision="f" * 40)
    assert "not found on the hub" in str(answer["error"])
    assert answer["hint"]
    assert handler.asked == []
