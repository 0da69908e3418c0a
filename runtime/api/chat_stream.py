"""Build the events of a streamed chat response. Pure.

A server spends most of its time of a stream here, once a token, on cores that the model's threads
want: so all of a chunk that is the same for every token is encoded once, and what waits together
goes out together, one chunk for each answer.

>>> stream = ChatStream(head, tally, choices=1, includes_usage=False)        # doctest: +SKIP
>>> stream.events([delta])                                                  # doctest: +SKIP
b'data: {"id":"chatcmpl-1",..."choices":[{"index":0,"delta":{"content":"hi"},...}\\n\\n'
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import msgspec

from sealift.manifests.strict_json import JsonValue
from sealift.runtime.api import sse
from sealift.runtime.api.chat_head import ChatHead
from sealift.runtime.api.tally import Tally
from sealift.runtime.api.token_logprobs import logprobs
from sealift.runtime.engine.request import Delta, TokenLogprob, ToolCallPiece

__all__ = ["ChatStream"]

_KIND = "chat.completion.chunk"


@dataclass(slots=True)
class _Choice:
    """An answer's part that is not sent yet; `start` is what its chunks begin with."""

    start: bytes
    is_open: bool = False
    text: str = ""
    calls: list[ToolCallPiece] = field(default_factory=list)
    logprobs: list[TokenLogprob] = field(default_factory=list)
    finish_reason: str | None = None


class ChatStream:
    """The answers of one request, one event after the other.

    Args:
        tally: counts what is sent.
        includes_usage: the client asked for a usage chunk at the end of its stream.
    """

    def __init__(self, head: ChatHead, tally: Tally, *, choices: int, includes_usage: bool) -> None:
        self._tally = tally
        self._includes_usage = includes_usage
        self._encode = msgspec.json.Encoder().encode
        # `{...}` without its end, so that more fields may follow.
        self._head = self._encode(head.fields(_KIND))[:-1]
        self._end = b',"usage":null}' if includes_usage else b"}"
        self._text_end = b'},"logprobs":null,"finish_reason":null}]' + self._end
        self._choices = [
            _Choice(start=b'%b,"choices":[{"index":%d,"delta":' % (self._head, index))
            for index in range(choices)
        ]

    def events(self, deltas: Sequence[Delta]) -> bytes:
        """Return the events for what came together; often one, sometimes none.

        Raises:
            EngineError: nobody asked for such an answer.
        """
        touched = {}
        for delta in deltas:
            self._tally.add(delta)
            choice = self._choices[delta.choice]
            choice.text += delta.text
            choice.calls += delta.calls
            choice.logprobs += delta.logprobs
            choice.finish_reason = delta.finish_reason
            touched[delta.choice] = choice
        return b"".join(
            [sse.event(chunk) for item in touched.values() for chunk in self._chunks(item)]
        )

    def ending(self) -> bytes:
        """Return the last events.

        Raises:
            EngineError: an answer is not complete.
        """
        _ = self._tally.finish_reasons
        if not self._includes_usage:
            return sse.DONE
        usage = self._encode(self._tally.usage())
        return sse.event(b'%b,"choices":[],"usage":%b}' % (self._head, usage)) + sse.DONE

    def _chunks(self, choice: _Choice) -> list[bytes]:
        chunks = []
        if not choice.is_open:
            choice.is_open = True
            chunks.append(self._chunk(choice, _opening(choice), None, None))
        if choice.text and not choice.calls and not choice.logprobs:
            text = self._encode(choice.text)
            chunks.append(b'%b{"content":%b%b' % (choice.start, text, self._text_end))
        elif choice.text or choice.calls:
            chunks.append(self._chunk(choice, _delta(choice), self._logprobs(choice), None))
        choice.text = ""
        choice.calls.clear()
        if choice.finish_reason is not None:
            # What has no text of its own, such as the token that ends an answer.
            rest = self._logprobs(choice)
            chunks.append(self._chunk(choice, {}, rest, choice.finish_reason))
        return chunks

    def _logprobs(self, choice: _Choice) -> JsonValue:
        if not choice.logprobs:
            return None
        told = logprobs(choice.logprobs)
        choice.logprobs.clear()
        return told

    def _chunk(
        self,
        choice: _Choice,
        delta: dict[str, JsonValue],
        told: JsonValue,
        finish_reason: str | None,
    ) -> bytes:
        encode = self._encode
        return b'%b%b,"logprobs":%b,"finish_reason":%b}]%b' % (
            choice.start, encode(delta), encode(told), encode(finish_reason), self._end,
        )  # fmt: skip


def _opening(choice: _Choice) -> dict[str, JsonValue]:
    # As in an answer that is not streamed: no content where there are only calls.
    content = None if choice.calls and not choice.text else ""
    return {"role": "assistant", "content": content, "refusal": None}


def _delta(choice: _Choice) -> dict[str, JsonValue]:
    delta: dict[str, JsonValue] = {}
    if choice.text:
        delta["content"] = choice.text
    if choice.calls:
        delta["tool_calls"] = _calls(choice.calls)
    return delta


def _calls(pieces: list[ToolCallPiece]) -> list[JsonValue]:
    """Join what belongs to one call: a chunk has each index once."""
    joined: dict[int, tuple[dict[str, JsonValue], dict[str, JsonValue]]] = {}
    for piece in pieces:
        if piece.index not in joined:
            joined[piece.index] = ({"index": piece.index}, {"arguments": ""})
        call, function = joined[piece.index]
        if piece.id is not None:
            call |= {"id": piece.id, "type": "function"}
        if piece.name is not None:
            function["name"] = piece.name
        function["arguments"] = f"{function['arguments']}{piece.arguments}"
    return [{**call, "function": function} for call, function in joined.values()]
