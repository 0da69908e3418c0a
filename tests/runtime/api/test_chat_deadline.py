"""One deadline a request: also for a stream, also for a client that does not read it."""

import json
import os
import signal
import socket
from collections.abc import Callable
from typing import Any

import openai
import psutil
import pytest

from sealift.runtime.api import ApiLimits

HELLO = [{"role": "user", "content": "hello there"}]
StartServer = Callable[..., Any]


def test_a_stream_ends_at_the_deadline_with_an_error(start_server: StartServer) -> None:
    server = start_server(limits=ApiLimits(request_timeout_s=3.0))
    client = server.client()
    fields = {"model": "chat", "messages": HELLO, "temperature": 0}
    client.chat.completions.create(**fields, max_tokens=2)
    pid = server.worker_pid("chat")
    stream = client.chat.completions.create(**fields, max_tokens=450, stream=True)
    next(iter(stream))
    os.kill(pid, signal.SIGSTOP)
    try:
        with pytest.raises(openai.APIError, match="longer than 3 s") as caught:
            list(stream)
    finally:
        os.kill(pid, signal.SIGCONT)
    assert caught.value.code == "deadline_exceeded"
    server.wait_events(3)
    assert server.sink.events[-1][1]["outcome"] == "deadline_exceeded"
    assert server.sink.events[-1][1]["completion_tokens"] < 450
    server.wait_until(lambda: server.open_requests("chat") == 0)
    assert client.chat.completions.create(**fields, max_tokens=2).choices[0].message.content


def test_a_client_that_does_not_read_is_cut_off(start_server: StartServer) -> None:
    """Else it would hold its connection, and all that waits in it, for ever."""
    server = start_server(limits=ApiLimits(request_timeout_s=4.0))
    client = server.client()
    client.chat.completions.create(model="chat", messages=HELLO, max_tokens=2)
    body = {
        "model": "chat", "messages": HELLO, "max_tokens": 480, "stream": True, "n": 4,
        "logprobs": True, "top_logprobs": 20,
    }  # fmt: skip
    data = json.dumps(body).encode()
    # What the kernel may hold of a connection: of a real answer it would hold all.
    server.listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    with socket.socket() as idle:
        idle.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        idle.connect(("127.0.0.1", server.port))
        idle.sendall(
            b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\n"
            b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(data) + data
        )

        def is_connected() -> bool:
            found = psutil.Process().net_connections("tcp")
            return any(item.raddr == idle.getsockname() for item in found)

        server.wait_until(is_connected)
        server.wait_events(3)
        assert server.sink.events[-1][1]["outcome"] == "deadline_exceeded"
        assert server.open_requests("chat") == 0
        server.wait_until(lambda: not is_connected())
