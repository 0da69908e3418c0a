"""Whatever is lost, damaged or added in one round, the next makes good; nothing wrong passes."""

import io
import random
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sealift.keys.trust_root import TrustRoot
from sealift.manifests import ustar
from sealift.manifests.layout import OCI_LAYOUT, SHA256SUMS
from sealift.media.errors import MediumError
from sealift.media.medium import read_medium
from sealift.media.stream_source import open_stream
from tests.media.streams import Got, Sent, receive, send
from tests.sealed import Sealed, seal_files


@pytest.fixture(scope="module")
def sealed(tmp_path_factory: pytest.TempPathFactory) -> Sealed:
    return seal_files(tmp_path_factory.mktemp("sealed"), part_bytes=8 * 1024, large_bytes=40_000)


@pytest.fixture(scope="module")
def once(sealed: Sealed) -> Sent:
    return send(sealed.bundle)


@pytest.fixture(scope="module")
def twice(sealed: Sealed) -> Sent:
    return send(sealed.bundle, repeat=2)


def _receive(sent: Sent, data: bytes, sealed: Sealed, *, scratch: bool = False) -> Got:
    with open_stream(io.BytesIO(data)) as source:
        read_medium(source, TrustRoot.of([sealed.signer.public]))
        return receive(source, sent.blobs, workers=2, scratch=scratch)


def _change(data: bytes, changes: list[tuple[str, int, int]], seed: int) -> bytes:
    """Apply `drop`, `flip` and `add` at places of the original, from the last to the first."""
    noise, changed = random.Random(seed), bytearray(data)
    for kind, start, length in sorted(changes, key=lambda change: -change[1]):
        match kind:
            case "drop":
                del changed[start : start + length]
            case "flip":
                for place in range(start, min(start + length, len(changed))):
                    changed[place] ^= noise.randrange(1, 256)
            case _:
                changed[start:start] = noise.randbytes(length)
    return bytes(changed)


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_whatever_happens_to_round_1_of_2_every_part_comes_in(
    sealed: Sealed, twice: Sent, data: st.DataObject
) -> None:
    end = twice.plan.round_bytes
    changes = []
    for kind, start, length in data.draw(
        st.lists(
            st.tuples(
                st.sampled_from(["drop", "flip", "add"]),
                st.integers(0, end - 1),
                st.one_of(st.integers(1, 600), st.integers(1, 30_000)),
            ),
            min_size=1,
            max_size=4,
        )
    ):
        changes.append((kind, start, min(length, end - start)))
    broken = _change(twice.data[:end], changes, seed=len(changes)) + twice.data[end:]
    got = _receive(twice, broken, sealed)
    assert got.right == set(twice.blobs), changes


@settings(max_examples=60, deadline=None)
@given(
    start=st.integers(0, 1 << 30),
    length=st.integers(1, 5000),
    kind=st.sampled_from(["drop", "add"]),
)
def test_one_loss_costs_only_the_parts_that_it_touched(
    sealed: Sealed, once: Sent, start: int, length: int, kind: str
) -> None:
    members = once.members
    first = next(at for path, at, _ in members if path.endswith(once.plan.blobs[0].digest.hex))
    start = first + start % (once.plan.round_bytes - first)
    length = min(length, once.plan.round_bytes - start)
    got = _receive(once, _change(once.data, [(kind, start, length)], seed=1), sealed)
    end = start + (length if kind == "drop" else 1)
    touched = set()
    for (path, at, _), following in zip(members, [*members[1:], None], strict=True):
        after = following[1] if following else once.plan.round_bytes
        if at < end and start < after:
            touched.add(path)
    lost = {f"blobs/sha256/{blob.hex}" for blob in set(once.blobs) - got.right}
    assert lost <= touched


@pytest.mark.parametrize("place", range(0, 100, 7))
def test_a_receiver_may_join_in_the_middle(sealed: Sealed, place: int) -> None:
    sent = send(sealed.bundle, repeat=3)
    at = 1 + (sent.plan.round_bytes - 1) * place // 100
    assert _receive(sent, sent.data[at:], sealed).right == set(sent.blobs)


def test_garbage_before_between_and_after(sealed: Sealed, twice: Sent) -> None:
    noise = random.Random(1).randbytes(70_001)
    middle = twice.plan.round_bytes
    data = noise + twice.data[:middle] + noise + twice.data[middle:] + noise
    got = _receive(twice, data, sealed)
    assert (got.right, got.rounds) == (set(twice.blobs), 1)


def test_two_streams_behind_each_other_are_two_rounds(sealed: Sealed, once: Sent) -> None:
    broken = bytearray(once.data)
    broken[once.plan.round_bytes // 2] ^= 1
    got = _receive(once, bytes(broken) + once.data, sealed)
    assert (got.right, got.rounds) == (set(once.blobs), 2)


@pytest.mark.parametrize("flip", [True, False])
def test_every_metadata_file_may_be_lost_once(sealed: Sealed, twice: Sent, flip: bool) -> None:
    names = dict.fromkeys(path for path, _ in twice.plan.metadata)
    for path, at, content in twice.members[: len(names)]:
        start, length = (content, 1) if flip else (at, 600)
        broken = _change(twice.data, [("flip" if flip else "drop", start, length)], seed=2)
        got = _receive(twice, broken, sealed)
        assert got.right == set(twice.blobs), path


def test_metadata_are_put_together_from_rounds_that_are_all_damaged(sealed: Sealed) -> None:
    sent = send(sealed.bundle, repeat=3)
    changes = []
    for number, name in enumerate((OCI_LAYOUT, SHA256SUMS, "README.txt")):
        (content,) = (content for path, _, content in sent.members if path == name)
        changes.append(("flip", number * sent.plan.round_bytes + content, 1))
    assert _receive(sent, _change(sent.data, changes, seed=1), sealed).right == set(sent.blobs)


def test_metadata_that_stay_damaged_are_named_with_a_hint(sealed: Sealed, twice: Sent) -> None:
    (content,) = (content for path, _, content in twice.members if path == "README.txt")
    changes = [("flip", content, 1), ("flip", twice.plan.round_bytes + content, 1)]
    with pytest.raises(MediumError, match=r"README\.txt") as raised:
        _receive(twice, _change(twice.data, changes, seed=1), sealed)
    assert "--repeat" in (raised.value.hint or "")


def test_an_end_at_every_member_and_within_every_member(sealed: Sealed, once: Sent) -> None:
    metadata = len(once.plan.metadata)
    ends = [(number, at) for number, (_, at, _) in enumerate(once.members)]
    ends += [(number, content + 1) for number, (_, _, content) in enumerate(once.members)]
    for number, end in ends:
        if number < metadata:
            with pytest.raises(MediumError):
                _receive(once, once.data[:end], sealed)
            continue
        got = _receive(once, once.data[:end], sealed)
        expected = list(once.blobs)[: number - metadata]
        assert got.right == set(expected)
        assert set(got.wrong) == set(once.blobs) - got.right
        for error in got.wrong.values():
            assert "the stream ended" in error.message
            assert "--repeat" in (error.hint or "")


@pytest.mark.parametrize("scratch", [True, False])
def test_flipped_parts_come_with_the_next_round_whatever_they_are_read_into(
    sealed: Sealed, twice: Sent, scratch: bool
) -> None:
    changes = [("flip", content + 3, 2) for _, _, content in twice.members[-6:]]
    broken = _change(twice.data, changes, seed=5)
    got = _receive(twice, broken, sealed, scratch=scratch)
    assert (got.right, got.rounds) == (set(twice.blobs), 2)


def test_a_loss_of_exactly_one_part_is_no_gap_and_no_harm(sealed: Sealed, twice: Sent) -> None:
    _, at, _ = twice.members[-3]
    _, after, _ = twice.members[-2]
    broken = twice.data[:at] + twice.data[after:]
    got = _receive(twice, broken, sealed)
    assert (got.right, got.rounds) == (set(twice.blobs), 2)


def test_the_start_of_a_round_may_be_lost_with_the_end_of_the_one_before(
    sealed: Sealed, twice: Sent
) -> None:
    start = twice.members[-2][2] + 10  # within the last part but one of round 1
    first_part = len(twice.plan.metadata)
    end = twice.plan.round_bytes + twice.members[first_part + 1][2] + 10
    got = _receive(twice, twice.data[:start] + twice.data[end:], sealed)
    lost = set(twice.blobs) - got.right
    assert lost == set()


def test_lost_parts_alone_are_read_again(sealed: Sealed, twice: Sent, tmp_path: Path) -> None:
    content = twice.members[-1][2]
    changes = [("flip", content, ustar.BLOCK_BYTES)]
    with open_stream(io.BytesIO(_change(twice.data, changes, seed=1))) as source:
        got = receive(source, twice.blobs)
        assert (got.right, got.rounds, source.gaps) == (set(twice.blobs), 2, 0)
