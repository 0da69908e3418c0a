"""Many models on one host, through real workers: room, turns, crashes, hangs, limits."""

import asyncio
import os
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import openai
import pytest

from sealift.runtime.api import ApiLimits
from sealift.runtime.engine.errors import ModelNotFoundError, ModelTooLargeError
from sealift.runtime.engine.fleet.audit_queue import AuditQueue
from sealift.runtime.engine.fleet.backoff import BackoffPolicy
from sealift.runtime.engine.fleet.model_size import read_estimate
from sealift.runtime.engine.fleet.registry import Registry
from sealift.runtime.engine.fleet.settings import FleetSettings, FleetSettingsError
from sealift.runtime.engine.fleet.watchdog import WatchLimits
from sealift.runtime.engine.settings import EngineSettings
from sealift.runtime.engine.source import ModelSource
from tests.runtime.api.conftest import MemoryCatalogue, MemorySink

StartServer = Callable[..., Any]
Sources = Callable[..., list[ModelSource]]
HELLO = [{"role": "user", "content": "hello there"}]
ENGINE = EngineSettings(slots=4, queue_limit=8, threads=1)
QUICK = WatchLimits(ping_every_s=0.1, silence_s=1.0, stall_s=1.5)


@pytest.fixture
def sources(
    chat_folder: Path, embed_folder: Path, source_of: Callable[[str, Path], ModelSource]
) -> Sources:
    """Describe the miniatures under any names: those that begin with `chat` chat."""

    def describe(*names: str) -> list[ModelSource]:
        return [
            source_of(name, chat_folder if name.startswith("chat") else embed_folder)
            for name in names
        ]

    return describe


def _bytes(source: ModelSource) -> int:
    return read_estimate(source, ENGINE, memory_bytes=1 << 30).total_bytes


def _embed(server: Any, model: str) -> Any:
    return server.client().embeddings.create(model=model, input="hello").data


def _stream(server: Any, model: str = "chat", tokens: int = 400) -> Any:
    stream = server.client().chat.completions.create(
        model=model, messages=HELLO, temperature=0, max_tokens=tokens, stream=True
    )
    pieces = iter(stream)
    next(pieces)
    return pieces


def _card(server: Any, model: str) -> Any:
    return server.client().models.retrieve(model)


def _wait(condition: Callable[[], bool], seconds: float = 40) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def _events(server: Any, *kinds: str) -> list[dict[str, Any]]:
    return [fields for kind, fields in list(server.sink.events) if kind in kinds]


@contextmanager
def _refused(code: str, match: str | None = None, status: int = 503) -> Iterator[Any]:
    with pytest.raises(openai.APIStatusError, match=match) as caught:
        yield caught
    assert (caught.value.status_code, caught.value.code) == (status, code)


def test_a_hanging_worker_is_killed_and_started_again(
    server_over: StartServer, sources: Sources
) -> None:
    server = server_over(sources("one", "two"), fleet=FleetSettings(watch=QUICK))
    first = _embed(server, "one")
    _embed(server, "two")
    pid, other = server.worker_pid("one"), server.worker_pid("two")
    os.kill(pid, signal.SIGSTOP)
    with ThreadPoolExecutor(1) as pool:
        hanging = pool.submit(_embed, server, "one")
        while not hanging.done():
            assert _embed(server, "two")  # nobody else notices
        with _refused("worker_crashed", "no sign of life for 1 s"):
            hanging.result()
    assert _embed(server, "one")[0].embedding == pytest.approx(first[0].embedding)
    assert server.worker_pid("one") != pid
    assert server.worker_pid("two") == other
    (kill,) = _events(server, "worker.kill")
    assert kill["model"] == "one:1.0.0"
    assert "SIGKILL" in kill["reason"]
    assert _events(server, "worker.restart") == [
        {"model": "one:1.0.0", "digest": server.sources["one"].digest, "deaths": 1}
    ]
    assert not _events(server, "worker.crash")


def test_a_model_that_stands_still_is_killed(
    server_over: StartServer, source_of: Callable[[str, Path], ModelSource], embed_folder: Path,
    tmp_path: Path,
) -> None:  # fmt: skip
    folder = tmp_path / "endless"
    shutil.copytree(embed_folder, folder)
    _make_endless(folder / "cpu-fp32" / "model.onnx")
    server = server_over([source_of("endless", folder)], fleet=FleetSettings(watch=QUICK))
    with _refused("worker_crashed", r"the model stood still for 1\.5 s"):
        _embed(server, "endless")


def _make_endless(path: Path) -> None:
    """Put a loop of 2**62 turns before the first node."""
    import numpy as np
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    model = onnx.load(path)
    body = helper.make_graph(
        [
            helper.make_node("Identity", ["go_on"], ["go_on_out"]),
            helper.make_node("Add", ["state", "state"], ["state_out"]),
        ],
        "body",
        [
            helper.make_tensor_value_info("turn", TensorProto.INT64, []),
            helper.make_tensor_value_info("go_on", TensorProto.BOOL, []),
            helper.make_tensor_value_info("state", TensorProto.INT64, None),
        ],
        [
            helper.make_tensor_value_info("go_on_out", TensorProto.BOOL, []),
            helper.make_tensor_value_info("state_out", TensorProto.INT64, None),
        ],
    )
    model.graph.initializer.append(numpy_helper.from_array(np.array(2**62), "turns"))
    model.graph.initializer.append(numpy_helper.from_array(np.array(True), "yes"))
    loop = helper.make_node("Loop", ["turns", "yes", "input_ids"], ["never"], body=body)
    for node in model.graph.node:
        for index, name in enumerate(node.input):
            if name == "input_ids":
                node.input[index] = "never"
    model.graph.node.insert(0, loop)
    onnx.save(model, path)


def test_a_load_that_does_not_end_is_killed(server_over: StartServer, sources: Sources) -> None:
    fleet = FleetSettings(watch=WatchLimits(load_s=0.05))
    server = server_over(sources("one"), fleet=fleet)
    with _refused("worker_crashed", r"while loading \(not loaded after 0\.05 s; signal SIGKILL"):
        _embed(server, "one")
    _wait(lambda: len(_events(server, "worker.restart")) >= 1)


def test_a_crash_loop_waits_longer_and_says_how_long(
    server_over: StartServer, sources: Sources
) -> None:
    fleet = FleetSettings(backoff=BackoffPolicy(first_s=1.5))
    server = server_over(sources("one", "two"), fleet=fleet)
    _embed(server, "one")
    os.kill(server.worker_pid("one"), signal.SIGKILL)
    _wait(lambda: len(_events(server, "model.load")) == 2)  # at once, and before anybody asks
    pid = server.worker_pid("one")
    os.kill(pid, signal.SIGKILL)
    _wait(lambda: len(_events(server, "worker.crash")) == 2)
    with _refused("worker_restarting", "died 2 times in a row") as caught:
        _embed(server, "one")
    assert caught.value.response.headers["Retry-After"] == "2"
    assert _card(server, "one").state == "restarting"
    assert _embed(server, "two")
    _wait(lambda: _card(server, "one").state == "ready")
    assert _embed(server, "one")
    assert [event["deaths"] for event in _events(server, "worker.restart")] == [1, 2]


def test_a_worker_that_runs_out_of_memory_dies_alone(
    memory_cgroup: Path, server_over: StartServer, sources: Sources
) -> None:
    server = server_over(sources("chat", "other"))
    _stream(server).close()
    _embed(server, "other")
    (memory_cgroup / "cgroup.procs").write_text(str(server.worker_pid("chat")))
    with _refused("worker_crashed", "signal SIGKILL\\): probably out of memory"):
        server.client().chat.completions.create(
            model="chat",
            messages=[{"role": "user", "content": "word " * 60}],
            logprobs=True,
            max_tokens=120,
        )
    assert _embed(server, "other")
    assert server.client().chat.completions.create(model="chat", messages=HELLO, max_tokens=4)


@pytest.fixture
def memory_cgroup() -> Iterator[Path]:
    """A control group with nearly no memory in it; to be asked for before the server is."""
    for root, limit in (("memory", "memory.limit_in_bytes"), ("", "memory.max")):
        group = Path("/sys/fs/cgroup", root, f"sealift-test-{os.getpid()}")
        try:
            group.mkdir()
        except OSError:
            continue
        try:
            (group / limit).write_text(str(256 << 10))
        except OSError:
            group.rmdir()
            continue
        yield group
        group.rmdir()
        return
    pytest.skip("control groups cannot be made here")


def test_models_that_do_not_fit_together_take_turns(
    server_over: StartServer, sources: Sources
) -> None:
    one, two = sources("one", "two")
    fleet = FleetSettings(memory_bytes=_bytes(one) * 3 // 2, hold_s=0.3)
    server = server_over([one, two], engine=ENGINE, fleet=fleet)

    def ask(index: int) -> str:
        model = ("one", "two")[index % 2]
        for _ in range(3):
            assert _embed(server, model)
        return model

    with ThreadPoolExecutor(4) as pool:
        assert sorted(pool.map(ask, range(4))) == ["one", "one", "two", "two"]
    held: set[str] = set()
    for kind, fields in server.sink.events:
        if kind == "model.load":
            assert not held, f"{fields['model']} was loaded beside {held}"
            held.add(fields["model"])
        if kind == "model.unload":
            held.remove(fields["model"])
            assert (fields["reason"], fields["cut_requests"]) == ("room", 0)


def test_a_running_answer_is_completed_before_its_model_leaves(
    server_over: StartServer, sources: Sources
) -> None:
    chat, other = sources("chat", "other")
    fleet = FleetSettings(memory_bytes=_bytes(chat) * 3 // 2, hold_s=0.0)
    server = server_over([chat, other], engine=ENGINE, fleet=fleet)
    stream = _stream(server, tokens=300)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(_embed, server, "other")
        _wait(lambda: _card(server, "chat").state == "draining")
        assert list(stream)[-1].choices[0].finish_reason == "length"
        assert waiting.result(30)
    assert _card(server, "chat").state == "idle"


def test_an_answer_that_takes_too_long_is_cut_with_a_clear_error(
    server_over: StartServer, sources: Sources
) -> None:
    chat, other = sources("chat", "other")
    fleet = FleetSettings(memory_bytes=_bytes(chat) * 3 // 2, hold_s=0.0, drain_s=0.2)
    server = server_over([chat, other], engine=ENGINE, fleet=fleet)
    stream = _stream(server)
    os.kill(server.worker_pid("chat"), signal.SIGSTOP)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(_embed, server, "other")
        with pytest.raises(openai.APIError, match=r"unloaded \(room\) before the answer"):
            list(stream)
        assert waiting.result(30)
    assert _events(server, "model.unload")[0]["cut_requests"] == 1
    assert not _events(server, "worker.crash", "worker.kill")


def test_a_request_waits_for_room_until_its_deadline(
    server_over: StartServer, sources: Sources
) -> None:
    chat, other = sources("chat", "other")
    fleet = FleetSettings(memory_bytes=_bytes(chat) * 3 // 2, hold_s=1000.0, preloaded=("chat",))
    server = server_over(
        [chat, other], engine=ENGINE, fleet=fleet, limits=ApiLimits(request_timeout_s=5.0)
    )
    _wait(lambda: _card(server, "chat").state == "ready", 60)
    stream = _stream(server)
    os.kill(server.worker_pid("chat"), signal.SIGSTOP)
    with _refused("deadline_exceeded", status=504):
        _embed(server, "other")
    os.kill(server.worker_pid("chat"), signal.SIGCONT)
    stream.close()


def test_a_pinned_model_stays_and_others_are_told_what_is_missing(
    server_over: StartServer, sources: Sources
) -> None:
    one, two = sources("one", "two")
    fleet = FleetSettings(memory_bytes=_bytes(one) * 3 // 2, pinned=("one",), keep_alive_s=0.0)
    server = server_over([one, two], engine=ENGINE, fleet=fleet)
    _wait(lambda: _card(server, "one").state == "ready")  # nobody asked for it
    with _refused("model_too_large", r"two:1\.0\.0 needs .* held: one:1\.0\.0 .* \(pinned\)"):
        _embed(server, "two")
    assert _embed(server, "one")
    card = _card(server, "one")
    assert card.pinned
    assert card.state == "ready"
    assert card.estimated_bytes == _bytes(one)
    assert 10 << 20 < card.resident_bytes < card.estimated_bytes
    assert card.isolation.startswith("network-namespace") or card.isolation
    assert _card(server, "two").state == "idle"
    (refusal,) = _events(server, "model.load_refused")
    assert refusal["code"] == "model_too_large"


def test_an_idle_model_is_unloaded_after_its_time(
    server_over: StartServer, sources: Sources
) -> None:
    server = server_over(sources("one"), fleet=FleetSettings(keep_alive_s=0.5))
    assert _embed(server, "one")
    pid = server.worker_pid("one")
    _wait(lambda: not Path(f"/proc/{pid}").exists())
    _wait(lambda: _card(server, "one").state == "idle")
    assert [event["reason"] for event in _events(server, "model.unload")] == ["idle"]
    assert _embed(server, "one")


def test_a_removed_model_ends_its_answers_first(server_over: StartServer, sources: Sources) -> None:
    listed = sources("chat", "other")
    server = server_over(listed)
    stream = _stream(server, tokens=300)
    pid = server.worker_pid("chat")
    del listed[0]
    _wait(lambda: "chat" not in {model.id for model in server.client().models.list()})
    with _refused("model_not_found", status=404):
        _embed(server, "chat")
    assert list(stream)[-1].choices[0].finish_reason == "length"
    _wait(lambda: not Path(f"/proc/{pid}").exists())
    _wait(lambda: [e["reason"] for e in _events(server, "model.unload")] == ["removed"])


def test_an_alias_is_another_name(server_over: StartServer, sources: Sources) -> None:
    fleet = FleetSettings(
        aliases=(("text-embedding-3-small", "one"), ("exact", "one:1.0.0")), preloaded=("one",)
    )
    server = server_over(sources("one"), fleet=fleet)
    _wait(lambda: _card(server, "exact").state == "ready")
    ids = [model.id for model in server.client().models.list()]
    assert ids == ["one", "one:1.0.0", "text-embedding-3-small", "exact"]
    card = _card(server, "text-embedding-3-small")
    assert (card.id, card.name, card.digest) == (
        "text-embedding-3-small", "one", server.sources["one"].digest,
    )  # fmt: skip
    assert _embed(server, "text-embedding-3-small")
    _wait(lambda: [event["model"] for event in _events(server, "request")] == ["one:1.0.0"])


@pytest.mark.parametrize(
    ("fleet", "error", "message"),
    [
        ({"aliases": (("two", "one"),)}, FleetSettingsError, "alias two: a model of this name"),
        ({"aliases": (("x", "none"),)}, ModelNotFoundError, "'none' is not installed"),
        ({"pinned": ("none",)}, ModelNotFoundError, "'none' is not installed"),
        ({"preloaded": ("one:2.0.0",)}, ModelNotFoundError, r"'one:2\.0\.0' is not installed"),
        ({"pinned": ("one", "two")}, ModelTooLargeError, r"pinned models: .* two:1\.0\.0"),
    ],
)
def test_a_server_that_cannot_keep_its_word_does_not_start(
    fleet: dict[str, Any], error: type[Exception], message: str, sources: Sources
) -> None:
    listed = sources("one", "two")
    settings = FleetSettings(memory_bytes=_bytes(listed[0]) * 3 // 2, **fleet)

    async def start() -> None:
        registry = Registry(MemoryCatalogue(listed), ENGINE, AuditQueue(MemorySink()), settings)
        try:
            await registry.start()
        finally:
            await registry.stop()

    with pytest.raises(error, match=message):
        asyncio.run(start())


@pytest.mark.parametrize("aliases", [(("a:b", "one"),), (("", "one"),), (("a", "b"), ("a", "c"))])
def test_an_alias_must_be_a_name_and_mean_one_thing(aliases: Any) -> None:
    with pytest.raises(FleetSettingsError, match="alias"):
        FleetSettings(aliases=aliases)
