"""The engine on real graphs: batched equals alone, cancelled slots are free, files are checked."""

import shutil
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path

import pytest

from sealift.runtime.engine.decode.generator import Generator
from sealift.runtime.engine.errors import (
    ContextLengthError,
    LoadError,
    ModelIntegrityError,
    PromptError,
)
from sealift.runtime.engine.load.chat_model import ChatModel
from sealift.runtime.engine.load.model import load_model
from sealift.runtime.engine.request import ChatMessage, Delta, Embed, Generate, SamplingParams
from sealift.runtime.engine.settings import EngineSettings
from sealift.runtime.engine.source import ModelSource
from sealift.runtime.engine.vectors.model import EmbedModel
from sealift.runtime.engine.worker.service import generator_of

SETTINGS = EngineSettings(slots=8, prefill_chunk=16, prefill_chunk_alone=48, threads=2)
GREEDY = SamplingParams(temperature=0.0)
DescribeFolder = Callable[[str, Path], ModelSource]


@pytest.fixture(scope="module")
def chat_model(chat_folder: Path, source_of: DescribeFolder) -> ChatModel:
    model, _ = load_model(source_of("tiny", chat_folder), SETTINGS, now=datetime.now)
    assert isinstance(model, ChatModel)
    return model


def _ask(id: int, text: str, max_tokens: int, sampling: SamplingParams = GREEDY) -> Generate:
    messages = (ChatMessage(role="user", content=text),)
    return Generate(id=id, messages=messages, sampling=sampling, max_tokens=max_tokens)


def _run(generator: Generator) -> Iterator[tuple[int, str]]:
    while generator.has_work:
        for delta in generator.step():
            yield delta.id, delta.text


def _answers(model: ChatModel, requests: list[Generate], *, together: bool) -> dict[int, str]:
    answers = {request.id: "" for request in requests}
    generator = generator_of(model, SETTINGS)
    for request in requests:
        generator.submit(*model.prepare(request))
        if not together:
            for id, text in _run(generator):
                answers[id] += text
    for id, text in _run(generator):
        answers[id] += text
    return answers


LENGTHS = [(1, 40), (30, 25), (3, 60), (90, 33), (50, 18), (9, 50), (140, 20), (17, 44), (25, 30),
           (6, 27), (60, 9)]  # fmt: skip


def _ragged(sampling: Callable[[int], SamplingParams]) -> list[Generate]:
    return [
        _ask(id, "word " * words + str(id), tokens, sampling(id))
        for id, (words, tokens) in enumerate(LENGTHS)
    ]


def test_batched_answers_equal_those_of_one_at_a_time(chat_model: ChatModel) -> None:
    requests = _ragged(lambda _: GREEDY)
    alone = _answers(chat_model, requests, together=False)
    assert all(alone.values())
    assert len(set(alone.values())) > 8
    assert _answers(chat_model, requests, together=True) == alone


def test_a_seed_gives_one_answer_whatever_runs_beside_it(chat_model: ChatModel) -> None:
    requests = _ragged(lambda id: SamplingParams(temperature=0.9, top_p=0.9, seed=id))
    alone = _answers(chat_model, requests, together=False)
    assert _answers(chat_model, requests, together=True) == alone
    other = _ragged(lambda id: SamplingParams(temperature=0.9, top_p=0.9, seed=id + 100))
    assert _answers(chat_model, other, together=True) != alone


def test_chunked_prefill_equals_whole(chat_model: ChatModel) -> None:
    request = _ask(1, "word " * 140, 20)
    whole = generator_of(chat_model, EngineSettings(slots=8, prefill_chunk_alone=512))
    chunked = generator_of(chat_model, EngineSettings(slots=8, prefill_chunk_alone=7))
    answers = []
    for generator in (whole, chunked):
        generator.submit(*chat_model.prepare(request))
        answers.append("".join(text for _, text in _run(generator)))
    assert answers[0] == answers[1] != ""


def test_cancelled_requests_leave_the_others_answers_alone(chat_model: ChatModel) -> None:
    requests = _ragged(lambda _: GREEDY)
    alone = _answers(chat_model, requests, together=False)
    generator = generator_of(chat_model, SETTINGS)
    for request in requests:
        generator.submit(*chat_model.prepare(request))
    answers = {request.id: "" for request in requests}
    steps = 0
    while generator.has_work:
        for delta in generator.step():
            answers[delta.id] += delta.text
        steps += 1
        if steps in (9, 15, 22):
            generator.cancel({9: 0, 15: 4, 22: 6}[steps])
    kept = [id for id in answers if id not in (0, 4, 6)]
    assert {id: answers[id] for id in kept} == {id: alone[id] for id in kept}
    assert generator.scheduler.held_slots == 0


def test_stop_string_is_cut_and_ends_the_answer(chat_model: ChatModel) -> None:
    plain = _answers(chat_model, [_ask(1, "hello there", 40)], together=True)[1]
    stop = plain[len(plain) // 2 :][:3]
    generator = generator_of(chat_model, SETTINGS)
    request = _ask(1, "hello there", 40)
    generator.submit(
        *chat_model.prepare(
            Generate(id=1, messages=request.messages, sampling=GREEDY, max_tokens=40, stop=(stop,))
        )
    )
    deltas = []
    while generator.has_work:
        deltas += generator.step()
    assert "".join(delta.text for delta in deltas) == plain[: plain.index(stop)]
    assert deltas[-1].finish_reason == "stop"


def test_a_conversation_that_cannot_fit_is_refused(chat_model: ChatModel) -> None:
    with pytest.raises(ContextLengthError, match="context is 512 tokens"):
        chat_model.prepare(_ask(1, "word " * 600, 1))
    with pytest.raises(ContextLengthError, match="600 were asked"):
        chat_model.prepare(_ask(1, "hi", 600))


def test_the_context_can_be_filled_to_its_last_token(chat_model: ChatModel) -> None:
    (sequence,) = chat_model.prepare(_ask(1, "word " * 150, 1))
    room = chat_model.context_length - len(sequence.prompt)
    request = _ask(1, "word " * 150, room)
    generator = generator_of(chat_model, SETTINGS)
    generator.submit(*chat_model.prepare(request))
    last = list(_deltas(generator))[-1]
    assert last.finish_reason == "length"
    assert last.prompt_tokens + last.completion_tokens == chat_model.context_length


def _deltas(generator: Generator) -> Iterator[Delta]:
    while generator.has_work:
        yield from generator.step()


def test_vectors_do_not_depend_on_their_neighbours(
    embed_folder: Path, source_of: DescribeFolder
) -> None:
    model, _ = load_model(source_of("embed", embed_folder), SETTINGS, now=datetime.now)
    assert isinstance(model, EmbedModel)
    job = model.prepare(Embed(id=1, inputs=("a", "a much longer text than the first", (5, 6, 7))))
    together = model.encoder.run(job.inputs)
    for row, tokens in zip(together, job.inputs, strict=True):
        assert row == pytest.approx(model.encoder.run([tokens])[0], abs=1e-6)
    with pytest.raises(ContextLengthError, match=r"input\[0\]: this model takes 64 tokens"):
        model.prepare(Embed(id=1, inputs=("word " * 100,)))
    with pytest.raises(PromptError, match=r"input\[0\]: expected token ids of 0 to"):
        model.prepare(Embed(id=1, inputs=((99999,),)))


def _flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


FILES = [
    "model.serving.onnx",
    "model.onnx",
    "model.onnx.data",
    "tokenizer.json",
    "serving.json",
    "chat_template.jinja",
    "genai_config.json",
]


@pytest.mark.parametrize("name", FILES)
def test_one_changed_byte_is_refused_by_name(
    name: str, chat_folder: Path, source_of: DescribeFolder, tmp_path: Path
) -> None:
    folder = tmp_path / "model"
    shutil.copytree(chat_folder, folder)
    source = source_of("tiny", folder)
    _flip(folder / "cpu-fp32" / name)
    with pytest.raises(ModelIntegrityError, match=rf"cpu-fp32/{name}: expected sha256"):
        load_model(source, SETTINGS, now=datetime.now)


def _remove(folder: Path) -> None:
    (folder / "tokenizer.json").unlink()


def _add(folder: Path) -> None:
    (folder / "extra.bin").write_bytes(b"x")


def _add_below(folder: Path) -> None:
    (folder / "more").mkdir()
    (folder / "more" / "extra.bin").write_bytes(b"x")


def _link(folder: Path) -> None:
    (folder / "tokenizer.json").rename(folder.parent / "elsewhere")
    (folder / "tokenizer.json").symlink_to(folder.parent / "elsewhere")


def _grow(folder: Path) -> None:
    with (folder / "model.onnx.data").open("ab") as stream:
        stream.write(b"\0")


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (_remove, "cpu-fp32/tokenizer.json: missing"),
        (_add, "cpu-fp32/extra.bin: the signed statement does not list it"),
        (_add_below, "cpu-fp32/more/extra.bin: the signed statement does not list it"),
        (_link, "cpu-fp32/tokenizer.json: cannot be read"),
        (_grow, r"cpu-fp32/model.onnx.data: expected \d+ bytes, got \d+"),
    ],
)
def test_a_folder_that_differs_from_the_statement_is_refused(
    damage: Callable[[Path], None],
    message: str,
    chat_folder: Path,
    source_of: DescribeFolder,
    tmp_path: Path,
) -> None:
    folder = tmp_path / "model"
    shutil.copytree(chat_folder, folder)
    source = source_of("tiny", folder)
    damage(folder / "cpu-fp32")
    with pytest.raises(ModelIntegrityError, match=message):
        load_model(source, SETTINGS, now=datetime.now)


@pytest.mark.parametrize("location", ["../secret.bin", "/etc/hostname", "link.bin"])
def test_weights_outside_the_folder_do_not_load(location: str, tmp_path: Path) -> None:
    from onnx import TensorProto, helper

    from sealift.runtime.engine.session import open_session

    folder = tmp_path / "model"
    folder.mkdir()
    (tmp_path / "secret.bin").write_bytes(bytes(16))
    (folder / "link.bin").symlink_to("../secret.bin")
    weight = TensorProto(
        name="w", data_type=TensorProto.FLOAT, dims=[4], data_location=TensorProto.EXTERNAL
    )
    weight.external_data.add(key="location", value=location)
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [4]) for name in "xy"]
    node = helper.make_node("Add", ["x", "w"], ["y"])
    graph = helper.make_graph([node], "g", values[:1], values[1:], [weight])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    with pytest.raises(LoadError, match="refuses the graph"):
        open_session(model.SerializeToString(), folder, threads=1)


def test_what_is_no_graph_does_not_load(tmp_path: Path) -> None:
    from sealift.runtime.engine.session import open_session

    with pytest.raises(LoadError, match="refuses the graph"):
        open_session(b"not a graph", tmp_path, threads=1)
