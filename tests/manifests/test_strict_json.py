"""JSON with one reading: bad first."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sealift.manifests import strict_json
from sealift.manifests.errors import ManifestError
from sealift.manifests.limits import Limits
from sealift.manifests.record import Record

BAD = {
    "duplicate key": b'{"a":1,"a":2}',
    "duplicate key inside": b'[{"x":{"a":1,"a":1}}]',
    "nan": b'{"a":NaN}',
    "infinity": b"[Infinity]",
    "minus infinity": b"[-Infinity]",
    "spelled infinity": b"[1e999]",
    "depth": b"[" * 100_000,
    "depth of objects": b'{"a":' * 50 + b"1" + b"}" * 50,
    "trailing data": b"{} {}",
    "trailing comma": b"[1,]",
    "nothing": b"",
    "half a surrogate pair": b'{"a":"\\ud800"}',
    "half a surrogate pair as a key": b'{"\\udfff":1}',
    "not utf-8": b'"\xff"',
    "byte order mark": b"\xef\xbb\xbf{}",
    "utf-16": '{"a":1}'.encode("utf-16"),
    "single quotes": b"{'a':1}",
    "comment": b"{} // x",
    "huge number": b"1" * 5000,
}


@pytest.mark.parametrize("data", BAD.values(), ids=BAD.keys())
def test_refused(data: bytes) -> None:
    with pytest.raises(ManifestError):
        strict_json.loads(data)


def test_size_is_bounded() -> None:
    with pytest.raises(ManifestError, match="at most 4 bytes, got 5"):
        strict_json.loads(b"[1,2]", limits=Limits(json_bytes=4))


def test_what_is_quoted_of_a_document_cannot_move_a_cursor() -> None:
    class Form(Record, frozen=True, kw_only=True):
        a: int

    with pytest.raises(ManifestError) as caught:
        strict_json.decode(b'{"a":1,"\\u001b[2J":1}', Form)
    assert caught.value.message.isprintable()
    assert "[2J" in caught.value.message


def test_half_a_surrogate_pair_cannot_be_written() -> None:
    with pytest.raises(ManifestError, match="Unicode"):
        strict_json.canonical({"a": "\ud800"})


def test_brackets_in_strings_are_not_depth() -> None:
    assert strict_json.loads(json.dumps("[" * 1000 + '\\"').encode()) == "[" * 1000 + '\\"'


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(
        st.text(st.characters(exclude_categories=["Cs"])), inner, max_size=4
    ),
    max_leaves=20,
)  # fmt: skip


@given(_JSON)
def test_canonical_form_is_read_back_and_is_its_own_canonical_form(value: object) -> None:
    data = strict_json.canonical(value)
    assert strict_json.loads(data) == value
    assert strict_json.canonical(strict_json.loads(data)) == data


@pytest.mark.parametrize("start", ["", '"', '["a",'])
def test_a_string_without_an_end_is_refused_in_one_pass(start: str) -> None:
    # Scanned from every quote again, this would take hours.
    with pytest.raises(ManifestError):
        strict_json.loads((start + '\\"' * 500_000).encode())
