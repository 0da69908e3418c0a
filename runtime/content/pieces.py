"""A SentencePiece model (`tokenizer.model`), which travels along for other tools (pure).

Sealift loads no such file; still it must be what its name says, and bounded: one `ModelProto` of
sentencepiece_model.proto with its pieces, trainer, normalizer and test data.
"""

from typing import Final

from sealift.runtime.content.errors import ContentError
from sealift.runtime.content.limits import CONTENT_LIMITS, ContentLimits
from sealift.runtime.content.wire import LENGTH, WireError, read_fields

__all__ = ["check_pieces"]

_PIECES: Final = 1
_FIELDS: Final = frozenset({_PIECES, 2, 3, 4, 5})


def check_pieces(data: bytes, path: str, limits: ContentLimits = CONTENT_LIMITS) -> int:
    """Check the outline of a model; return the number of its pieces.

    Raises:
        ContentError: not such a model, or too many pieces.
    """
    count = 0
    try:
        for number, wire, _, _ in read_fields(data, 0, len(data)):
            if number not in _FIELDS or wire != LENGTH:
                raise ContentError(path, f"a SentencePiece model has no field {number}")
            count += number == _PIECES
            if count > limits.vocabulary:
                raise ContentError(path, f"expected at most {limits.vocabulary} pieces")
    except WireError as error:
        raise ContentError(path, f"not a SentencePiece model: {error}") from error
    if not count:
        raise ContentError(path, "expected a SentencePiece model, got no pieces")
    return count
