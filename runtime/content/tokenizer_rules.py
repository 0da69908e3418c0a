"""Load a tokenizer with the library that will serve it, and encode awkward text.

That library is native code and so are its regular expressions: this runs in the limited process
alone, where a crash, a hang or a flood of memory ends the inspection and nothing else.
"""

from typing import Final

from sealift.runtime.content.errors import ContentError

__all__ = ["check_loads"]

# Long runs are what a pattern with nested repeats takes exponential time for.
_SAMPLES: Final = (
    "Which way to the harbour?",
    "a" * 400 + "!",
    " " * 400 + "\n" * 50 + "\t" * 50,
    "0123456789" * 40,
    "Grüße 漢字 🧭 \u200d\u0301" * 10,
)


def check_loads(data: bytes, path: str) -> None:
    """Load a tokenizer and use it once.

    Raises:
        ContentError: the library refuses it.
    """
    import tokenizers

    try:
        tokenizer = tokenizers.Tokenizer.from_buffer(data)
        for sample in _SAMPLES:
            tokenizer.encode(sample)
    except (MemoryError, KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:  # bare Exception from the library, and panics, which are less
        raise ContentError(path, f"not a tokenizer: {str(error)[:200]}") from error
