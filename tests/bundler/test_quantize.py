"""Quantized weights: close to the originals, smaller, shared where the model shares them."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from sealift.bundler.errors import ExportError
from sealift.bundler.evaluate.sessions import open_session
from sealift.bundler.export.graph_file import load_graph, save_model
from sealift.bundler.quantize import quantize_embedding, quantize_matmuls, store_as_half
from sealift.manifests.recipe import Precision

ROWS, COLUMNS, OUT = 1200, 64, 48


def small_model(*, tied: bool = False) -> onnx.ModelProto:
    """`MatMul(Gather(table, ids), weight)`; tied: the weight is the table, turned."""
    rng = np.random.default_rng(0)
    table = rng.normal(0, 0.1, (ROWS, COLUMNS)).astype(np.float32)
    weight = table.T.copy() if tied else rng.normal(0, 0.1, (COLUMNS, OUT)).astype(np.float32)
    graph = helper.make_graph(
        [
            helper.make_node("Gather", ["table", "ids"], ["rows"], name="gather"),
            helper.make_node("MatMul", ["rows", "weight"], ["y"], name="matmul"),
        ],
        "small",
        [helper.make_tensor_value_info("ids", TensorProto.INT64, ["n"])],
        [
            helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", weight.shape[1]]),
            helper.make_tensor_value_info("rows", TensorProto.FLOAT, ["n", COLUMNS]),
        ],
        [numpy_helper.from_array(table, "table"), numpy_helper.from_array(weight, "weight")],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)


def run(model: onnx.ModelProto, folder: Path) -> tuple[np.ndarray, np.ndarray, int]:
    path = folder / "model.onnx"
    save_model(model, path)
    ids = np.array([0, 5, ROWS - 1])
    y, rows = open_session(path).run(["y", "rows"], {"ids": ids})
    return y, rows, path.with_name("model.onnx.data").stat().st_size


@pytest.mark.parametrize(("precision", "error"), [(Precision.INT8, 0.02), (Precision.INT4, 0.2)])
@pytest.mark.parametrize("block_size", [16, 32, 64])
def test_blocks_stay_close(
    precision: Precision, error: float, block_size: int, tmp_path: Path
) -> None:
    wanted_y, wanted_rows, plain_bytes = run(small_model(), tmp_path)
    model = quantize_matmuls(small_model(), precision, block_size=block_size)
    quantize_embedding(model, block_size=block_size)
    y, rows, bytes_ = run(model, tmp_path)
    assert np.abs(rows - wanted_rows).max() < 0.003
    assert np.abs(y - wanted_y).max() < error
    assert bytes_ < plain_bytes / 2
    kinds = {node.op_type for node in load_graph(tmp_path / "model.onnx").graph.node}
    assert {"MatMulNBits", "GatherBlockQuantized"} <= kinds
    assert not kinds & {"MatMul", "Gather"}


def test_tied_table_is_the_head(tmp_path: Path) -> None:
    model = quantize_matmuls(small_model(tied=True), Precision.INT8, block_size=32)
    quantize_embedding(model, block_size=32)
    names = {tensor.name for tensor in model.graph.initializer}
    assert not any(name.startswith("table") for name in names), "the table is stored twice"
    _, rows, _ = run(model, tmp_path)
    table = numpy_helper.to_array(small_model(tied=True).graph.initializer[0])
    assert np.abs(rows - table[[0, 5, ROWS - 1]]).max() < 0.003


def test_head_of_the_same_shape_that_is_not_the_table_is_not_shared(tmp_path: Path) -> None:
    model = small_model(tied=True)
    other = np.random.default_rng(9).normal(0, 0.1, (COLUMNS, ROWS)).astype(np.float32)
    model.graph.initializer[1].CopyFrom(numpy_helper.from_array(other, "weight"))
    model = quantize_matmuls(model, Precision.INT8, block_size=32)
    quantize_embedding(model, block_size=32)
    _, rows, _ = run(model, tmp_path)
    table = numpy_helper.to_array(small_model(tied=True).graph.initializer[0])
    assert np.abs(rows - table[[0, 5, ROWS - 1]]).max() < 0.003


def test_table_of_zeros_stays_zero(tmp_path: Path) -> None:
    model = small_model()
    zeros = np.zeros((ROWS, COLUMNS), np.float32)
    model.graph.initializer[0].CopyFrom(numpy_helper.from_array(zeros, "table"))
    quantize_embedding(model, block_size=32)
    _, rows, _ = run(model, tmp_path)
    assert not rows.any()


def test_half_is_half_the_size_and_equal_to_three_digits(tmp_path: Path) -> None:
    wanted_y, _, plain_bytes = run(small_model(), tmp_path)
    model = small_model()
    store_as_half(model)
    y, _, bytes_ = run(model, tmp_path)
    assert np.abs(y - wanted_y).max() < 1e-3
    assert bytes_ <= plain_bytes // 2 + 1024


def test_half_refuses_what_it_cannot_hold() -> None:
    model = small_model()
    large = np.full((ROWS, COLUMNS), 1e6, np.float32)
    model.graph.initializer[0].CopyFrom(numpy_helper.from_array(large, "table"))
    with pytest.raises(ExportError, match="table: expected values up to 65504"):
        store_as_half(model)


def test_nothing_to_quantize_is_an_error() -> None:
    model = small_model()
    del model.graph.node[1]
    del model.graph.output[0]
    with pytest.raises(ExportError, match="constant MatMul"):
        quantize_matmuls(model, Precision.INT8, block_size=32)


def test_saving_removes_what_tells_of_the_machine(tmp_path: Path) -> None:
    model = small_model()
    model.doc_string = "/home/someone"
    node = model.graph.node[0]
    node.doc_string = "File /home/someone/x.py"
    entry = node.metadata_props.add()
    entry.key, entry.value = "pkg.torch.onnx.stack_trace", "File /home/someone/x.py"
    save_model(model, tmp_path / "model.onnx")
    assert b"/home/someone" not in (tmp_path / "model.onnx").read_bytes()
