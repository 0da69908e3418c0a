"""The graph edits: what changes, what must not, and what is refused."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest

from sealift.bundler.errors import ExportError
from sealift.bundler.evaluate.sessions import FullLogits, GreedyDecoder
from sealift.bundler.export.decoder import export_decoder
from sealift.bundler.export.graph_file import load_graph
from sealift.bundler.export.serving_graph import SERVING_GRAPH, edit_for_serving
from sealift.bundler.plan import Route, VariantPlan
from sealift.manifests.recipe import Precision, Task, VariantSpec
from sealift.manifests.serving import DecoderShape
from tests.bundler.conftest import build_here
from tests.bundler.miniatures import save_decoder

SHAPE = DecoderShape(layers=2, kv_heads=2, head_size=16, vocab_size=2048)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("qwen")
    source = save_decoder("qwen2.5", root / "model")
    out = root / "out"
    out.mkdir()
    plan = VariantPlan(
        spec=VariantSpec(precision=Precision.INT4), task=Task.CHAT, route=Route.GENAI
    )
    export_decoder(source, out, plan, run_builder=build_here)
    return out


def test_serving_graph_takes_lengths_instead_of_a_mask(folder: Path) -> None:
    graph = load_graph(folder / SERVING_GRAPH).graph
    inputs = {value.name for value in graph.input}
    caches = {name for name in inputs if name.startswith("past_key_values.")}
    assert inputs - caches == {"input_ids", "seqlens_k", "total_sequence_length", "logits_from"}
    assert len(caches) == 4
    produced = {output for node in graph.node for output in node.output}
    known = produced | inputs | {tensor.name for tensor in graph.initializer} | {""}
    used = {name for node in graph.node for name in node.input}
    outputs = {value.name for value in graph.output}
    assert used <= known, "a node reads what nobody writes"
    assert all(set(node.output) & (used | outputs) for node in graph.node), "a node nobody reads"


def test_both_graphs_share_one_weights_file(folder: Path) -> None:
    for name in ("model.onnx", SERVING_GRAPH):
        places = {
            entry.value
            for tensor in load_graph(folder / name).graph.initializer
            for entry in tensor.external_data
            if entry.key == "location"
        }
        assert places == {"model.onnx.data"}
    files = sorted(path.name for path in folder.iterdir())
    assert files == ["genai_config.json", "model.onnx", "model.onnx.data", SERVING_GRAPH]


def test_tied_table_is_stored_once_in_int4(folder: Path) -> None:
    # 2048 x 64 weights in fp32 alone would be 512 KiB.
    assert (folder / "model.onnx.data").stat().st_size < 200_000


def test_edit_is_deterministic_and_leaves_its_input_alone(folder: Path) -> None:
    model = load_graph(folder / "model.onnx")
    before = model.SerializeToString(deterministic=True)
    first = edit_for_serving(model).SerializeToString(deterministic=True)
    assert edit_for_serving(model).SerializeToString(deterministic=True) == first
    assert model.SerializeToString(deterministic=True) == before
    assert (folder / SERVING_GRAPH).read_bytes() == first


def test_last_position_equals_the_unedited_graph(folder: Path) -> None:
    ids = np.random.default_rng(1).integers(3, 2000, 40).tolist()
    wanted = FullLogits(folder / "model.onnx", SHAPE)(ids)
    decoder = GreedyDecoder(folder / SERVING_GRAPH, SHAPE, rows=1, max_length=64)
    found = decoder.generate([ids], new_tokens=1, eos=frozenset())
    assert found == [(int(wanted[-1].argmax()),)]


def test_rows_of_a_batch_answer_as_alone(tmp_path: Path) -> None:
    # At fp32: int4 kernels for one row and for many differ in last digits, on some processors.
    source = save_decoder("qwen2.5", tmp_path / "model")
    folder = tmp_path / "out"
    folder.mkdir()
    plan = VariantPlan(
        spec=VariantSpec(precision=Precision.FP32), task=Task.CHAT, route=Route.GENAI
    )
    export_decoder(source, folder, plan, run_builder=build_here)
    rng = np.random.default_rng(2)
    rows = [rng.integers(3, 2000, 21).tolist() for _ in range(8)]
    decoder = GreedyDecoder(folder / SERVING_GRAPH, SHAPE, rows=8, max_length=64)
    together = decoder.generate(rows, new_tokens=12, eos=frozenset())
    alone = [decoder.generate([row], new_tokens=12, eos=frozenset())[0] for row in rows]
    assert together == alone


def _without_logits(model: onnx.ModelProto) -> None:
    model.graph.node[-1].output[0] = "other"


def _with_strange_head(model: onnx.ModelProto) -> None:
    model.graph.node[-1].op_type = "Softmax"


def _without_attention(model: onnx.ModelProto) -> None:
    for node in model.graph.node:
        if node.op_type == "GroupQueryAttention":
            node.op_type = "MultiHeadAttention"


def _with_one_attention_less(model: onnx.ModelProto) -> None:
    node = next(n for n in model.graph.node if n.op_type == "GroupQueryAttention")
    node.op_type = "Attention"


def _with_mask_used_elsewhere(model: onnx.ModelProto) -> None:
    head = model.graph.node[-1]
    model.graph.node.insert(
        0, onnx.helper.make_node("Cast", ["attention_mask"], ["extra"], to=onnx.TensorProto.FLOAT)
    )
    head.input.append("extra")


def _with_windowed_cache(model: onnx.ModelProto) -> None:
    node = next(n for n in model.graph.node if n.op_type == "GroupQueryAttention")
    node.attribute.append(onnx.helper.make_attribute("sliding_window_cache", 1))


def _with_unknown_branch(model: onnx.ModelProto) -> None:
    empty = onnx.helper.make_graph([], "branch", [], [])
    node = onnx.helper.make_node("If", ["c"], ["x"], then_branch=empty, else_branch=empty)
    model.graph.node.insert(0, node)


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (_without_logits, "LM head"),
        (_with_strange_head, "got Softmax"),
        (_without_attention, "GroupQueryAttention"),
        (_with_one_attention_less, "for each of 2 caches, got 1"),
        (_with_mask_used_elsewhere, "no attention_mask"),
        (_with_windowed_cache, "full-length cache"),
        (_with_unknown_branch, "rotation caches"),
    ],
)
def test_unexpected_graph_is_refused(
    folder: Path, spoil: Callable[[onnx.ModelProto], None], says: str
) -> None:
    model = load_graph(folder / "model.onnx")
    spoil(model)
    with pytest.raises(ExportError, match=says):
        edit_for_serving(model)
