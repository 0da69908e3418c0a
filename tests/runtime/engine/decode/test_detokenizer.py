"""Incremental text: whole characters only, and together the same as decoding at once."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer, decoders, models

from sealift.runtime.engine.decode.detokenizer import Detokenizer


def byte_level() -> Tokenizer:
    """One token a byte, then a few longer ones, decoded as GPT-2 and Qwen do."""
    from tokenizers import pre_tokenizers

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(
        models.BPE(vocab={mark: id for id, mark in enumerate(alphabet)}, merges=[])
    )
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    return tokenizer


def byte_fallback() -> Tokenizer:
    """Bytes as `<0x41>` and words with a leading mark, decoded as Llama 2 and Gemma do."""
    words = ["▁the", "▁", "end", "▁Grüße", "é", "€"]
    vocab = {f"<0x{value:02X}>": value for value in range(256)}
    vocab |= {word: 256 + place for place, word in enumerate(words)}
    tokenizer = Tokenizer(models.BPE(vocab=vocab, merges=[], byte_fallback=True))
    tokenizer.decoder = decoders.Sequence(
        [
            decoders.Replace("▁", " "),
            decoders.ByteFallback(),
            decoders.Fuse(),
            decoders.Strip(" ", 1, 0),
        ]
    )
    return tokenizer


BYTE_LEVEL, BYTE_FALLBACK = byte_level(), byte_fallback()


def stream(tokenizer: Tokenizer, ids: Sequence[int]) -> list[str]:
    detokenizer = Detokenizer(lambda window: tokenizer.decode(list(window)))
    return [*(detokenizer.feed(id) for id in ids), detokenizer.flush()]


def test_a_character_of_four_bytes_comes_whole() -> None:
    ids = BYTE_LEVEL.encode("a😀b").ids
    assert stream(BYTE_LEVEL, ids) == ["a", "", "", "", "😀", "b", ""]


def test_a_character_cut_off_at_the_end_is_marked() -> None:
    ids = BYTE_LEVEL.encode("a😀").ids[:-1]
    assert "".join(stream(BYTE_LEVEL, ids)) == "a\ufffd"


def test_malformed_bytes_do_not_hold_the_text_back_for_ever() -> None:
    lone = BYTE_LEVEL.encode("é").ids[1]
    pieces = stream(BYTE_LEVEL, [lone] * 200)
    assert "".join(pieces) == "\ufffd" * 200
    assert max(map(len, pieces)) < 50


def test_tokens_without_text_do_not_make_each_step_slower() -> None:
    longest = 0

    def decode(window: Sequence[int]) -> str:
        nonlocal longest
        longest = max(longest, len(window))
        return "".join(chr(id) for id in window if id)

    detokenizer = Detokenizer(decode)
    pieces = [detokenizer.feed(id) for id in [65, *[0] * 1000, 66]]
    assert "".join(pieces) == "AB"
    assert longest < 120


@pytest.mark.parametrize(
    ("ids", "pieces"),
    [
        ([0xE2, 0x82, 0xAC], ["", "", "€", ""]),
        ([0xE2, 0x82, 0xAC, 0xF0, 0x9F, 0x98, 0x80], ["", "", "€", "", "", "", "😀", ""]),
        ([256, 257, 258], ["the", " ", "end", ""]),
        ([256, 0xC3, 0xA9, 256], ["the", "", "é", " the", ""]),
    ],
)
def test_byte_fallback(ids: list[int], pieces: list[str]) -> None:
    assert stream(BYTE_FALLBACK, ids) == pieces


@given(st.text(max_size=60))
def test_all_text_comes_through_byte_level(text: str) -> None:
    ids = BYTE_LEVEL.encode(text).ids
    pieces = stream(BYTE_LEVEL, ids)
    assert "".join(pieces) == text
    if "\ufffd" not in text:
        assert not any("\ufffd" in piece for piece in pieces)


@given(st.lists(st.integers(0, 255), max_size=80))
def test_any_bytes_equal_decoding_at_once(values: list[int]) -> None:
    alphabet = dict(enumerate(BYTE_LEVEL.encode(bytes([v]).decode("latin-1")).ids for v in values))
    ids = [item[-1] for item in alphabet.values()]
    assert "".join(stream(BYTE_LEVEL, ids)) == BYTE_LEVEL.decode(ids)


@given(st.text(max_size=30))
def test_all_text_comes_through_byte_fallback(text: str) -> None:
    ids = list(text.encode())
    pieces = stream(BYTE_FALLBACK, ids)
    assert "".join(pieces) == text.removeprefix(" ")
