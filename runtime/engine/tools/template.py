"""The model's own chat template, as the engine asks it: requests in, errors of requests out.

>>> template = ChatTemplate("{% for m in messages %}[{{ m.role }}]{{ m.content }}{% endfor %}",
...                         special_tokens={}, bounds=TemplateBounds(), now=datetime.now)
>>> template.render((ChatMessage(role="user", content="hi"),))
'[user]hi'
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

from sealift.runtime.engine.errors import LoadError, PromptError
from sealift.runtime.engine.request import ChatMessage, ToolSpec
from sealift.runtime.engine.tools.conversation import (
    TemplateForm,
    template_messages,
    template_tools,
)
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
        self._source = source
        self._form = TemplateForm.of(source)
        try:
            self._template = Template(source, special_tokens=special_tokens, bounds=bounds, now=now)
        except TemplateError as error:
            raise LoadError(error.message) from error

    @property
    def source(self) -> str:
        """The template's text."""
        return self._source

    def render(self, messages: Sequence[ChatMessage], tools: Sequence[ToolSpec] = ()) -> str:
        """Return the prompt, with the opening of the answer at its end.

        Args:
            tools: that the answer may call.

        Raises:
            PromptError: the template refuses the conversation, fails on it, exceeds a bound, or
                has no place for tools or their calls.
        """
        turns = template_messages(self._form, messages, tools)
        try:
            return self._template.render(turns, template_tools(self._form, tools))
        except RenderError as error:
            raise PromptError(error.message) from error
