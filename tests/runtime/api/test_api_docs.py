"""`docs/api.md` has every field that a request may have, every bound, and every error's code."""

import re
from pathlib import Path

import pytest

from sealift.runtime.api import chat_request, classify_request, embedding_request, rerank_request
from sealift.runtime.api.answer_form import FormFields
from sealift.runtime.api.config import ApiLimits
from sealift.runtime.api.errors import _Table
from sealift.runtime.api.sampling_fields import SamplingFields
from sealift.runtime.api.tool_fields import ToolFields

TEXT = Path(__file__).parents[3].joinpath("docs", "api.md").read_text()
RECORDS = [
    chat_request._RequestFields, SamplingFields, FormFields, ToolFields, embedding_request._Body,
    rerank_request._Body, classify_request._Body,
]  # fmt: skip
NAMES = {name for record in RECORDS for name in record.__struct_encode_fields__}
LIMITS = ApiLimits()


@pytest.mark.parametrize("name", sorted(NAMES | set(chat_request._UNSUPPORTED)))
def test_every_field_is_there(name: str) -> None:
    if name.startswith("guided_"):
        assert "`guided_…`" in TEXT
    assert f"`{name}`" in TEXT or f"`{name}:" in TEXT


# What reaches a client under another code (`request_code`, `BusyError`).
OWN_CODES = {"invalid_request"}


@pytest.mark.parametrize("code", sorted({str(kind.code) for kind in _Table.by_class} - OWN_CODES))
def test_every_code_is_there(code: str) -> None:
    assert f"`{code}`" in TEXT


@pytest.mark.parametrize(
    "bound",
    [
        f"1 to {LIMITS.choices} answers",
        f"| required | 1 to {LIMITS.messages} |",
        f"up to {LIMITS.logit_biases} of them",
        f"up to {LIMITS.stop_strings}, of 1 to {LIMITS.stop_chars} characters",
        f"Up to {LIMITS.tools} functions",
        f"up to {LIMITS.grammar_bytes >> 10} KiB",
        f"larger than {LIMITS.body_bytes >> 20} MiB",
        f"nested deeper than {LIMITS.json_depth}",
        f"up to {LIMITS.inputs} of either",
        f"up to {LIMITS.documents} texts",
        f"({LIMITS.request_timeout_s:g} s)",
    ],
)
def test_every_bound_is_there(bound: str) -> None:
    assert bound in re.sub(r"\s+", " ", TEXT)
