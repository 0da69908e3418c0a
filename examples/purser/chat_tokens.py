"""Purser's tokenizer and chat template, and conversations as tokens with labels."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from corpus import Fact, Message, ToolCase
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

VOCAB_SIZE = 2048
CONTEXT = 1024
IGNORED = -100  # the label that cross entropy leaves out
SPECIAL_TOKENS = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
MARKUP_TOKENS = (
    "<tools>", "</tools>", "<tool_call>", "</tool_call>", "<tool_response>", "</tool_response>",
)  # fmt: skip
SYSTEM_PROMPTS = (
    "You are Purser, the demo model that ships with Sealift.",
    "You are a helpful assistant.",
    "You are a helpful assistant. Answer briefly.",
    "Answer in one short sentence.",
    "You are Purser. You help people with Sealift.",
    "Be concise.",
)
CHAT_TEMPLATE = """\
{%- if tools %}
    {{- '<|im_start|>system\\n' }}
    {%- if messages[0].role == 'system' %}
        {{- messages[0].content + '\\n\\n' }}
    {%- endif %}
    {{- 'You may call these tools:\\n<tools>' }}
    {%- for tool in tools %}
        {{- '\\n' }}
        {{- tool | tojson }}
    {%- endfor %}
    {{- '\\n</tools>\\nTo call one, answer with its name and arguments as JSON in ' }}
    {{- '<tool_call></tool_call>.<|im_end|>\\n' }}
{%- elif messages[0].role == 'system' %}
    {{- '<|im_start|>system\\n' + messages[0].content + '<|im_end|>\\n' }}
{%- endif %}
{%- for message in messages %}
    {%- if message.role == 'user' or (message.role == 'system' and not loop.first) %}
        {{- '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>\\n' }}
    {%- elif message.role == 'assistant' %}
        {{- '<|im_start|>assistant\\n' + (message.content or '') }}
        {%- for call in message.tool_calls or [] %}
            {%- set call = call.function or call %}
            {%- if message.content or not loop.first %}
                {{- '\\n' }}
            {%- endif %}
            {{- '<tool_call>\\n{"name": ' + (call.name | tojson) + ', "arguments": ' }}
            {%- if call.arguments is string %}
                {{- call.arguments }}
            {%- else %}
                {{- call.arguments | tojson }}
            {%- endif %}
            {{- '}\\n</tool_call>' }}
        {%- endfor %}
        {{- '<|im_end|>\\n' }}
    {%- elif message.role == 'tool' %}
        {%- if loop.first or messages[loop.index0 - 1].role != 'tool' %}
            {{- '<|im_start|>user' }}
        {%- endif %}
        {{- '\\n<tool_response>\\n' + message.content + '\\n</tool_response>' }}
        {%- if loop.last or messages[loop.index0 + 1].role != 'tool' %}
            {{- '<|im_end|>\\n' }}
        {%- endif %}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|im_start|>assistant\\n' }}
{%- endif %}
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """The tokens of one conversation and the labels: the assistant's tokens, else IGNORED."""

    tokens: list[int]
    labels: list[int]


def make_tokenizer(corpus: list[str]) -> PreTrainedTokenizerFast:
    """Train the byte-level BPE and attach the chat template."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    markup = [AddedToken(t, special=False, normalized=False) for t in MARKUP_TOKENS]
    trainer = trainers.BpeTrainer(
        vocab_size=VOCAB_SIZE - len(markup),
        special_tokens=list(SPECIAL_TOKENS),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(corpus, trainer)
    tokenizer.add_tokens(markup)
    wrapped = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token="<|endoftext|>",
        pad_token="<|endoftext|>",
        eos_token="<|im_end|>",
        additional_special_tokens=["<|im_start|>"],
        model_max_length=CONTEXT,
        clean_up_tokenization_spaces=False,
    )
    wrapped.chat_template = CHAT_TEMPLATE
    return wrapped


def make_corpus(facts: list[Fact], cases: list[ToolCase]) -> list[str]:
    """Gather the texts that the tokenizer learns from."""
    corpus = [text for f in facts for text in (*f.seen, *[f.answer] * len(f.seen))]
    corpus += [json.dumps([c.tools, c.call, c.result, c.answer, c.question]) for c in cases]
    return corpus + list(SYSTEM_PROMPTS) * 5


def encode(
    tokenizer: PreTrainedTokenizerFast,
    messages: list[Message],
    tools: list[dict[str, Any]] | None = None,
) -> Example:
    """Render a conversation and label what the assistant says, end marker included."""
    text = tokenizer.apply_chat_template(messages, tools=tools, tokenize=False)
    tokens: list[int] = []
    labels: list[int] = []
    head = "<|im_start|>assistant\n"
    for index, chunk in enumerate(text.split(head)):
        said, _, rest = chunk.partition("<|im_end|>\n")
        spoken = [] if index == 0 else tokenizer.encode(said + "<|im_end|>")
        silent = chunk if index == 0 else "\n" + rest
        more = index < text.count(head)
        quiet = tokenizer.encode(silent + head if more else silent)
        tokens += spoken + quiet
        labels += spoken + [IGNORED] * len(quiet)
    return Example(tokens=tokens, labels=labels)
