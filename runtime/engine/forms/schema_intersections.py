"""What joins of a schema multiply: patterns for one string, ways to choose. Pure.

The compiler intersects patterns, and each doubles what the others cost: sixteen that `allOf` joins
take gigabytes before any of its own limits is asked. Where several `anyOf` are joined, each way of
one meets each way of the others. Counted is an upper bound: conditions on different strings under
one `allOf` are added up as if they met.

>>> intersections({"allOf": [{"pattern": "a"}, {"pattern": "b"}], "format": "uuid"})
3
"""

import math

from sealift.manifests.strict_json import JsonValue
from sealift.runtime.engine.errors import GrammarError

__all__ = ["check_intersections", "intersections"]

_OWN = ("pattern", "format", "minLength", "maxLength", "enum", "const")
_JOINED = ("allOf",)
_CHOSEN = ("anyOf", "oneOf")
_REFERENCE = "$ref"
_DEFINITIONS = ("$defs", "definitions")  # count where they are referred to
_MANY = 1 << 32
_LEVELS = 100


def check_intersections(schema: JsonValue, *, most: int, ways: int) -> None:
    """Raise `GrammarError` where more patterns, or more ways of joined `anyOf`, may meet."""
    counter = _Counter(schema)
    try:
        count = counter.count(schema)
        counter.ways(schema)
    except RecursionError as error:
        raise _too_deep() from error
    if count > most:
        raise GrammarError(
            f"json_schema: expected at most {most} patterns and formats joined by allOf or $ref, "
            f"got {count}",
            hint="say it with one pattern",
        )
    if counter.joined_ways > ways:
        raise GrammarError(
            f"json_schema: expected at most {ways} ways to choose from joined anyOf, "
            f"got {counter.joined_ways} or more",
            hint="list the ways in one anyOf",
        )


def intersections(schema: JsonValue) -> int:
    """Return how many patterns, formats and lengths one string can meet at most."""
    return _Counter(schema).count(schema)


def _too_deep() -> GrammarError:
    # The compiler follows references on its stack, and a thousand of them end the process.
    return GrammarError(
        f"json_schema: expected at most {_LEVELS} levels, those that $ref leads to included",
        hint="shorten the chain of references",
    )


class _Counter:
    """Counts each object once, so that references that fan out cost no more than their text."""

    def __init__(self, root: JsonValue) -> None:
        self._root = root
        self._known: dict[int, int] = {}
        self._ways: dict[int, int] = {}
        self._level = 0
        self.joined_ways = 1  # the most that any one object of the schema has

    def count(self, value: JsonValue) -> int:
        if isinstance(value, list):
            return max(map(self.count, value), default=0)
        if not isinstance(value, dict):
            return 0
        if id(value) not in self._known:
            self._known[id(value)] = 0  # a reference back to here adds nothing new
            self._level += 1
            if self._level > _LEVELS:
                raise _too_deep()
            self._known[id(value)] = self._object(value)
            self._level -= 1
        return self._known[id(value)]

    def _object(self, value: dict[str, JsonValue]) -> int:
        # Keywords of one schema meet each other; what lies deeper meets only what is joined to it.
        joined = 0
        deeper = 0
        for key, item in value.items():
            if key in _OWN:
                joined += "pattern" in value or "format" in value
            elif key in _JOINED and isinstance(item, list):
                joined += sum(map(self.count, item))
            elif key in _CHOSEN:
                joined += self.count(item)
            elif key == _REFERENCE and isinstance(item, str):
                joined += self.count(self._target(item))
            elif key not in _DEFINITIONS:
                deeper = max(deeper, self._children(item))
        # Properties of two joined objects can be the same one: a branch counts with its deepest.
        return joined + deeper if joined and self._joins(value) else max(joined, deeper)

    def ways(self, value: JsonValue) -> int:
        """Return in how many ways an object can be chosen."""
        if not isinstance(value, dict):
            for item in value if isinstance(value, list) else ():
                self.ways(item)
            return 1
        if id(value) not in self._ways:
            self._ways[id(value)] = 1
            self._ways[id(value)] = self._product(value)
        return self._ways[id(value)]

    def _product(self, value: dict[str, JsonValue]) -> int:
        factors: list[int] = []
        for key, item in value.items():
            if key in _JOINED and isinstance(item, list):
                factors += map(self.ways, item)
            elif key in _CHOSEN and isinstance(item, list):
                factors.append(sum(map(self.ways, item)))
            elif key == _REFERENCE and isinstance(item, str):
                factors.append(self.ways(self._target(item)))
            elif isinstance(item, dict):
                self.ways(item)
                for child in item.values():
                    self.ways(child)
            else:
                self.ways(item)
        product = min(math.prod(factors), _MANY)
        if sum(factor > 1 for factor in factors) > 1:
            self.joined_ways = max(self.joined_ways, product)
        return product

    def _children(self, item: JsonValue) -> int:
        if isinstance(item, dict):
            return max((self.count(child) for child in (item, *item.values())), default=0)
        return self.count(item)

    def _joins(self, value: dict[str, JsonValue]) -> bool:
        return any(key in value for key in (*_JOINED, *_CHOSEN, _REFERENCE))

    def _target(self, reference: str) -> JsonValue:
        """Follow a pointer inside the schema; others the compiler refuses itself."""
        if not reference.startswith("#"):
            return None
        value = self._root
        for part in reference[1:].split("/")[1:]:
            name = part.replace("~1", "/").replace("~0", "~")
            if isinstance(value, dict):
                value = value.get(name)
            elif isinstance(value, list) and name.isdigit() and int(name) < len(value):
                value = value[int(name)]
            else:
                return None
        return value
