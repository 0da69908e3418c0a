"""Read-back hashes what the device holds, and says by which way it was reached."""

import hashlib
import mmap
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sealift.media.readback import Method, check_device, in_parallel, read_back


@settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(size=st.integers(0, 40_000), pages=st.integers(1, 3))
def test_any_length_is_hashed_whole_with_any_buffer(tmp_path: Path, size: int, pages: int) -> None:
    data = bytes(index * 7 % 251 for index in range(size))
    (tmp_path / "file").write_bytes(data)
    with mmap.mmap(-1, pages * mmap.PAGESIZE) as scratch:
        got = read_back(tmp_path / "file", scratch)
    assert (got.size_bytes, got.sha256) == (size, hashlib.sha256(data).hexdigest())


def test_every_wrong_file_is_named_with_what_is_wrong(tmp_path: Path) -> None:
    sha256 = hashlib.sha256(b"right").hexdigest()
    for name, data in (("right", b"right"), ("other", b"wrong"), ("short", b"righ")):
        (tmp_path / name).write_bytes(data)
    (tmp_path / "link").symlink_to("right")
    names = ("right", "other", "short", "link", "absent")
    check = check_device(tmp_path, dict.fromkeys(names, (5, sha256)), lambda count: None)
    assert list(check.wrong) == ["absent", "link", "other", "short"]
    assert check.wrong["absent"] == "missing"
    assert check.wrong["link"] == "expected a plain file"
    assert check.wrong["short"] == "expected 5 bytes, got 4"
    assert check.wrong["other"].startswith(f"expected sha256:{sha256}")


def test_the_least_sure_way_counts() -> None:
    assert max(Method.DIRECT, Method.UNCACHED, Method.CACHED) is Method.CACHED
    assert [method.label for method in Method] == ["direct", "uncached", "cached"]


def test_an_error_in_one_piece_of_work_is_the_error_of_all() -> None:
    def work(item: int, scratch: mmap.mmap) -> None:
        assert len(scratch) % mmap.PAGESIZE == 0
        if item == 3:
            raise ValueError("three")

    with pytest.raises(ValueError, match="three"):
        in_parallel(range(100), work)
