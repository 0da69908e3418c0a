"""The cache as the server keeps it: filled after a load, bounded, cleaned, never in the way."""

import asyncio
import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from sealift.runtime.engine.prepack.cache import PrepackCache
from sealift.runtime.engine.prepack.disk import PrepackDisk
from sealift.runtime.engine.prepack.entry import DATA
from sealift.runtime.engine.prepack_spec import PrepackSettings, entry_name, partial_prefix
from sealift.runtime.engine.request import Loaded
from sealift.runtime.engine.source import ModelSource
from tests.runtime.engine.prepack.prepacked import KEY, SETTINGS, copy_model, entry_of, load

DescribeFolder = Callable[[str, Path], ModelSource]


@pytest.fixture
def source(chat_folder: Path, source_of: DescribeFolder, tmp_path: Path) -> ModelSource:
    """A model of this test's own."""
    return source_of("tiny", copy_model(chat_folder, tmp_path / "model"))


def _cache(tmp_path: Path, **settings: int) -> PrepackCache:
    return PrepackCache(PrepackSettings(folder=str(tmp_path / "a" / "cache"), key=KEY, **settings))


async def _load(cache: PrepackCache, source: ModelSource) -> Loaded:
    """Load as a worker does, and tell the cache of it."""
    _, report = load(source, cache.spec(source.digest))
    loaded = Loaded(
        variant=report.variant,
        context_length=report.context_length,
        isolation="none",
        verify_s=report.verify_s,
        load_s=report.load_s,
        verified_bytes=report.verified_bytes,
        prepacked=report.is_prepacked,
        prepack_problem=report.prepack_problem,
    )
    await cache.loaded(source, SETTINGS, loaded)
    await cache.drain()
    return loaded


def _run(cache: PrepackCache, *sources: ModelSource) -> list[bool]:
    """Load one model after the other, in one run of the server."""

    async def work() -> list[bool]:
        await cache.start()
        try:
            return [(await _load(cache, source)).prepacked for source in sources]
        finally:
            await cache.stop()

    return asyncio.run(work())


def test_the_second_load_uses_what_the_first_one_left(tmp_path: Path, source: ModelSource) -> None:
    cache = _cache(tmp_path)
    root = tmp_path / "a" / "cache"
    assert _run(cache, source, source) == [False, True]
    assert root.stat().st_mode & 0o777 == 0o700
    assert _run(_cache(tmp_path), source) == [True]  # also of a server that starts anew
    assert list(root.iterdir()) == [entry_of(root, source)]


def test_a_bad_entry_is_removed_and_written_again(
    tmp_path: Path, source: ModelSource, caplog: pytest.LogCaptureFixture
) -> None:
    _run(_cache(tmp_path), source)
    data = entry_of(tmp_path / "a" / "cache", source) / DATA
    data.chmod(0o600)
    data.write_bytes(bytes(data.stat().st_size))
    data.chmod(0o400)
    assert _run(_cache(tmp_path), source, source) == [False, True]
    assert "tiny:1.0.0: prepacked weights not used: model.onnx.data: not the" in caplog.text


@pytest.mark.parametrize("settings", [{"size_bytes": 0}, {"size_bytes": 100_000},
                                      {"free_bytes": 1 << 60}])  # fmt: skip
def test_without_room_nothing_is_written(
    settings: dict[str, int], tmp_path: Path, source: ModelSource
) -> None:
    assert _run(_cache(tmp_path, **settings), source, source) == [False, False]
    assert list(tmp_path.rglob("*.onnx.data")) == list((tmp_path / "model").rglob("*.onnx.data"))


def test_the_longest_unused_entry_makes_room(
    tmp_path: Path, source: ModelSource, source_of: DescribeFolder
) -> None:
    others = [source_of(name, Path(source.directory)) for name in ("second", "third")]
    root = tmp_path / "a" / "cache"
    _run(_cache(tmp_path), source, others[0])
    (size_bytes,) = {
        sum(path.stat().st_size for path in entry_of(root, item).iterdir())
        for item in (source, others[0])
    }
    os.utime(entry_of(root, others[0]), ns=(1, 1))
    os.utime(entry_of(root, source), ns=(0, 0))
    _run(_cache(tmp_path), source)  # being used is what counts
    weights = sum(file.size_bytes for file in source.files)
    budget = size_bytes + int(2.6 * weights)
    assert budget < 3 * size_bytes + weights
    _run(_cache(tmp_path, size_bytes=budget), others[1])
    assert set(root.iterdir()) == {entry_of(root, source), entry_of(root, others[1])}


def test_what_is_not_ours_stays(tmp_path: Path, source: ModelSource) -> None:
    root = tmp_path / "a" / "cache"
    root.mkdir(mode=0o700, parents=True)
    (root / "letters").mkdir()
    (root / "letters" / "one").write_text("dear")
    (root / "note").write_text("x" * 100)
    _run(_cache(tmp_path, size_bytes=1), source)
    assert {path.name for path in root.iterdir()} == {"letters", "note"}
    assert (root / "letters" / "one").read_text() == "dear"


def test_a_folder_that_others_can_read_is_not_used(
    tmp_path: Path, source: ModelSource, caplog: pytest.LogCaptureFixture
) -> None:
    root = tmp_path / "a" / "cache"
    root.mkdir(parents=True)
    root.chmod(0o755)
    assert _run(_cache(tmp_path), source, source) == [False, False]
    assert list(root.iterdir()) == []
    assert root.stat().st_mode & 0o777 == 0o755  # not ours to change
    assert "expected a folder of ours with mode 0700" in caplog.text


def test_a_model_that_cannot_be_prepacked_is_tried_once(
    tmp_path: Path, source: ModelSource, caplog: pytest.LogCaptureFixture
) -> None:
    async def work() -> None:
        cache = _cache(tmp_path)
        await cache.start()
        weights = Path(source.directory) / "cpu-fp32" / "model.onnx.data"
        _, report = load(source, None)
        weights.write_bytes(bytes(weights.stat().st_size))  # between the load and the writing
        loaded = Loaded(
            variant=report.variant, context_length=1, isolation="", verify_s=0, load_s=0,
            verified_bytes=0,
        )  # fmt: skip
        for _ in range(2):
            await cache.loaded(source, SETTINGS, loaded)
            await cache.drain()
        await cache.stop()

    asyncio.run(work())
    assert caplog.text.count("tiny:1.0.0: weights not prepacked: ") == 1
    assert "expected sha256" in caplog.text
    assert list((tmp_path / "a" / "cache").iterdir()) == []


def test_stopping_ends_the_writer_and_leaves_nothing(tmp_path: Path, source: ModelSource) -> None:
    root = tmp_path / "a" / "cache"

    async def work() -> None:
        cache = _cache(tmp_path)
        await cache.start()
        loaded = Loaded(
            variant="cpu-fp32", context_length=1, isolation="", verify_s=0, load_s=0,
            verified_bytes=0,
        )  # fmt: skip
        await cache.loaded(source, SETTINGS, loaded)
        while not list(root.iterdir()):  # noqa: ASYNC110  (another process makes it)
            await asyncio.sleep(0.001)
        await cache.stop()
        assert cache.spec(source.digest) is None

    asyncio.run(work())
    assert [path for path in root.iterdir() if path != entry_of(root, source)] == []


def test_what_a_killed_writer_left_is_removed_once_it_is_old(tmp_path: Path) -> None:
    disk = PrepackDisk(tmp_path)
    tmp_path.chmod(0o700)
    name = entry_name("sha256:" + "0a" * 32, "cpu-int4")
    young, old = (tmp_path / f"{partial_prefix(name)}{end}" for end in ("young", "old"))
    for folder in (young, old):
        folder.mkdir()
        (folder / DATA).write_bytes(b"x")
    hour_ago = time.time() - 3601
    os.utime(old, (hour_ago, hour_ago))
    disk.prepare()
    assert list(tmp_path.iterdir()) == [young]  # another server may be at work on it
    disk.remove_partial(name)
    assert list(tmp_path.iterdir()) == []
