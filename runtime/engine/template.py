"""The model's own chat template, as the engine asks it: requests in, errors of requests out.

>>> template = ChatTemplate("{% for m in messages %}[{{ m.role }}]{{ m.content }}{% endfor %}",
...                         special_tokens={}, bounds=TemplateBounds(), now=datetime.now)
>>> template.render((ChatMessage(role="user", content="hi"),))
'[user]hi'
"""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from sealift.runtime.engine.errors import LoadError, PromptError
from sealift.runtime.engine.request import ChatMessage
from sealift.runtime.template.chat_template import Template, TemplateBounds
from sealift.runtime.template.errors import RenderError, TemplateError

__all__ = ["ChatTemplate", "TemplateBounds"]


class ChatTemplate:
    """A compiled template with the model's special tokens.

    Args:
        source: the template's text.
        special_tokens: `bos_token` and its like, as text.
        now: the clock behind `strftime_now`.

    Raises:
        LoadError: not a template.
    """

    def __init__(
        self,
        source: str,
        *,
        special_tokens: Mapping[str, str],
        bounds: TemplateBounds,
        now: Callable[[], datetime],
    ) -> None:
        try:
            self._template = Template(source, special_tokens=special_tokens, bounds=bounds, now=now)
        except TemplateError as error:
            raise LoadError(error.message) from error

    def render(self, messages: tuple[ChatMessage, ...]) -> str:
        """Return the prompt, with the opening of the answer at its end.

        Raises:
            PromptError: the template refuses the conversation, fails on it, or exceeds a bound.
        """
        try:
            return self._template.render([_message(message) for message in messages])
        except RenderError as error:
            raise PromptError(error.message) from error


def _message(message: ChatMessage) -> dict[str, Any]:
    fields: dict[str, Any] = {"role": message.role, "content": message.content}
    if message.tool_call_id is not None:
        fields["tool_call_id"] = message.tool_call_id
    if message.tool_calls:
        fields["tool_calls"] = [
            {
                "id": call.id,
                "type": "function",
                "function": {"name": call.name, "arguments": call.arguments},
            }
            for call in message.tool_calls
        ]
    return fields
