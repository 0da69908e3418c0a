"""Write every vector again, from the tables beside this file.

    python -m tests.vectors.generate

The same code gives the same bytes: signatures are deterministic (RFC 6979), frames and graphs are
written by hand, and no clock is asked. `tests/vectors/test_vectors.py` compares what is committed.
"""

from collections.abc import Iterator

from tests.vectors import (
    case_content,
    case_documents,
    case_media,
    case_names,
    case_parts,
    case_sets,
    case_signatures,
)
from tests.vectors.cases import MEDIA
from tests.vectors.vector import FOLDER, Change, Vector, difference, encode_changes

__all__ = ["committed", "generated", "vectors"]

_TABLES = (
    case_names, case_media, case_parts, case_signatures, case_documents, case_content,
    case_sets,
)  # fmt: skip


def vectors() -> Iterator[Vector]:
    """Give every attack."""
    for table in _TABLES:
        yield from table.vectors()


def generated() -> tuple[dict[str, tuple[Change, ...]], dict[str, Vector]]:
    """Return the media by name, and the attacks by path below `attacks/`."""
    media = {name: difference({}, medium) for name, medium in MEDIA.items()}
    attacks: dict[str, Vector] = {}
    for vector in vectors():
        path = f"{vector.row}/{vector.name}.json"
        if path in attacks:
            raise ValueError(f"{path}: two vectors of one name")
        attacks[path] = vector
    return media, attacks


def committed() -> set[str]:
    """Return the paths of what is committed."""
    return {
        str(path.relative_to(FOLDER))
        for folder in ("media", "attacks")
        for path in (FOLDER / folder).rglob("*.json")
    }


def main() -> None:
    """Write the files, and remove those that no table gives any more."""
    media, attacks = generated()
    _write("media", {f"{name}.json": encode_changes(changes) for name, changes in media.items()})
    _write("attacks", {path: vector.encode() for path, vector in attacks.items()})


def _write(folder: str, files: dict[str, bytes]) -> None:
    for path in (FOLDER / folder).rglob("*.json"):
        if str(path.relative_to(FOLDER / folder)) not in files:
            path.unlink()
    for name, data in files.items():
        path = FOLDER / folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


if __name__ == "__main__":
    main()
