"""Collect a chat's answers and build the body of a response that is not streamed. Pure.

>>> answer = ChatAnswer(head, tally, choices=1, tells_logprobs=False)       # doctest: +SKIP
>>> answer.add(delta)                                                       # doctest: +SKIP
>>> answer.body()                                                           # doctest: +SKIP
b'{"id":"chatcmpl-1","object":"chat.completion",...
"""

from dataclasses import dataclass, field

import msgspec

from sealift.manifests.strict_json import JsonValue
from sealift.runtime.api.chat_head import ChatHead
from sealift.runtime.api.tally import Tally
from sealift.runtime.api.token_logprobs import logprobs
from sealift.runtime.engine.request import Delta, TokenLogprob

__all__ = ["ChatAnswer"]


@dataclass(slots=True)
class _Call:
    id: str = ""
    name: str = ""
    arguments: list[str] = field(default_factory=list)


@dataclass(slots=True)
class _Choice:
    text: list[str] = field(default_factory=list)
    calls: dict[int, _Call] = field(default_factory=dict)
    logprobs: list[TokenLogprob] = field(default_factory=list)


class ChatAnswer:
    """The answers of one request, as far as they have come.

    Args:
        tally: counts what is added.
        tells_logprobs: the client asked for them.
    """

    def __init__(self, head: ChatHead, tally: Tally, *, choices: int, tells_logprobs: bool) -> None:
        self._head = head
        self._tally = tally
        self._tells_logprobs = tells_logprobs
        self._choices = [_Choice() for _ in range(choices)]

    def add(self, delta: Delta) -> None:
        """Take more of an answer.

        Raises:
            EngineError: nobody asked for such an answer.
        """
        self._tally.add(delta)
        choice = self._choices[delta.choice]
        choice.text.append(delta.text)
        choice.logprobs += delta.logprobs
        for piece in delta.calls:
            call = choice.calls.setdefault(piece.index, _Call())
            call.id = piece.id or call.id
            call.name = piece.name or call.name
            call.arguments.append(piece.arguments)

    def body(self) -> bytes:
        """Return the body.

        Raises:
            EngineError: an answer is not complete.
        """
        reasons = self._tally.finish_reasons
        choices = zip(self._choices, reasons, strict=True)
        return msgspec.json.encode(
            {
                **self._head.fields("chat.completion"),
                "choices": [
                    self._choice(index, choice, reason)
                    for index, (choice, reason) in enumerate(choices)
                ],
                "usage": self._tally.usage(),
            }
        )

    def _choice(self, index: int, choice: _Choice, reason: str) -> JsonValue:
        return {
            "index": index,
            "message": _message(choice),
            "logprobs": logprobs(choice.logprobs) if self._tells_logprobs else None,
            "finish_reason": reason,
        }


def _message(choice: _Choice) -> JsonValue:
    text = "".join(choice.text)
    message: dict[str, JsonValue] = {"role": "assistant", "content": text, "refusal": None}
    if choice.calls:
        message["content"] = text or None
        message["tool_calls"] = [
            {
                "id": call.id,
                "type": "function",
                "function": {"name": call.name, "arguments": "".join(call.arguments)},
            }
            for _, call in sorted(choice.calls.items())
        ]
    return message
