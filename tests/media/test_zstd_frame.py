"""The frame walk agrees with the decoder on every frame that the writer can make."""

import random

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from sealift.manifests.errors import ManifestError
from sealift.media.zstd_frame import check_frame


@given(
    st.binary(max_size=2000), st.integers(1, 400), st.integers(1, 9), st.booleans(), st.booleans()
)
@settings(max_examples=60, deadline=None)
def test_whole_frames_pass_and_any_cut_or_addition_does_not(
    seed: bytes, repeat: int, level: int, checksum: bool, noise: bool
) -> None:
    data = seed * repeat + (random.Random(repeat).randbytes(3000) if noise else b"")
    frame = zstandard.ZstdCompressor(level=level, write_checksum=checksum).compress(data)
    check_frame(memoryview(frame), len(data))
    for bad in (frame[:-1], frame + b"\0", frame + frame):
        with pytest.raises(ManifestError):
            check_frame(memoryview(bad), len(data))
    with pytest.raises(ManifestError):
        check_frame(memoryview(frame), len(data) + 1)


@pytest.mark.parametrize("data", [b"", b"\x28\xb5\x2f\xfd", b"x" * 100, bytes(18)])
def test_no_frame_at_all(data: bytes) -> None:
    with pytest.raises(ManifestError):
        check_frame(memoryview(data), 10)


def test_a_million_tiny_blocks_are_refused() -> None:
    start = zstandard.ZstdCompressor().compress(bytes(5_000_000))
    header = start[: zstandard.frame_header_size(start)]
    blocks = (0).to_bytes(3, "little") * 100_000 + (1).to_bytes(3, "little")
    with pytest.raises(ManifestError, match="blocks"):
        check_frame(memoryview(header + blocks), 5_000_000)
