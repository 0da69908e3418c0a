"""A small tokenizer with markers, and a model that knows nothing: every allowed token as likely."""

import json
from functools import cache

import numpy as np
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers

from sealift.runtime.engine.decode.constraint import Constraint, mask_words
from sealift.runtime.engine.forms.grammar import GrammarCompiler

END, OTHER_END = 1, 2
VOCAB_SIZE = 2048
SPECIAL_MARKERS = (
    "[TOOL_CALLS]",
    "[ARGS]",
    "<|tool_call|>",
    "<|/tool_call|>",
    "<|python_tag|>",
)

_TEXT = (
    '{"name": "get_weather", "arguments": {"city": "Zürich", "days": 3}}',
    '{\n  "name": "Ünal",\n    "tags": ["a", "b"],\n "ok": true, "none": null\n}',
    "The weather today is fine. <tool_call> 😀 2024-05-06T07:08:09Z true false null 0.25e-3",
    'functools[{"name": "f", "parameters": {}}]; {"a": [1, 2, 3]}',
)


@cache
def tokenizer_json(markers: tuple[str, ...] = SPECIAL_MARKERS) -> bytes:
    """A byte-level BPE of a thousand tokens; `markers` come after them.

    Markers like `<tool_call>` are added tokens that stay in the text, as Qwen has them; the others
    are special.
    """
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=1000,
        special_tokens=["<|endoftext|>", "<|im_end|>", "<|eot|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(_TEXT * 20, trainer)
    for name in markers:
        if name.startswith("<") and "|" not in name:
            tokenizer.add_tokens([AddedToken(name, special=False, normalized=False)])
        else:
            tokenizer.add_special_tokens([AddedToken(name, special=True)])
    text: str = tokenizer.to_str()
    return text.encode()


def open_compiler(markers: tuple[str, ...] = SPECIAL_MARKERS) -> GrammarCompiler:
    return GrammarCompiler.open(
        tokenizer_json(markers), vocab_size=VOCAB_SIZE, eos_token_ids=(END, OTHER_END)
    )


def allowed(constraint: Constraint, vocab_size: int = VOCAB_SIZE) -> list[int]:
    mask = np.zeros(mask_words(vocab_size), np.int32)
    constraint.fill(mask)
    return np.unpackbits(mask.view(np.uint8), bitorder="little").nonzero()[0].tolist()


def random_answer(constraint: Constraint, seed: int, tokens: int = 400) -> tuple[list[int], bool]:
    """Answer with random logits; return the tokens and whether the answer ended by itself."""
    rng = np.random.default_rng(seed)
    answer: list[int] = []
    while len(answer) < tokens:
        ids = allowed(constraint)
        assert ids, "a mask that allows nothing"
        logits = rng.normal(size=len(ids))
        token = ids[int(np.argmax(logits))]
        constraint.accept(token)
        if token in (END, OTHER_END):
            return answer, True
        answer.append(token)
    return answer, False


def text_of(tokens: list[int], markers: tuple[str, ...] = SPECIAL_MARKERS) -> str:
    """Decode as the engine does for an answer with tools: markers are kept."""
    tokenizer = Tokenizer.from_str(tokenizer_json(markers).decode())
    text: str = tokenizer.decode(tokens, skip_special_tokens=False)
    return text


def encode(text: str, markers: tuple[str, ...] = SPECIAL_MARKERS) -> list[int]:
    ids: list[int] = (
        Tokenizer.from_str(tokenizer_json(markers).decode())
        .encode(text, add_special_tokens=False)
        .ids
    )
    return ids


def dumps(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)
