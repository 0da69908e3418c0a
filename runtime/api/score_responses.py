"""Build the bodies of rerank and classify answers. Pure."""

from collections.abc import Sequence

import msgspec

from sealift.manifests.strict_json import JsonValue
from sealift.runtime.api.rerank_request import RerankRequest
from sealift.runtime.engine.request import Scores

__all__ = ["classify_body", "rerank_body"]


def rerank_body(id: str, wanted: RerankRequest, scores: Scores) -> bytes:
    """Return the body: the most relevant document first, of equals the first one in the request."""
    relevance = [row[0] for row in scores.rows]
    order = sorted(range(len(relevance)), key=lambda index: (-relevance[index], index))
    results = []
    for index in order[: wanted.top_n]:
        result: dict[str, JsonValue] = {"index": index, "relevance_score": relevance[index]}
        if wanted.returns_documents:
            result["document"] = {"text": wanted.documents[index]}
        results.append(result)
    return msgspec.json.encode(
        {"id": id, "model": wanted.model, "results": results, "usage": _usage(scores)}
    )


def classify_body(
    id: str, model: str, labels: Sequence[str], scores: Scores, *, created_s: int
) -> bytes:
    """Return the body: each text's likeliest label, and the probability of every one.

    Args:
        labels: in the order of a row's scores; a model without names for them has `LABEL_0`, ….
    """
    data = []
    for index, row in enumerate(scores.rows):
        best = max(range(len(row)), key=row.__getitem__)
        label = labels[best] if best < len(labels) else f"LABEL_{best}"
        data.append({"index": index, "label": label, "probs": row, "num_classes": len(row)})
    return msgspec.json.encode(
        {
            "id": id,
            "object": "list",
            "created": created_s,
            "model": model,
            "data": data,
            "usage": _usage(scores),
        }
    )


def _usage(scores: Scores) -> dict[str, JsonValue]:
    return {"prompt_tokens": scores.prompt_tokens, "total_tokens": scores.prompt_tokens}
