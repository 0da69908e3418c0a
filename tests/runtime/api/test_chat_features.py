"""What a chat may ask for beside text, through the official client and real worker processes."""

import json
import re
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Literal

import openai
import pydantic
import pytest

from sealift.runtime.engine.settings import EngineSettings

HELLO = [{"role": "user", "content": "hello there"}]
StartServer = Callable[..., Any]


def ask(client: openai.OpenAI, **fields: Any) -> Any:
    fields = {"model": "chat", "messages": HELLO, "temperature": 0, "max_tokens": 16} | fields
    return client.chat.completions.create(**fields)


@contextmanager
def refused(code: str, param: str) -> Iterator[None]:
    with pytest.raises(openai.BadRequestError) as caught:
        yield
    assert (caught.value.code, caught.value.param) == (code, param)


def streamed(chunks: Any) -> dict[int, dict[str, Any]]:
    """Put a stream's answers together, and hold each to its order: role, text, reason."""
    answers: dict[int, dict[str, Any]] = {}
    for chunk in chunks:
        for choice in chunk.choices:
            answer = answers.setdefault(
                choice.index, {"text": "", "tokens": [], "reason": None, "roles": 0}
            )
            assert answer["reason"] is None
            answer["roles"] += choice.delta.role is not None
            assert answer["roles"] == 1
            answer["text"] += choice.delta.content or ""
            answer["tokens"] += choice.logprobs.content if choice.logprobs else []
            answer["reason"] = choice.finish_reason
    return answers


def test_several_answers(start_server: StartServer) -> None:
    server = start_server()
    client = server.client()
    fields = {"n": 3, "temperature": 1.2, "seed": 5}
    whole = ask(client, **fields)
    assert [choice.index for choice in whole.choices] == [0, 1, 2]
    texts = [choice.message.content for choice in whole.choices]
    assert len(set(texts)) == 3
    alone = ask(client, temperature=1.2, seed=5)
    assert texts[0] == alone.choices[0].message.content
    assert whole.usage.prompt_tokens == alone.usage.prompt_tokens
    assert whole.usage.completion_tokens == 48
    assert whole.usage.total_tokens == whole.usage.prompt_tokens + 48

    chunks = list(ask(client, **fields, stream=True, stream_options={"include_usage": True}))
    answers = streamed(chunks)
    assert [answers[index]["text"] for index in range(3)] == texts
    assert [answers[index]["reason"] for index in range(3)] == ["length"] * 3
    assert chunks[-1].usage.completion_tokens == 48
    assert chunks[-1].usage.prompt_tokens == whole.usage.prompt_tokens

    same = ask(client, n=2)
    assert same.choices[0].message.content == same.choices[1].message.content
    server.wait_events(5)
    assert server.sink.events[1][1]["completion_tokens"] == 48
    assert server.sink.events[1][1]["finish_reason"] == "length"


def test_more_answers_than_slots(start_server: StartServer) -> None:
    client = start_server(engine=EngineSettings(slots=2, queue_limit=16, threads=2)).client()
    many = ask(client, n=7, temperature=1.2, seed=5)
    few = ask(client, n=2, temperature=1.2, seed=5)
    assert len(many.choices) == 7
    assert [c.message.content for c in many.choices[:2]] == [c.message.content for c in few.choices]


def test_logprobs(start_server: StartServer) -> None:
    client = start_server().client()
    whole = ask(client, logprobs=True, top_logprobs=3, max_tokens=24)
    (choice,) = whole.choices
    entries = choice.logprobs.content
    assert len(entries) == whole.usage.completion_tokens == 24
    told = b"".join(bytes(entry.bytes) for entry in entries)
    assert told.decode("utf-8", "replace") == choice.message.content
    for entry in entries:
        assert entry.logprob <= 0
        assert len(entry.top_logprobs) == 3
        # The greedy choice is the likeliest one.
        assert entry.top_logprobs[0].bytes == entry.bytes
        assert entry.top_logprobs[0].logprob == entry.logprob
        ranked = [top.logprob for top in entry.top_logprobs]
        assert ranked == sorted(ranked, reverse=True)

    answer = streamed(ask(client, logprobs=True, top_logprobs=3, max_tokens=24, stream=True))[0]
    assert answer["text"] == choice.message.content
    for entry, again in zip(entries, answer["tokens"], strict=True):
        # The same prompt a second time comes from the cache: other kernels, other last digits.
        assert (entry.token, entry.bytes) == (again.token, again.bytes)
        assert entry.logprob == pytest.approx(again.logprob, abs=1e-3)

    only = ask(client, logprobs=True)
    assert [entry.top_logprobs for entry in only.choices[0].logprobs.content] == [[]] * 16
    assert ask(client).choices[0].logprobs is None
    with refused("invalid_value", "top_logprobs"):
        ask(client, top_logprobs=3)


def test_sampling_fields_change_what_is_chosen(start_server: StartServer) -> None:
    client = start_server().client()
    plain = ask(client, logprobs=True)
    first = plain.choices[0].logprobs.content[0]

    def text(**fields: Any) -> str:
        return str(ask(client, **fields).choices[0].message.content)

    content = plain.choices[0].message.content
    assert text(temperature=2, extra_body={"top_k": 1}) == content
    assert text(temperature=2, extra_body={"min_p": 1.0}) == content
    assert text(temperature=2, seed=3) != content
    assert text(extra_body={"repetition_penalty": 1.9}) != content
    assert text(presence_penalty=2, frequency_penalty=2) != content
    forced = ask(client, logit_bias={"300": 100}, logprobs=True, max_tokens=3)
    tokens = [entry.bytes for entry in forced.choices[0].logprobs.content]
    assert tokens[0] == tokens[1] == tokens[2] != first.bytes
    with refused("invalid_prompt", "logit_bias"):
        ask(client, logit_bias={"2048": 1})


class Berth(pydantic.BaseModel):
    harbour: Literal["Hamburg", "Oslo"]
    is_free: bool
    draught: int = pydantic.Field(ge=0, le=99)


def test_answers_in_a_form(start_server: StartServer) -> None:
    client = start_server().client()
    parsed = client.chat.completions.parse(
        model="chat", messages=HELLO, response_format=Berth, temperature=1, max_tokens=200, n=2
    )
    assert all(isinstance(choice.message.parsed, Berth) for choice in parsed.choices)
    assert {choice.finish_reason for choice in parsed.choices} == {"stop"}

    with client.chat.completions.stream(
        model="chat", messages=HELLO, response_format=Berth, temperature=1, max_tokens=200
    ) as stream:
        kinds = {event.type for event in stream}
        final = stream.get_final_completion()
    assert {"chunk", "content.delta", "content.done"} <= kinds
    assert isinstance(final.choices[0].message.parsed, Berth)

    # The body that LangChain's `with_structured_output` sends.
    schema = {
        "name": "berth", "strict": True,
        "schema": {
            "type": "object", "properties": {"free": {"type": "boolean"}},
            "required": ["free"], "additionalProperties": False,
        },
    }  # fmt: skip
    answer = ask(
        client,
        response_format={"type": "json_schema", "json_schema": schema},
        parallel_tool_calls=None,
        max_tokens=100,
    )
    assert set(json.loads(answer.choices[0].message.content)) == {"free"}


@pytest.mark.parametrize("newer", [False, True])
def test_the_forms_that_vllm_names(start_server: StartServer, newer: bool) -> None:
    client = start_server().client()

    def text(name: str, value: Any) -> str:
        older = {"json": "guided_json", "regex": "guided_regex", "choice": "guided_choice",
                 "grammar": "guided_grammar"}  # fmt: skip
        extra = {"structured_outputs": {name: value}} if newer else {older[name]: value}
        answer = ask(client, extra_body=extra, temperature=1.5, max_tokens=60)
        assert answer.choices[0].finish_reason == "stop"
        return str(answer.choices[0].message.content)

    assert text("choice", ["Hamburg", "Oslo"]) in {"Hamburg", "Oslo"}
    assert re.fullmatch(r"[A-Z]{3}-[0-9]{2}", text("regex", r"[A-Z]{3}-[0-9]{2}"))
    assert text("grammar", 'start: "yes" | "no"') in {"yes", "no"}
    assert json.loads(text("json", {"type": "boolean"})) in {True, False}


def test_a_form_that_cannot_be_compiled_names_its_field(start_server: StartServer) -> None:
    client = start_server().client()
    for extra, param in (
        ({"guided_regex": "("}, "guided_regex"),
        ({"structured_outputs": {"grammar": "start: MISSING"}}, "structured_outputs.grammar"),
        ({"guided_json": {"type": "no such type"}}, "guided_json"),
    ):
        for is_stream in (False, True):
            with refused("invalid_grammar", param):
                ask(client, extra_body=extra, stream=is_stream)
    named = {"name": "n", "schema": {"type": "no such type"}}
    with refused("invalid_grammar", "response_format"):
        ask(client, response_format={"type": "json_schema", "json_schema": named})
    assert ask(client).choices[0].message.content


def test_a_dropped_client_frees_the_slots_of_all_its_answers(start_server: StartServer) -> None:
    server = start_server(engine=EngineSettings(slots=2, queue_limit=8, threads=2))
    client = server.client()
    ask(client)
    body = {"model": "chat", "messages": HELLO, "max_tokens": 480, "stream": True, "n": 5}
    data = json.dumps(body).encode()
    with socket.create_connection(("127.0.0.1", server.port)) as dropped:
        dropped.sendall(
            b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\n"
            b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(data) + data
        )
        assert dropped.recv(100).startswith(b"HTTP/1.1 200")
    server.wait_until(lambda: server.open_requests("chat") == 0)
    server.wait_events(3)
    assert server.sink.events[-1][1]["outcome"] == "cancelled"
    assert ask(client, n=2).usage.completion_tokens == 32
