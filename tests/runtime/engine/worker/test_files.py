"""A worker sees its own model and nothing else: the real start of one, with a probe for a model."""

import asyncio
import json
import os
import re
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from sealift.manifests.recipe import Task
from sealift.runtime.engine.channel import frame
from sealift.runtime.engine.fleet.client import WorkerClient
from sealift.runtime.engine.prepack_spec import PrepackCacheSpec, entry_name
from sealift.runtime.engine.request import Load
from sealift.runtime.engine.settings import EngineSettings
from sealift.runtime.engine.source import ModelSource, SourceFile
from sealift.runtime.landlock import abi

needs_landlock = pytest.mark.skipif(abi() == 0, reason="this kernel has no Landlock")
DIGEST = f"sha256:{'0' * 64}"

# In place of the module that loads onnxruntime; everything before it is the worker's own.
PROBE = """
import json, os, socket, sys, types
def attempt(action):
    try:
        action()
    except OSError as error:
        return type(error).__name__
    return "done"
def serve(channel, load, messages, *, isolation):
    import numpy, sqlite3, tokenizers, zoneinfo  # native code that is not yet imported
    from sealift.keys import public_key
    zoneinfo.ZoneInfo("UTC")
    found = {f"{mode} {path}": attempt(lambda: open(path, mode))
             for path, mode in json.loads(os.environ["ATTEMPTS"])}
    port = int(os.environ["PORT"])
    found["network"] = attempt(lambda: socket.create_connection(("127.0.0.1", port), timeout=5))
    found["environment"] = attempt(lambda: open(f"/proc/{os.getppid()}/environ").read())
    found["isolation"] = isolation
    print(json.dumps(found))
    return 0
probe = types.ModuleType("sealift.runtime.engine.worker.service")
probe.serve = serve
sys.modules[probe.__name__] = probe
from sealift.runtime.engine.worker.process import main
sys.exit(main())
"""


def _start(load: Load, attempts: list[tuple[str, str]]) -> dict[str, Any]:
    ours, theirs = socket.socketpair()
    with ours, theirs, socket.create_server(("127.0.0.1", 0)) as server:
        ours.sendall(frame(msgspec.msgpack.encode(load)))
        environment = {"ATTEMPTS": json.dumps(attempts), "PORT": str(server.getsockname()[1])}
        done = subprocess.run(
            [sys.executable, "-P", "-c", PROBE, str(theirs.fileno())],
            pass_fds=(theirs.fileno(),),
            env=os.environ | environment,
            capture_output=True,
            text=True,
            timeout=60,
        )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@needs_landlock
def test_a_worker_sees_its_model_and_neither_keys_nor_other_models(tmp_path: Path) -> None:
    home = tmp_path / "home"
    own = home / "models" / "own" / "cpu-int4" / "serving.json"
    entry, other_entry = (
        tmp_path / "cache" / entry_name(digest, "cpu-int4") / "weights"
        for digest in (DIGEST, f"sha256:{'1' * 64}")
    )
    secrets = [
        home / "site" / "key.pem",
        home / "log" / "entries.jsonl",
        home / "models" / "other" / "cpu-int4" / "model.onnx",
        other_entry,
        tmp_path / "temporary",
    ]
    for path in (own, entry, *secrets):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("x")
    source = ModelSource(
        name="own",
        version="1.0.0",
        digest=DIGEST,
        task=Task.CHAT,
        directory=str(own.parent.parent),
        files=(SourceFile(path="cpu-int4/serving.json", size_bytes=1, sha256="0" * 64),),
    )
    cache = PrepackCacheSpec(folder=str(tmp_path / "cache"), key=bytes(32))
    load = Load(source=source, settings=EngineSettings(), cache=cache)
    allowed = {f"r {own}", f"r {entry}", "r /proc/self/status", "r /dev/urandom"}
    forbidden = {f"r {path}" for path in secrets} | {
        "r /etc/passwd", "r /etc/hostname", f"r+ {own}", f"w {own.parent}/new", f"r+ {entry}",
        f"w {tmp_path}/new", "w /tmp/sealift-worker", "w /dev/shm/sealift-worker",
        "r /proc/1/environ",
    }  # fmt: skip
    attempts = [tuple(reversed(item.split(" ", 1))) for item in sorted(allowed | forbidden)]
    found = _start(load, attempts)  # type: ignore[arg-type]
    assert {name for name in allowed | forbidden if found[name] == "done"} == allowed
    assert {found[name] for name in forbidden} == {"PermissionError"}
    assert found["network"] != "done"
    assert found["environment"] != "done"
    assert found["isolation"].endswith("+landlock")
    assert not (own.parent / "new").exists()


def test_a_worker_leaves_no_core_and_dies_before_the_server(
    embed_folder: Path, source_of: Callable[[str, Path], ModelSource]
) -> None:
    async def look() -> tuple[str, int, str]:
        worker = await WorkerClient.start(source_of("embed", embed_folder), EngineSettings())
        try:
            process = Path(f"/proc/{worker.pid}")
            limits = await asyncio.to_thread((process / "limits").read_text)
            score = int(await asyncio.to_thread((process / "oom_score_adj").read_text))
            loaded = worker.loaded
            return limits, score, "" if loaded is None else loaded.isolation
        finally:
            await worker.stop()

    limits, score, isolation = asyncio.run(look())
    assert re.search(r"^Max core file size +0 +0 ", limits, re.MULTILINE)
    assert score > int(Path("/proc/self/oom_score_adj").read_text())
    network, files = isolation.split("+")
    assert network in {"network-namespace", "socket-guard"}
    assert files == ("landlock" if abi() else "no-landlock")
