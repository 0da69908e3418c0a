"""Every architecture family of the catalogue, exported and compared with torch.

Decoders: greedy tokens of the serving graph, with its cache, on prompts of many lengths. Encoders:
vectors, scores and logits of padded batches. All go through exporter `auto`: gemma-3 too is built
by genai, from a corrected configuration (`builder_fixes`).
"""

import warnings
from pathlib import Path

import numpy as np
import pytest

from sealift.bundler.evaluate.reference import TorchDecoder
from sealift.bundler.evaluate.sessions import GreedyDecoder, open_session
from sealift.bundler.export.decoder import export_decoder
from sealift.bundler.export.encoder import export_encoder, load_encoder
from sealift.bundler.export.serving_graph import SERVING_GRAPH
from sealift.bundler.plan import Route, VariantPlan
from sealift.manifests.recipe import Precision, Task, VariantSpec
from sealift.manifests.serving import DecoderShape
from tests.bundler.conftest import build_here
from tests.bundler.miniatures import DECODERS, ENCODERS, WINDOW, save_decoder, save_encoder

NEW_TOKENS = 20
# Lengths below and beyond the window; the last one leaves room inside the short rotation.
LENGTHS = (1, 2, 5, 8, 13, 23, 31, 32, 33, 50, 77, 105)

FP32_CHAT = VariantPlan(
    spec=VariantSpec(precision=Precision.FP32), task=Task.CHAT, route=Route.GENAI
)


@pytest.mark.parametrize("family", DECODERS)
def test_decoder_gives_the_tokens_of_torch(family: str, tmp_path: Path) -> None:
    source = save_decoder(family, tmp_path / "model")
    out = tmp_path / "out"
    out.mkdir()
    export_decoder(source, out, FP32_CHAT, run_builder=build_here)
    head_size = 32 if family == "qwen3" else 16
    kv_heads = 4 if family == "smollm2" else 2
    shape = DecoderShape(layers=2, kv_heads=kv_heads, head_size=head_size, vocab_size=2048)
    graph = GreedyDecoder(out / SERVING_GRAPH, shape, rows=1, max_length=160)
    reference = TorchDecoder(source)
    rng = np.random.default_rng(0)
    said: set[int] = set()
    assert min(LENGTHS) < WINDOW < max(LENGTHS)
    for length in LENGTHS:
        prompt = rng.integers(3, 2000, length).tolist()
        found = graph.generate([prompt], new_tokens=NEW_TOKENS, eos=frozenset())
        wanted = reference.generate([prompt], new_tokens=NEW_TOKENS, eos=frozenset())
        assert found == wanted, f"prompt of {length} tokens"
        said.update(found[0])
    assert len(said) > 8, "the miniature repeats itself: it would prove nothing"


@pytest.mark.parametrize("family", ENCODERS)
def test_encoder_gives_the_vectors_of_torch(family: str, tmp_path: Path) -> None:
    import torch

    source = save_encoder(family, tmp_path / "model")
    _, task, _ = ENCODERS[family]
    encoder = load_encoder(source, Task(task))
    export_encoder(encoder, tmp_path / "model.onnx")
    session = open_session(tmp_path / "model.onnx")
    assert tuple(value.name for value in session.get_inputs()) == encoder.inputs
    rng = np.random.default_rng(0)
    pad = 1 if family in {"multilingual-e5", "mpnet", "bge-reranker"} else 0
    for lengths in ((1,), (40,), (7, 7), (3, 64, 17, 1, 50)):
        texts = [rng.integers(5, 2000, length).tolist() for length in lengths]
        width = max(lengths)
        feeds = {
            "input_ids": np.array([t + [pad] * (width - len(t)) for t in texts]),
            "attention_mask": np.array([[1] * len(t) + [0] * (width - len(t)) for t in texts]),
            "token_type_ids": np.zeros((len(texts), width), np.int64),
        }
        (found,) = session.run([encoder.output], {name: feeds[name] for name in encoder.inputs})
        for row, text in enumerate(texts):
            one = {
                "input_ids": torch.tensor([text]),
                "attention_mask": torch.ones(1, len(text), dtype=torch.int64),
                "token_type_ids": torch.zeros(1, len(text), dtype=torch.int64),
            }
            with torch.inference_mode(), warnings.catch_warnings():
                wanted = encoder.module(**{name: one[name] for name in encoder.inputs})[0].numpy()
            assert np.abs(found[row] - wanted).max() <= 1e-4
