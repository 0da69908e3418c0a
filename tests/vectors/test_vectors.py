"""What is committed is what the generator writes: a vector never drifts from its table."""

from tests.vectors.generate import committed, generated
from tests.vectors.vector import FOLDER, read_changes, read_vector


def test_every_vector_is_current() -> None:
    media, attacks = generated()
    paths = {f"media/{name}.json" for name in media} | {f"attacks/{path}" for path in attacks}
    assert paths == committed(), "run `python -m tests.vectors.generate`"
    for name, changes in media.items():
        assert tuple(read_changes(name)) == changes, name
    for path, vector in attacks.items():
        assert read_vector(FOLDER / "attacks" / path) == vector, path


def test_generating_twice_gives_the_same() -> None:
    assert generated() == generated()


def test_vectors_are_small() -> None:
    for path in (FOLDER / "attacks").rglob("*.json"):
        assert path.stat().st_size < 16 * 1024, path
