"""Write `parity_vector.json`: what the repair code gives, for ever.

    python tests/media/make_parity_vector.py

Media that were written carry these bytes: if a library gives others, it is the library that must
not be used. Run this only for cases that are added.
"""

import hashlib
import json
from pathlib import Path

import reed_solomon_leopard

VECTOR = Path(__file__).with_name("parity_vector.json")
_CASES = ((2, 1), (3, 2), (5, 3), (3, 5), (16, 2), (130, 15), (640, 72), (60, 200))
_SHARD_BYTES = 192


def shards(count: int, size: int) -> list[bytes]:
    """Make shards that anyone can make again: SHAKE-256 of their number."""
    return [hashlib.shake_256(f"shard {index}".encode()).digest(size) for index in range(count)]


def main() -> None:
    """Compute all cases."""
    cases = []
    for shard_count, count in _CASES:
        repair = reed_solomon_leopard.encode(shards(shard_count, _SHARD_BYTES), count)
        cases.append(
            {
                "shards": shard_count,
                "bytes": _SHARD_BYTES,
                "repair": count,
                "first": repair[0].hex(),
                "sha256": hashlib.sha256(b"".join(repair)).hexdigest(),
            }
        )
    VECTOR.write_text(json.dumps(cases, indent=1) + "\n")


if __name__ == "__main__":
    main()
