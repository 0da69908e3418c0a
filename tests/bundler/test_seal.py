"""Sealing: deterministic, complete, and all or nothing."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from sealift.bundler.output import OutputError
from sealift.bundler.seal import write_bundle
from sealift.keys.signer import generate
from sealift.keys.trust_root import TrustRoot
from sealift.manifests.errors import Category
from sealift.manifests.progress import Advance
from sealift.media.verifier import verify_medium
from tests.sealed import PART_BYTES, STATEMENTS, make_files, meta, tree


def test_the_same_export_twice_gives_identical_trees(tmp_path: Path) -> None:
    files, signer = make_files(tmp_path / "files"), generate()
    for name, workers in (("one", 1), ("two", 4)):
        write_bundle(
            files, meta(), STATEMENTS, signer, tmp_path / name, workers=workers,
            part_bytes=PART_BYTES,
        )  # fmt: skip
    assert tree(tmp_path / "one") == tree(tmp_path / "two")
    assert len(tree(tmp_path / "one")) > 10


def test_the_bundle_verifies_and_its_attestations_are_pinned(tmp_path: Path) -> None:
    files, signer = make_files(tmp_path / "files"), generate()
    write_bundle(files, meta(), STATEMENTS, signer, tmp_path / "out")
    report = verify_medium(tmp_path / "out", TrustRoot.of([signer.public]))
    (carried,) = report.bundles
    assert carried.predicates == {item.predicate_type: item.predicate for item in STATEMENTS}
    assert carried.bundle.seal.statement.fields.created == meta().created


@pytest.mark.parametrize("spoil", ["file", "full folder", "link"])
def test_an_output_that_is_taken_is_refused_and_left_alone(tmp_path: Path, spoil: str) -> None:
    out = tmp_path / "out"
    match spoil:
        case "file":
            out.write_text("mine")
        case "full folder":
            out.mkdir()
            (out / "mine").touch()
        case _:
            (tmp_path / "elsewhere").mkdir()
            out.symlink_to(tmp_path / "elsewhere")
    before = tree(tmp_path)
    with pytest.raises(OutputError) as caught:
        write_bundle(make_files(tmp_path / "f"), meta(), STATEMENTS, generate(), out)
    assert caught.value.category is Category.USAGE
    assert {k: v for k, v in tree(tmp_path).items() if not k.startswith("f/")} == before


def test_an_empty_output_folder_is_taken(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    write_bundle(make_files(tmp_path / "f"), meta(), STATEMENTS, generate(), tmp_path / "out")
    assert (tmp_path / "out" / "index.json").exists()


class _Failing:
    @contextmanager
    def step(self, title: str, total: int | None = None) -> Iterator[Advance]:
        def advance(count: int) -> None:
            raise OSError("pulled")

        yield advance


def test_a_failure_leaves_nothing(tmp_path: Path) -> None:
    files = make_files(tmp_path / "files")
    with pytest.raises(OSError, match="pulled"):
        write_bundle(files, meta(), STATEMENTS, generate(), tmp_path / "out", _Failing())
    assert [path.name for path in tmp_path.iterdir()] == ["files"]
