"""The header that we regenerate is the one that tarfile writes."""

import io
import tarfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sealift.manifests import ustar
from sealift.manifests.errors import ManifestError

_COMPONENT = st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9._+-]{0,60}", fullmatch=True)


@given(st.lists(_COMPONENT, min_size=1, max_size=5).map("/".join), st.integers(0, 8**11 - 1))
def test_header_equals_tarfile_s(name: str, size: int) -> None:
    info = tarfile.TarInfo(name)
    info.size, info.mode, info.mtime = size, 0o644, 0
    try:
        expected = info.tobuf(tarfile.USTAR_FORMAT)
    except ValueError:
        with pytest.raises(ManifestError):
            ustar.header(name, size)
        return
    ours = ustar.header(name, size)
    if len(name) <= 100:
        assert ours == expected
    # Where a long name may be split in several places, any of them is right.
    archive = io.BytesIO(ours + bytes(1024))
    archive.seek(0)
    assert tarfile.TarInfo.frombuf(ours, "ascii", "strict").name == name


@pytest.mark.parametrize("size", [0, 1, 511, 512, 513, 64 << 20])
def test_whole_archives_are_read_by_tarfile(size: int) -> None:
    data = ustar.header("a/b.data", size) + b"x" * size + ustar.padding(size) + ustar.TRAILER
    assert len(data) == ustar.total_bytes(size)
    with tarfile.open(fileobj=io.BytesIO(data), mode="r:") as tar:
        (member,) = tar.getmembers()
    assert (member.name, member.size, member.mode, member.mtime) == ("a/b.data", size, 0o644, 0)


@pytest.mark.parametrize(
    ("name", "size"), [("x" * 101, 1), ("a/" + "x" * 101, 1), ("a", -1), ("a", 8**11)]
)
def test_what_ustar_cannot_hold_is_refused(name: str, size: int) -> None:
    with pytest.raises(ManifestError):
        ustar.header(name, size)
