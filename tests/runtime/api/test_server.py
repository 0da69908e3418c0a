"""The whole path with the official client: loopback, worker processes, real graphs."""

import base64
import json
import os
import signal
import socket
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import openai
import pytest

from sealift.runtime.api import ApiLimits
from sealift.runtime.engine.settings import EngineSettings

HELLO = [{"role": "user", "content": "hello there"}]
StartServer = Callable[..., Any]


def _ask(client: openai.OpenAI, **fields: Any) -> Any:
    fields = {"model": "chat", "messages": HELLO, "temperature": 0, "max_tokens": 24} | fields
    return client.chat.completions.create(**fields)


@contextmanager
def _refused(
    kind: type[openai.APIStatusError], code: str, param: str | None = None
) -> Iterator[None]:
    with pytest.raises(kind) as caught:
        yield
    assert (caught.value.code, caught.value.param) == (code, param)


def _wait(condition: Callable[[], bool], seconds: float = 10) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def _raw(
    server: Any, path: str, body: Any = None, **headers: str
) -> tuple[int, dict[str, str], Any]:
    data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
    headers = {"Content-Type": "application/json"} | {
        name.replace("_", "-"): value for name, value in headers.items()
    }
    request = urllib.request.Request(server.url + path, data, headers)
    try:
        with urllib.request.urlopen(request, timeout=60) as response:
            return response.status, dict(response.headers), json.loads(response.read())
    except urllib.error.HTTPError as error:
        with error:
            return error.code, dict(error.headers), json.loads(error.read())


def test_chat_through_the_official_client(start_server: StartServer) -> None:
    server = start_server()
    client = server.client()
    digest = server.sources["chat"].digest
    whole = client.chat.completions.with_raw_response.create(
        model="chat", messages=HELLO, temperature=0, max_tokens=24
    )
    assert whole.headers["Sealift-Model-Digest"] == digest
    answer = whole.parse()
    assert answer.system_fingerprint == digest
    assert answer.choices[0].finish_reason == "length"
    assert answer.usage.completion_tokens == 24
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + 24
    text = answer.choices[0].message.content
    assert text

    streamed = client.chat.completions.with_raw_response.create(
        model="chat:1.0.0", messages=HELLO, temperature=0, max_completion_tokens=24, stream=True,
        stream_options={"include_usage": True},
    )  # fmt: skip
    assert streamed.headers["Sealift-Model-Digest"] == digest
    chunks = list(streamed.parse())
    assert {chunk.system_fingerprint for chunk in chunks} == {digest}
    assert "".join(c.choices[0].delta.content or "" for c in chunks if c.choices) == text
    assert [c.choices[0].finish_reason for c in chunks if c.choices][-1] == "length"
    assert chunks[0].choices[0].delta.role == "assistant"
    assert chunks[-1].usage.prompt_tokens == answer.usage.prompt_tokens
    assert chunks[-1].usage.completion_tokens == answer.usage.completion_tokens
    assert chunks[-1].usage.prompt_tokens_details.cached_tokens <= answer.usage.prompt_tokens
    assert all(chunk.usage is None for chunk in chunks[:-1])

    stop = text[len(text) // 2 :][:2]
    stopped = _ask(client, stop=stop)
    assert stopped.choices[0].message.content == text[: text.index(stop)]
    assert stopped.choices[0].finish_reason == "stop"

    again = {"temperature": 1.1, "seed": 5}
    first, second = (_ask(client, **again).choices[0].message.content for _ in range(2))
    assert first == second
    assert _ask(client, temperature=1.1, seed=6).choices[0].message.content != first

    kinds = [kind for kind, _ in server.sink.events]
    assert kinds[0] == "model.load"
    _wait(lambda: len(server.sink.events) == 7)
    event = server.sink.events[1][1]
    assert event | {"duration_ms": 0} == {
        "model": "chat:1.0.0",
        "digest": digest,
        "endpoint": "/v1/chat/completions",
        "outcome": "ok",
        "prompt_tokens": answer.usage.prompt_tokens,
        "completion_tokens": 24,
        "finish_reason": "length",
        "duration_ms": 0,
    }
    assert "hello" not in str(server.sink.events)


def test_eight_clients_get_the_answers_of_one_at_a_time(start_server: StartServer) -> None:
    server = start_server(engine=EngineSettings(slots=8, prefill_chunk=16, threads=2))
    client = server.client()

    def ask(index: int) -> str:
        messages = [{"role": "user", "content": "word " * (1 + 11 * index) + str(index)}]
        answer = _ask(client, messages=messages, max_tokens=20 + 5 * index)
        return str(answer.choices[0].message.content)

    alone = [ask(index) for index in range(8)]
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(ask, range(8))) == alone


def test_embeddings_through_the_official_client(start_server: StartServer) -> None:
    client = start_server().client()
    texts = ["a", "the second text", "a third text that is longer"]
    default = client.embeddings.create(model="embed", input=texts)  # asks for base64
    floats = client.embeddings.create(model="embed", input=texts, encoding_format="float")
    assert [item.index for item in floats.data] == [0, 1, 2]
    for left, right in zip(default.data, floats.data, strict=True):
        assert left.embedding == pytest.approx(right.embedding)
        assert np.linalg.norm(left.embedding) == pytest.approx(1, abs=1e-5)
    assert floats.usage.prompt_tokens == floats.usage.total_tokens > 10
    ids = client.embeddings.create(model="embed", input=[[65, 66], [67]], dimensions=16)
    assert len(ids.data) == 2
    with _refused(openai.BadRequestError, "invalid_value", "dimensions"):
        client.embeddings.create(model="embed", input="a", dimensions=17)
    with _refused(openai.BadRequestError, "context_length_exceeded", "input"):
        client.embeddings.create(model="embed", input="word " * 200)
    with _refused(openai.BadRequestError, "model_task_mismatch", "model"):
        client.embeddings.create(model="chat", input="a")
    with _refused(openai.BadRequestError, "model_task_mismatch", "model"):
        _ask(client, model="embed")


def test_base64_is_little_endian_float32(start_server: StartServer) -> None:
    server = start_server()
    body = {"model": "embed", "input": "a", "encoding_format": "base64"}
    status, headers, answer = _raw(server, "/v1/embeddings", body)
    assert status == 200
    assert headers["Sealift-Model-Digest"] == server.sources["embed"].digest
    vector = np.frombuffer(base64.b64decode(answer["data"][0]["embedding"]), "<f4")
    assert vector.shape == (16,)


def test_models_and_health(start_server: StartServer) -> None:
    server = start_server()
    client = server.client()
    assert {model.id for model in client.models.list()} == {
        "chat", "chat:1.0.0", "embed", "embed:1.0.0",
    }  # fmt: skip
    card = client.models.retrieve("chat:1.0.0")
    assert card.digest == server.sources["chat"].digest
    assert card.task == "chat"
    assert _raw(server, "/health")[2] == {"status": "ok"}
    for wrong in ("nope", "chat:2.0.0"):
        with _refused(openai.NotFoundError, "model_not_found", "model"):
            client.models.retrieve(wrong)
        with _refused(openai.NotFoundError, "model_not_found", "model"):
            _ask(client, model=wrong)


def test_errors_are_openais_object(start_server: StartServer) -> None:
    server = start_server(limits=ApiLimits(body_bytes=2000))
    chat = "/v1/chat/completions"
    hello = {"model": "chat", "messages": HELLO}
    cases = [
        (_raw(server, "/v1/nothing"), 404, "unknown_url", None),
        (_raw(server, chat), 405, "method_not_allowed", None),
        (_raw(server, chat, b"{"), 400, "invalid_json", None),
        (_raw(server, chat, b'{"model":"\\ud800"}'), 400, "invalid_json", None),
        (_raw(server, chat, hello | {"store": True}), 400, "unsupported_parameter", "store"),
        (_raw(server, chat, hello, Content_Type="text/plain"), 415, "unsupported_media_type", None),
        (_raw(server, chat, hello | {"user": "u" * 3000}), 413, "request_too_large", None),
        (_raw(server, chat, hello, Host="evil.example"), 403, "origin_not_allowed", None),
        (_raw(server, chat, hello, Origin="http://evil.example"), 403, "origin_not_allowed", None),
        (
            _raw(server, chat, hello | {"max_tokens": 600}),
            400, "context_length_exceeded", "messages",
        ),
    ]  # fmt: skip
    for (status, _, body), expected, code, param in cases:
        assert (status, body["error"]["code"], body["error"]["param"]) == (expected, code, param)
        assert set(body["error"]) == {"message", "type", "param", "code"}


def test_api_keys(start_server: StartServer) -> None:
    server = start_server(api_keys=("right-key",))
    with _refused(openai.AuthenticationError, "invalid_api_key"):
        _ask(server.client("wrong-key"))
    assert _raw(server, "/v1/models")[0] == 401
    assert _raw(server, "/health")[0] == 200
    assert _ask(server.client("right-key")).choices[0].message.content
    # With keys any name may lead here: only who has the key is served.
    authorized = {"Host": "models.example", "Authorization": "Bearer right-key"}
    assert _raw(server, "/v1/models", **authorized)[0] == 200


def test_a_tampered_model_is_refused_while_another_serves(start_server: StartServer) -> None:
    server = start_server()
    client = server.client()
    weights = Path(server.sources["chat"].directory, "cpu-fp32", "model.onnx.data")
    data = bytearray(weights.read_bytes())
    data[1000] ^= 1
    weights.write_bytes(data)
    with pytest.raises(openai.InternalServerError, match=r"cpu-fp32/model\.onnx\.data") as caught:
        _ask(client)
    assert caught.value.status_code == 503
    assert caught.value.code == "model_integrity"
    assert client.embeddings.create(model="embed", input="a").data
    refusals = [fields for kind, fields in server.sink.events if kind == "model.load_refused"]
    assert refusals[0]["code"] == "model_integrity"
    assert "model.onnx.data" in refusals[0]["reason"]


def test_a_crashed_worker_fails_its_request_and_the_next_one_works(
    start_server: StartServer,
) -> None:
    server = start_server()
    client = server.client()
    plain = _ask(client).choices[0].message.content
    client.embeddings.create(model="embed", input="a")
    pid = server.worker_pid("chat")
    stream = _ask(client, max_tokens=400, stream=True)
    next(iter(stream))
    os.kill(pid, signal.SIGKILL)
    with pytest.raises(openai.APIError, match="SIGKILL"):
        list(stream)
    assert _ask(client).choices[0].message.content == plain
    assert server.worker_pid("chat") != pid
    _wait(lambda: any(f.get("outcome") == "worker_crashed" for _, f in server.sink.events))


def test_a_crash_before_the_first_token_is_503(start_server: StartServer) -> None:
    server = start_server()
    client = server.client()
    _ask(client)
    pid = server.worker_pid("chat")
    os.kill(pid, signal.SIGSTOP)
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(_ask, client)
        _wait(lambda: server.open_requests("chat") == 1)
        os.kill(pid, signal.SIGKILL)
        with pytest.raises(openai.InternalServerError, match="signal SIGKILL") as caught:
            answer.result(30)
    assert (caught.value.status_code, caught.value.code) == (503, "worker_crashed")


@pytest.mark.parametrize("is_stream", [True, False])
def test_a_dropped_client_frees_its_slot(start_server: StartServer, is_stream: bool) -> None:
    engine = EngineSettings(slots=1, queue_limit=4, threads=2)
    server = start_server(engine=engine)
    client = server.client()
    _ask(client)
    body = {"model": "chat", "messages": HELLO, "max_tokens": 480, "stream": is_stream}
    data = json.dumps(body).encode()
    with socket.create_connection(("127.0.0.1", server.port)) as dropped:
        dropped.sendall(
            b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\n"
            b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(data) + data
        )
        _wait(lambda: server.open_requests("chat") == 1)
    _wait(lambda: server.open_requests("chat") == 0, 2)
    _wait(lambda: server.sink.events[-1][1].get("outcome") == "cancelled", 2)
    assert server.sink.events[-1][1]["completion_tokens"] < 480
    assert _ask(client).choices[0].message.content


def test_a_full_queue_is_429(start_server: StartServer) -> None:
    server = start_server(engine=EngineSettings(slots=1, queue_limit=1, threads=2))
    client = server.client()
    _ask(client)
    pid = server.worker_pid("chat")
    os.kill(pid, signal.SIGSTOP)
    answers: list[Any] = []

    def ask() -> None:
        try:
            answers.append(_ask(client, max_tokens=100))
        except openai.RateLimitError as error:
            answers.append(error)

    threads = [threading.Thread(target=ask) for _ in range(6)]
    for thread in threads:
        thread.start()
    _wait(lambda: server.open_requests("chat") == 6)
    os.kill(pid, signal.SIGCONT)
    for thread in threads:
        thread.join(30)
    refused = [answer for answer in answers if isinstance(answer, openai.RateLimitError)]
    assert len(answers) == 6
    assert refused
    assert refused[0].code == "queue_full"
    assert int(refused[0].response.headers["Retry-After"]) >= 1


def test_a_late_answer_ends_at_the_deadline(start_server: StartServer) -> None:
    server = start_server(limits=ApiLimits(request_timeout_s=2.0))
    client = server.client()
    _ask(client)
    pid = server.worker_pid("chat")
    os.kill(pid, signal.SIGSTOP)
    with pytest.raises(openai.InternalServerError, match="longer than 2 s") as caught:
        _ask(client)
    assert (caught.value.status_code, caught.value.code) == (504, "deadline_exceeded")
    os.kill(pid, signal.SIGCONT)
    assert _ask(client).choices[0].message.content


def test_no_answer_without_evidence(start_server: StartServer) -> None:
    server = start_server()
    client = server.client()
    _ask(client)
    _wait(lambda: server.sink.events[-1][0] == "request")
    server.sink.error = OSError(28, "No space left on device")
    _ask(client)  # its own entry is the first that cannot be written
    _wait(lambda: _raw(server, "/health")[0] == 503)
    with pytest.raises(openai.InternalServerError, match="No space left"):
        _ask(client)
    status, _, body = _raw(server, "/health")
    assert (status, body["error"]["code"]) == (503, "audit_unavailable")
    server.sink.error = None
    assert _ask(client).choices[0].message.content
    assert _raw(server, "/health")[0] == 200


def test_workers_end_with_the_server(start_server: StartServer) -> None:
    server = start_server()
    _ask(server.client())
    pid = server.worker_pid("chat")
    assert Path(f"/proc/{pid}").exists()
    server.stop()
    assert not Path(f"/proc/{pid}").exists()
