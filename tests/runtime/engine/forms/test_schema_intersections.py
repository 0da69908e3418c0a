"""Conditions that meet are counted, also through references; ordinary schemas have few."""

import pytest

from sealift.manifests.strict_json import JsonValue
from sealift.runtime.engine.errors import GrammarError
from sealift.runtime.engine.forms.schema_intersections import check_intersections, intersections

P: JsonValue = {"type": "string", "pattern": "a"}
CHOICE: JsonValue = {"anyOf": [{"type": "null"}, {"type": "boolean"}, {"type": "string"}]}

COUNTS: dict[str, tuple[JsonValue, int]] = {
    "no schema": (True, 0),
    "no pattern": ({"type": "string", "maxLength": 3}, 0),
    "one": (P, 1),
    "with lengths": ({"pattern": "a", "minLength": 1, "maxLength": 9}, 3),
    "of different properties": ({"properties": {"a": P, "b": P, "c": P}}, 1),
    "of alternatives": ({"anyOf": [P, P, P]}, 1),
    "joined": ({"allOf": [P, P, P]}, 3),
    "joined with its own": ({"pattern": "a", "$ref": "#/$defs/x", "$defs": {"x": P}}, 2),
    "of a property of both": (
        {"allOf": [{"properties": {"a": P}}, {"properties": {"a": P}}]},
        2,
    ),
    "through references": (
        {
            "$ref": "#/$defs/a",
            "$defs": {"a": {"pattern": "a", "$ref": "#/$defs/b~1c"}, "b/c": {"allOf": [P, P]}},
        },
        3,
    ),
    "in a circle": ({"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/a", **P}}}, 1),
}


@pytest.mark.parametrize("name", COUNTS)
def test_what_may_meet_is_never_counted_too_low(name: str) -> None:
    schema, least = COUNTS[name]
    assert least <= intersections(schema) <= least + 1


def test_ways_multiply_only_where_they_are_joined() -> None:
    check_intersections({"properties": {str(n): CHOICE for n in range(20)}}, most=8, ways=8)
    check_intersections({"allOf": [CHOICE]}, most=8, ways=8)
    with pytest.raises(GrammarError, match="expected at most 8 ways"):
        check_intersections({"allOf": [CHOICE, CHOICE]}, most=8, ways=8)


def test_references_that_fan_out_are_counted_in_their_own_size() -> None:
    levels = 30
    schema: JsonValue = {
        "$defs": {
            f"d{n}": {"allOf": [{"$ref": f"#/$defs/d{n + 1}"}, {"$ref": f"#/$defs/d{n + 1}"}]}
            for n in range(levels)
        }
        | {f"d{levels}": P},
        "$ref": "#/$defs/d0",
    }
    with pytest.raises(GrammarError, match="patterns and formats"):
        check_intersections(schema, most=8, ways=8)
