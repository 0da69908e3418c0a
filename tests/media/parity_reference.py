"""The repair code again, by its definition: slow, and from nothing but this text.

Elements of GF(2^16) are written in the Cantor basis of Lin, Chung and Han ("Novel polynomial basis
and its application to Reed-Solomon erasure codes", FOCS 2014), over the polynomial 0x1002D. Of 64
bytes, the first 32 are the low halves of 32 elements, the others the high halves.

Let n be the power of two that holds all repair shards. The shards fall into groups of n; group g
belongs to the points (g + 1) * n and up. One polynomial of degree under n goes through each group
(zeros fill the last). Repair shard i is the sum of these polynomials at the point i.

Where that n is larger than the one that holds all shards, it is the latter, and the roles change:
one polynomial goes through all shards, at the points from 0 on; repair shard i is its value at the
point n + i.
"""

from collections.abc import Sequence
from functools import cache

_BITS = 16
_POLYNOMIAL = 0x1002D
_BASIS = (
    0x0001, 0xACCA, 0x3C0E, 0x163E, 0xC582, 0xED2E, 0x914C, 0x4012,
    0x6C98, 0x10D8, 0x6A72, 0xB900, 0xFDB8, 0xFB34, 0xFF38, 0x991E,
)  # fmt: skip
_BLOCK, _HALF = 64, 32


def repair_shards(shards: Sequence[bytes], count: int) -> list[bytes]:
    """Compute repair shards from shards of one length, a multiple of 64 bytes."""
    columns = zip(*(_elements(shard) for shard in shards), strict=True)
    size = _power(count)
    if size <= _power(len(shards)):
        firsts = range(size, size + len(shards), size)
        points = range(count)
    else:
        size = _power(len(shards))
        firsts = range(1)
        points = range(size, size + count)
    rows = [[_value(column, firsts, size, point) for point in points] for column in columns]
    return [_bytes([row[index] for row in rows]) for index in range(count)]


def _power(count: int) -> int:
    return 1 << (count - 1).bit_length()


def _value(column: Sequence[int], firsts: Sequence[int], size: int, point: int) -> int:
    total = 0
    for group, first in enumerate(firsts):
        for place, element in enumerate(column[group * size : (group + 1) * size]):
            total ^= _times(element, _lagrange(first, place, size, point))
    return total


@cache
def _lagrange(first: int, place: int, size: int, at: int) -> int:
    """Return the value at a point of the polynomial that is 1 at one of `size` points, else 0."""
    above, below = 1, 1
    for other in range(size):
        if other != place:
            above = _times(above, at ^ (first + other))
            below = _times(below, place ^ other)
    return _times(above, _inverse(below))


@cache
def _inverse(element: int) -> int:
    power, result = element, 1
    for _ in range(_BITS - 1):
        power = _times(power, power)
        result = _times(result, power)
    return result


def _times(left: int, right: int) -> int:
    """Multiply two elements written in the Cantor basis."""
    return _to_cantor(_times_plain(_from_cantor(left), _from_cantor(right)))


def _times_plain(left: int, right: int) -> int:
    product = 0
    for bit in range(_BITS):
        if right >> bit & 1:
            product ^= left << bit
    for bit in range(2 * _BITS - 2, _BITS - 1, -1):
        if product >> bit & 1:
            product ^= _POLYNOMIAL << (bit - _BITS)
    return product


@cache
def _from_cantor(element: int) -> int:
    plain = 0
    for bit, basis in enumerate(_BASIS):
        if element >> bit & 1:
            plain ^= basis
    return plain


@cache
def _to_cantor(plain: int) -> int:
    element = 0
    for bit, (reduced, combination) in _echelon():
        if plain >> bit & 1:
            plain ^= reduced
            element ^= combination
    return element


@cache
def _echelon() -> tuple[tuple[int, tuple[int, int]], ...]:
    """Invert the basis by elimination: leading bit, vector, and which basis elements it sums."""
    rows: dict[int, tuple[int, int]] = {}
    for number, basis in enumerate(_BASIS):
        vector, combination = basis, 1 << number
        while (lead := vector.bit_length() - 1) in rows:
            vector, combination = vector ^ rows[lead][0], combination ^ rows[lead][1]
        rows[lead] = (vector, combination)
    return tuple(sorted(rows.items(), reverse=True))


def _elements(shard: bytes) -> list[int]:
    return [
        shard[start + index] | shard[start + _HALF + index] << 8
        for start in range(0, len(shard), _BLOCK)
        for index in range(_HALF)
    ]


def _bytes(elements: Sequence[int]) -> bytes:
    blocks = [elements[start : start + _HALF] for start in range(0, len(elements), _HALF)]
    return b"".join(
        bytes(element & 255 for element in block) + bytes(element >> 8 for element in block)
        for block in blocks
    )
