"""Names that mean one file everywhere: bad first."""

import pytest

from sealift.manifests.errors import ManifestError
from sealift.manifests.names import check_name, check_path, check_paths, check_version

BAD_PATHS = [
    "", "..", ".", "../x", "a/../../b", "/etc/passwd", "a//b", "./a", "a/", "C:x", "C:/x", "a\\b",
    "\\\\host\\share", "a\0b", "a\nb", "a b", " a", "-rf", ".git/hook", ".hidden", "a.", "a./b",
    "nul", "NUL.txt", "con", "aux.h", "com1", "LPT9.log", "com0", "caf\u00e9", "cafe\u0301",
    "a\u202egnp.exe", "\u0430bc", "a:b", "a*", "a?b", "a|b", "<a>", 'a"b', "~user", "$HOME",
    "x" * 101, "/".join(["a" * 60] * 5), "a\u200bb", "\uff0e\uff0e/x", "+x",
]  # fmt: skip

BAD_SETS = [
    ["Model.onnx", "model.onnx"], ["a", "a/b"], ["a/b", "a"], ["A", "a/b"], ["a/b/c", "a/B"],
    ["x", "y", "X"],
]  # fmt: skip


@pytest.mark.parametrize("path", BAD_PATHS)
def test_bad_paths(path: str) -> None:
    with pytest.raises(ManifestError):
        check_path(path)


@pytest.mark.parametrize("paths", BAD_SETS)
def test_paths_that_collide(paths: list[str]) -> None:
    with pytest.raises(ManifestError):
        check_paths(paths)


@pytest.mark.parametrize(
    "path", ["a", "cpu-int4/model.onnx.data", "_x/1.0+b", "tokenizer.json", "a/b/c/d", "null"]
)
def test_good_paths(path: str) -> None:
    assert check_path(path) == path


@pytest.mark.parametrize(
    "name", ["", "Demo", "-x", ".x", "a/b", "a b", "x.", "nul", "con.x", "\u00e9", "x" * 65, ".."]
)
def test_bad_model_names(name: str) -> None:
    with pytest.raises(ManifestError):
        check_name(name)


@pytest.mark.parametrize("version", ["", "-1", "1/2", "1 0", "1.", "..", "v" * 65, "\u0661"])
def test_bad_versions(version: str) -> None:
    with pytest.raises(ManifestError):
        check_version(version)
