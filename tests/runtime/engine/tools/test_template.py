"""Chat templates: hostile ones first, then transformers' conventions."""

import time
from datetime import UTC, datetime

import pytest

from sealift.runtime.engine.errors import LoadError, PromptError
from sealift.runtime.engine.request import ChatMessage, ToolCall
from sealift.runtime.engine.tools.template import ChatTemplate, TemplateBounds

HELLO = (ChatMessage(role="user", content="Grüße <b>"),)
BOUNDS = TemplateBounds(chars=100_000, time_s=0.3)


def render(source: str, messages: tuple[ChatMessage, ...] = HELLO) -> str:
    template = ChatTemplate(
        source,
        special_tokens={"bos_token": "<s>"},
        bounds=BOUNDS,
        now=lambda: datetime(2026, 1, 2, tzinfo=UTC),
    )
    return template.render(messages)


LOOP = "{% for a in r %}{% for b in r %}{% for c in r %}{% endfor %}{% endfor %}{% endfor %}"
GROW = (
    "{% set ns = namespace(x='aaaaaaaa') %}{% for a in range(99) %}{% set ns.x = %s %}{% endfor %}"
)
HOSTILE = {
    "empty loops": ("{% set r = range(99999) %}" + LOOP, "an end within"),
    "endless recursion": ("{% macro f(x) %}{{ f(x) }}{% endmacro %}{{ f(1) }}", "RecursionError"),
    "long output": ("{% for a in range(99999) %}aaaaaaaaaaaaaa{% endfor %}", "at most 100000"),
    "range": ("{% for a in range(10**9) %}{% endfor %}", "not allowed"),
    "power": ("{{ 9**9**9 }}", "not allowed"),
    "repeated text": ("{{ 'a' * 1000000000 }}", "at most 100000"),
    "repeated list": ("{{ [1] * 1000000000 }}", "at most 100000"),
    "doubling by +": (GROW.replace("%s", "ns.x + ns.x"), "at most 100000"),
    "doubling by ~": (GROW.replace("%s", "ns.x ~ ns.x"), "at most 100000"),
    "doubling by join": (GROW.replace("%s", "[ns.x, ns.x] | join"), "at most 100000"),
    "doubling by replace": (GROW.replace("%s", "ns.x.replace('a', ns.x)"), "at most"),
    "doubling by filter": (GROW.replace("%s", "ns.x | replace('a', ns.x)"), "at most"),
    "ljust": ("{{ 'a'.ljust(1000000000) }}", "at most 100000"),
    "center": ("{{ 'a' | center(1000000000) }}", "at most 100000"),
    "indent": ("{{ 'a\nb' | indent(1000000000) }}", "at most 100000"),
    "wide format": ("{{ '%1000000000d' % 3 }}", "width"),
    "wide star format": ("{{ '%*d' % (1000000000, 3) }}", "at most 100000"),
    "wide str.format": ("{{ '{:>1000000000}'.format('a') }}", "width"),
    "wide nested format": ("{{ '{:>{}}'.format('a', 1000000000) }}", "at most 100000"),
    "wide filter format": ("{{ '%1000000000d' | format(3) }}", "width"),
    "class": ("{{ ''.__class__.__mro__ }}", "unsafe"),
    "format class": ("{{ '{0.__class__.__mro__}'.format(1) }}", "unsafe"),
    "globals": ("{{ raise_exception.__globals__.x }}", "unsafe"),
    "append": ("{{ messages.append(1) }}", "unsafe"),
    "include": ("{% include '/etc/passwd' %}", "TypeError"),
    "undefined": ("{{ nope.x }}", "undefined"),
    "division": ("{{ 1 / 0 }}", "ZeroDivisionError"),
    "raise": ("{{ raise_exception('only user messages') }}", "refuses this: only user messages"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_template_is_refused_in_time(name: str) -> None:
    source, message = HOSTILE[name]
    started = time.monotonic()
    with pytest.raises(PromptError, match=message):
        render(source)
    assert time.monotonic() - started < 3


def test_what_is_no_template_does_not_load() -> None:
    with pytest.raises(LoadError, match="chat template"):
        render("{% if %}")
    with pytest.raises(LoadError, match="at most"):
        render("a" * ((1 << 20) + 1))


CALLS = (
    ChatMessage(
        role="assistant",
        content="",
        tool_calls=(ToolCall(id="1", name="f", arguments={"ö": [1]}),),
    ),
    ChatMessage(role="tool", content="4", tool_call_id="1"),
)
CONVENTIONS = {
    "special tokens": ("{{ bos_token }}", HELLO, "<s>"),
    "trim blocks": ("{% if 1 %}\n a\n  {% endif %}\nb", HELLO, " a\nb"),
    "loop controls": ("{% for m in messages %}x{% break %}{% endfor %}", HELLO * 3, "x"),
    "tojson": ("{{ messages[0].content | tojson }}", HELLO, '"Grüße <b>"'),
    "tojson indent": ("{{ [1] | tojson(indent=1) }}", HELLO, "[\n 1\n]"),
    "no escaping": ("{{ messages[0]['content'] }}", HELLO, "Grüße <b>"),
    "strftime_now": ("{{ strftime_now('%d %b %Y') }}", HELLO, "02 Jan 2026"),
    "generation tag": ("{% generation %}x{% endgeneration %}", HELLO, "x"),
    "generation prompt": ("{{ add_generation_prompt }}{{ tools }}", HELLO, "TrueNone"),
    "tool calls": (
        "{% for c in messages[0].tool_calls %}{{ c.function.name }}"
        "{{ c.function.arguments | tojson }}{% endfor %}{{ messages[1].tool_call_id }}",
        CALLS,
        'f{"ö": [1]}1',
    ),
    "defined": ("{{ messages[0].tool_calls is defined }}", HELLO, "False"),
    "slices and methods": ("{{ messages[0].content[:3].upper() }}", HELLO, "GRÜ"),
    "small arithmetic": ("{{ 2 * 3 }}{{ 'ab' * 2 }}{{ [1] + [2] }}", HELLO, "6abab[1, 2]"),
    "small formats": ("{{ '%s-%d' % ('a', 3) }}{{ '{}'.format(4) }}", HELLO, "a-34"),
    "filters": ("{{ ['a', 'b'] | join(', ') }}{{ 'a b' | replace(' ', '-') }}", HELLO, "a, ba-b"),
}


@pytest.mark.parametrize("name", CONVENTIONS)
def test_conventions_of_transformers(name: str) -> None:
    source, messages, text = CONVENTIONS[name]
    assert render(source, messages) == text
