"""How JSON is written in answers: the same in a schema's answer and in a tool's arguments. Pure.

Models are taught on `json.dumps` and on indented JSON, and stay on those paths: between two parts
of a document may stand nothing, one space, or a newline with up to `INDENT` spaces, once. A model
that would write whitespace for ever (small ones do, where every token they prefer is refused)
cannot.

>>> with_json_options({"type": "object"})["x-guidance"]["whitespace_pattern"]
'( |\\\\n {0,32})'
"""

from typing import Final

from sealift.manifests.strict_json import JsonValue

__all__ = ["INDENT", "with_json_options"]

#: Spaces after a newline inside JSON: eight levels of four.
INDENT: Final = 32

_OPTIONS: dict[str, JsonValue] = {
    "item_separator": ",",
    "key_separator": ":",
    "whitespace_flexible": True,
    "whitespace_pattern": f"( |\\n {{0,{INDENT}}})",
    "coerce_one_of": False,
    # `\ud800` spells half a character, which no UTF-8 text can hold.
    "json_allow_general_unicode_escapes": False,
}


def with_json_options(schema: JsonValue, *, is_lenient: bool = False) -> dict[str, JsonValue]:
    """Return the schema with our way of writing.

    Its own "x-guidance", which could switch strictness off, is replaced.

    Args:
        is_lenient: pass over what cannot be enforced.
    """
    options = {"x-guidance": {**_OPTIONS, "lenient": is_lenient}}
    match schema:
        case dict():
            return {**schema, **options}
        case True:
            return {**options}
        case _:
            return {"enum": [], **options}
