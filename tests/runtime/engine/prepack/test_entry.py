"""Loading from the cache of prepacked weights: the same answers, or not used at all."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from sealift.manifests.recipe import Precision, Task, VariantSpec
from sealift.manifests.serving import SERVING_FILE, ServingConfig
from sealift.runtime.engine.errors import ModelIntegrityError
from sealift.runtime.engine.integrity import VerifiedFolder
from sealift.runtime.engine.prepack.binding import bind
from sealift.runtime.engine.prepack.entry import DATA, GRAPH, PrepackEntry, write_entry
from sealift.runtime.engine.prepack.seal import Binding, PrepackError
from sealift.runtime.engine.prepack_spec import PrepackJob, PrepackOutcome
from sealift.runtime.engine.source import ModelSource
from tests.runtime.engine.prepack.prepacked import (
    SETTINGS,
    answer,
    copy_model,
    entry_of,
    load,
    spec_in,
    write,
)

DescribeFolder = Callable[[str, Path], ModelSource]
WEIGHTS = "cpu-fp32/model.onnx.data"


@pytest.fixture(scope="module")
def int4_folder(chat_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same model in int4, through the real export."""
    from sealift.bundler.export.decoder import export_decoder
    from sealift.bundler.plan import Route, VariantPlan

    model = tmp_path_factory.mktemp("int4") / "model"
    variant = model / "cpu-int4"
    variant.mkdir(parents=True)
    spec = VariantSpec(precision=Precision.INT4, block_size=32)
    plan = VariantPlan(spec=spec, task=Task.CHAT, route=Route.GENAI)
    export_decoder(chat_folder.parent / "checkpoint", variant, plan)
    for name in ("tokenizer.json", "chat_template.jinja"):
        shutil.copy(chat_folder / "cpu-fp32" / name, variant)
    config = ServingConfig.parse((chat_folder / "cpu-fp32" / SERVING_FILE).read_bytes())
    config = msgspec.structs.replace(config, precision=Precision.INT4)
    (variant / SERVING_FILE).write_bytes(config.encode())
    return model


@pytest.fixture
def source(chat_folder: Path, source_of: DescribeFolder, tmp_path: Path) -> ModelSource:
    """A model of this test's own."""
    return source_of("tiny", copy_model(chat_folder, tmp_path / "model"))


@pytest.fixture
def root(source: ModelSource, tmp_path: Path) -> Path:
    """A cache that holds the model."""
    write(tmp_path / "cache", source)
    return tmp_path / "cache"


@pytest.mark.parametrize("folder_name", ["chat_folder", "int4_folder"])
def test_answers_are_the_same_with_the_cache_and_without(
    folder_name: str, source_of: DescribeFolder, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    source = source_of("tiny", request.getfixturevalue(folder_name))
    spec = spec_in(tmp_path / "cache", source)
    plain, before = load(source, spec)
    assert not before.is_prepacked
    assert before.prepack_problem is None  # there is no entry, which is no problem
    size_bytes = write(tmp_path / "cache", source)
    entry = entry_of(tmp_path / "cache", source)
    assert size_bytes == sum(path.stat().st_size for path in entry.iterdir())
    prepacked, report = load(source, spec)
    assert report.is_prepacked
    assert report.prepack_problem is None
    assert report.verified_bytes > (entry / DATA).stat().st_size > 0
    for text in ("hello there", "word " * 60):
        expected = answer(plain, text)
        assert expected
        assert answer(prepacked, text) == expected


def _open(root: Path, source: ModelSource, change: Callable[[Binding], Binding]) -> None:
    folder = VerifiedFolder.open(source, "cpu-fp32")
    binding = bind(folder, folder.read("model.serving.onnx"))
    entry = PrepackEntry.open(spec_in(root, source), change(binding))
    assert entry is not None
    with entry:
        pass


def _other(value: Any) -> Any:
    match value:
        case int():
            return value + 1
        case str():
            return f"{value}0"
        case _:
            return value[1:]


@pytest.mark.parametrize("name", Binding.__struct_fields__)
def test_an_entry_of_anything_else_is_not_used(name: str, root: Path, source: ModelSource) -> None:
    _open(root, source, lambda binding: binding)

    def change(binding: Binding) -> Binding:
        other = msgspec.structs.replace(binding, **{name: _other(getattr(binding, name))})
        # Under the right name: a name is no proof.
        before = f"{binding.model_digest.rpartition(':')[2]}.{binding.variant}"
        after = f"{other.model_digest.rpartition(':')[2]}.{other.variant}"
        (root / before).rename(root / after)
        return other

    with pytest.raises(PrepackError, match=f"for another {name.replace('_', ' ')}"):
        _open(root, source, change)


def _flip(name: str, where: float) -> Callable[[Path], None]:
    def damage(entry: Path) -> None:
        path = entry / name
        data = bytearray(path.read_bytes())
        data[int(where * (len(data) - 1))] ^= 1
        path.chmod(0o600)
        path.write_bytes(data)
        path.chmod(0o400)

    return damage


def _truncate(name: str) -> Callable[[Path], None]:
    def damage(entry: Path) -> None:
        (entry / name).chmod(0o600)
        os.truncate(entry / name, (entry / name).stat().st_size - 1)

    return damage


def _link(name: str) -> Callable[[Path], None]:
    def damage(entry: Path) -> None:
        (entry / name).rename(entry.parent / "elsewhere")
        (entry / name).symlink_to(entry.parent / "elsewhere")

    return damage


def _link_folder(entry: Path) -> None:
    entry.rename(entry.parent / "elsewhere")
    entry.symlink_to(entry.parent / "elsewhere")


DAMAGES: list[tuple[Callable[[Path], None], str]] = [
    (_flip(GRAPH, 0.5), "model.onnx: expected sha256"),
    (_flip(DATA, 0.0), "not the sealed bytes"),
    (_flip(DATA, 0.5), "not the sealed bytes"),
    (_flip(DATA, 1.0), "not the sealed bytes"),
    (_flip("seal", 0.0), "not written with this host's key"),
    (_flip("seal", 0.5), "not written with this host's key"),
    (_flip("seal", 1.0), "not written with this host's key"),
    (_truncate(GRAPH), "model.onnx: expected sha256"),
    (_truncate(DATA), r"expected \d+ bytes"),
    (_truncate("seal"), "not written with this host's key"),
    (lambda entry: (entry / GRAPH).unlink(), "No such file"),
    (lambda entry: (entry / DATA).unlink(), "No such file"),
    (lambda entry: (entry / "seal").unlink(), "No such file"),
    (_link(GRAPH), "not a plain file"),
    (_link(DATA), "not a plain file"),
    (_link("seal"), "not a plain file"),
    (_link_folder, "not a plain file or folder"),
    (lambda entry: (entry / DATA).chmod(0o444), "data: open to others"),
    (lambda entry: (entry / "seal").chmod(0o620), "seal: open to others"),
    (lambda entry: entry.chmod(0o755), "open to others"),
    (lambda entry: entry.parent.chmod(0o770), "cache folder: open to others"),
]


@pytest.mark.parametrize(("damage", "problem"), DAMAGES)
def test_a_damaged_entry_is_not_used_and_the_model_loads_from_the_store(
    damage: Callable[[Path], None], problem: str, root: Path, source: ModelSource
) -> None:
    damage(entry_of(root, source))
    model, report = load(source, spec_in(root, source))
    assert not report.is_prepacked
    assert report.prepack_problem is not None
    assert re.search(problem, report.prepack_problem)
    assert answer(model)


@pytest.mark.parametrize("names", [(DATA,), (GRAPH,), (GRAPH, DATA), (GRAPH, DATA, "seal")])
def test_files_of_another_entry_are_not_used(
    names: tuple[str, ...], root: Path, source: ModelSource, source_of: DescribeFolder
) -> None:
    # Another version with other weights, sealed by this very host.
    other_folder = copy_model(Path(source.directory), root.parent / "other")
    _flip("model.onnx.data", 0.6)(other_folder / "cpu-fp32")
    other = source_of("other", other_folder)
    write(root, other)
    for name in names:
        shutil.copy(entry_of(root, other) / name, entry_of(root, source) / name)
    model, report = load(source, spec_in(root, source))
    assert not report.is_prepacked
    assert report.prepack_problem
    assert answer(model) == answer(load(source, None)[0])


def test_an_entry_of_another_key_is_not_used(root: Path, source: ModelSource) -> None:
    _, report = load(source, spec_in(root, source, key=b"k" * 32))
    assert report.prepack_problem is not None
    assert "not written with this host's key" in report.prepack_problem


def _save_no_graph(into: Path) -> None:
    for name in (GRAPH, DATA):
        (into / name).write_bytes(b"no graph")


def test_a_sealed_graph_that_does_not_load_costs_only_time(root: Path, source: ModelSource) -> None:
    shutil.rmtree(entry_of(root, source))
    folder = VerifiedFolder.open(source, "cpu-fp32")
    binding = bind(folder, folder.read("model.serving.onnx"))
    write_entry(
        spec_in(root, source),
        binding,
        _save_no_graph,
        threads=1,
    )
    model, report = load(source, spec_in(root, source))
    assert report.prepack_problem is not None
    assert "refuses the graph" in report.prepack_problem
    assert answer(model)


def test_weights_that_were_touched_in_the_store_are_hashed_and_refused(
    root: Path, source: ModelSource
) -> None:
    _flip("model.onnx.data", 0.5)(Path(source.directory) / "cpu-fp32")
    with pytest.raises(ModelIntegrityError, match=rf"{WEIGHTS}: expected sha256"):
        load(source, spec_in(root, source))


def test_weights_of_the_store_that_are_not_opened_cannot_change_an_answer(
    source: ModelSource, tmp_path: Path
) -> None:
    """Even who forges the time of a change gets nothing in: what is loaded is what was checked."""
    weights = Path(source.directory) / WEIGHTS
    size_bytes = weights.stat().st_size
    assert size_bytes >= 1 << 20  # else it is hashed in any case
    write(tmp_path / "cache", source)
    expected = answer(load(source, None)[0])
    before = weights.stat()
    with weights.open("r+b") as file:
        file.write(bytes(size_bytes))
    os.utime(weights, ns=(before.st_atime_ns, before.st_mtime_ns))
    model, report = load(source, spec_in(tmp_path / "cache", source))
    assert report.is_prepacked
    assert answer(model) == expected
    with pytest.raises(ModelIntegrityError, match=rf"{WEIGHTS}: expected sha256"):
        load(source, None)


@pytest.mark.parametrize(
    "name", ["model.serving.onnx", "tokenizer.json", "serving.json", "chat_template.jinja",
             "genai_config.json"],
)  # fmt: skip
def test_small_files_of_the_store_are_hashed_with_the_cache_too(
    name: str, root: Path, source: ModelSource
) -> None:
    path = Path(source.directory) / "cpu-fp32" / name
    before = path.stat()
    _flip(name, 0.5)(path.parent)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    with pytest.raises(ModelIntegrityError, match=rf"{name}: expected sha256"):
        load(source, spec_in(root, source))


@pytest.mark.parametrize("name", [GRAPH, DATA])
def test_a_file_swapped_during_the_load_is_noticed(
    name: str, root: Path, source: ModelSource
) -> None:
    folder = VerifiedFolder.open(source, "cpu-fp32")
    binding = bind(folder, folder.read("model.serving.onnx"))
    entry = PrepackEntry.open(spec_in(root, source), binding)
    assert entry is not None
    with entry:
        entry.check_data(threads=1)
        entry.check_unchanged()
        path = entry_of(root, source) / name
        shutil.copy(path, root / "copy")
        (root / "copy").replace(path)
        with pytest.raises(PrepackError, match=f"{name}: changed while it was loaded"):
            entry.check_unchanged()


def test_a_file_of_the_store_swapped_and_put_back_is_noticed(source: ModelSource) -> None:
    folder = VerifiedFolder.open(source, "cpu-fp32")
    folder.hold_rest()
    folder.check_rest()
    folder.check_unchanged()
    weights = Path(source.directory) / WEIGHTS
    weights.rename(weights.with_name("aside"))
    weights.with_name("aside").rename(weights)
    with pytest.raises(ModelIntegrityError, match="cpu-fp32: changed while it was loaded"):
        folder.check_unchanged()


def test_a_model_that_was_tampered_with_gets_no_entry(tmp_path: Path, source: ModelSource) -> None:
    _flip("model.onnx.data", 0.5)(Path(source.directory) / "cpu-fp32")
    with pytest.raises(ModelIntegrityError):
        write(tmp_path / "cache", source)
    assert list((tmp_path / "cache").iterdir()) == []


def _start_writer(root: Path, source: ModelSource, **options: Any) -> subprocess.Popen[bytes]:
    job = PrepackJob(source=source, settings=SETTINGS, cache=spec_in(root, source))
    command = [sys.executable, "-m", "sealift.runtime.engine.worker.prepack_process"]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, **options)
    assert process.stdin is not None
    process.stdin.write(msgspec.msgpack.encode(job))
    process.stdin.close()
    process.stdin = None
    return process


def _outcome(process: subprocess.Popen[bytes]) -> PrepackOutcome:
    output, _ = process.communicate(timeout=120)
    return msgspec.msgpack.decode(output, type=PrepackOutcome)


def test_two_processes_that_write_one_entry_leave_one(tmp_path: Path, source: ModelSource) -> None:
    writers = [_start_writer(tmp_path / "cache", source) for _ in range(2)]
    outcomes = [_outcome(writer) for writer in writers]
    problems = [outcome.problem for outcome in outcomes if outcome.problem is not None]
    assert len(problems) == 1
    assert "another process wrote it" in problems[0]
    assert list((tmp_path / "cache").iterdir()) == [entry_of(tmp_path / "cache", source)]
    assert load(source, spec_in(tmp_path / "cache", source))[1].is_prepacked


def test_a_writer_that_is_killed_leaves_nothing_that_is_used(
    tmp_path: Path, source: ModelSource
) -> None:
    root = tmp_path / "cache"
    writer = _start_writer(root, source)
    while not list(root.iterdir()):
        assert writer.poll() is None
    writer.kill()
    writer.communicate()
    assert not entry_of(root, source).exists()
    _, report = load(source, spec_in(root, source))
    assert not report.is_prepacked
    assert report.prepack_problem is None


def test_a_disk_that_takes_no_more_is_told_and_leaves_nothing(
    tmp_path: Path, source: ModelSource
) -> None:
    limit = ["prlimit", "--fsize=200000", sys.executable]
    job = PrepackJob(source=source, settings=SETTINGS, cache=spec_in(tmp_path / "cache", source))
    done = subprocess.run(
        [*limit, "-m", "sealift.runtime.engine.worker.prepack_process"],
        input=msgspec.msgpack.encode(job),
        capture_output=True,
        check=True,
    )
    outcome = msgspec.msgpack.decode(done.stdout, type=PrepackOutcome)
    assert outcome.problem
    assert list((tmp_path / "cache").iterdir()) == []
