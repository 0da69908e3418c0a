"""Parse the body of `POST /v1/rerank`, the form that Cohere, Jina and vLLM share. Pure.

>>> body = b'{"model": "reranker", "query": "q", "documents": ["a", {"text": "b"}]}'
>>> parse_rerank(body, ApiLimits()).documents
('a', 'b')
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

import msgspec

from sealift.runtime.api.body import IsDefault, read_body
from sealift.runtime.api.config import ApiLimits
from sealift.runtime.api.errors import BadRequestError

__all__ = ["RerankRequest", "parse_rerank"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RerankRequest:
    """A query, and documents in the order that results name them by.

    Args:
        top_n: results to return; None: one for each document.
    """

    model: str
    query: str
    documents: tuple[str, ...]
    top_n: int | None
    returns_documents: bool


# Each of these would cut a document, or score other things than its text.
_UNSUPPORTED: Mapping[str, IsDefault] = {
    "max_chunks_per_doc": lambda value: value is None,
    "max_tokens_per_doc": lambda value: value is None,
    "rank_fields": lambda value: value in (None, ["text"]),
    "return_embeddings": lambda value: value in (None, False),
    "truncate_prompt_tokens": lambda value: value is None,
    "truncation": lambda value: value in (None, False),
}


class _Document(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    text: str


class _Body(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    model: Annotated[str, msgspec.Meta(min_length=1, max_length=256)]
    query: Annotated[str, msgspec.Meta(min_length=1)]
    documents: Annotated[list[str | _Document], msgspec.Meta(min_length=1)]
    top_n: Annotated[int, msgspec.Meta(ge=1)] | None = None
    return_documents: bool | None = None
    user: Annotated[str, msgspec.Meta(max_length=512)] | None = None


def parse_rerank(data: bytes, limits: ApiLimits) -> RerankRequest:
    """Return the request.

    Raises:
        BadRequestError: names the field.
    """
    body = read_body(data, _Body, unsupported=_UNSUPPORTED, body_bytes=limits.body_bytes)
    if len(body.documents) > limits.documents:
        raise BadRequestError(
            f"documents: expected at most {limits.documents}, got {len(body.documents)}",
            param="documents",
        )
    documents = tuple(item if isinstance(item, str) else item.text for item in body.documents)
    for index, document in enumerate(documents):
        if not document:
            name = f"documents[{index}]"
            raise BadRequestError(f"{name}: expected a text, not empty", param=name)
    # The model reads the query with each document: a long one costs as often as there are any.
    chars = len(body.query) * len(documents) + sum(map(len, documents))
    if chars > limits.pair_chars:
        raise BadRequestError(
            f"query: with each of {len(documents)} documents: expected at most "
            f"{limits.pair_chars} characters, got {chars}",
            param="query",
        )
    return RerankRequest(
        model=body.model,
        query=body.query,
        documents=documents,
        top_n=body.top_n,
        returns_documents=body.return_documents is True,
    )
