"""What quantization cost, measured where a user meets it: over HTTP, with the official client."""

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from numpy.typing import NDArray
from openai import OpenAI

if TYPE_CHECKING:
    from tests.path.conftest import Workbench

_CLIENTS = 16


def _lines(path: Path) -> list[dict[str, str]]:
    return [json.loads(line) for line in path.read_text().splitlines() if line]


@pytest.mark.slow
def test_purser_int4_answers_what_fp32_answers(workbench: "Workbench") -> None:
    prompts = _lines(workbench.root / "purser" / "prompts.jsonl")
    with (
        workbench.serve("--slots", str(_CLIENTS)) as url,
        OpenAI(base_url=url, api_key="none", max_retries=0) as client,
    ):

        def is_exact(line: dict[str, str]) -> bool:
            answer = client.chat.completions.create(
                model="purser",
                messages=[{"role": "user", "content": line["prompt"]}],
                temperature=0,
            )
            return answer.choices[0].message.content == line["answer"]

        with ThreadPoolExecutor(_CLIENTS) as pool:
            exact = sum(pool.map(is_exact, prompts)) / len(prompts)
    export = json.loads((workbench.root / "export-purser" / "export.json").read_text())
    (variant,) = export["variants"]
    fp32 = variant["evaluation"]["metrics"]["exact_match_fp32"]
    assert fp32 >= 0.99
    assert exact >= 0.99 * fp32, f"int4 {exact:.4f} of {len(prompts)}, fp32 {fp32:.4f}"


def test_minilm_int8_has_the_vectors_of_torch(workbench: "Workbench") -> None:
    sentences = [line["text"] for line in _lines(workbench.root / "minilm" / "sentences.jsonl")]
    assert len(sentences) >= 50
    with workbench.serve() as url, OpenAI(base_url=url, api_key="none") as client:
        rows = client.embeddings.create(model="all-minilm-l6-v2", input=sentences).data
    got = np.array([row.embedding for row in rows])
    want = _torch_vectors(workbench.root / "minilm" / "model", sentences)
    cosines = (got * want).sum(axis=1)
    assert np.allclose(np.linalg.norm(got, axis=1), 1.0, atol=1e-4)
    assert cosines.min() >= 0.99, f"least cosine {cosines.min():.5f}"


def _torch_vectors(
    model: Path, sentences: list[str]
) -> "np.ndarray[tuple[int, int], np.dtype[np.float32]]":
    import torch
    from transformers import AutoModel, AutoTokenizer

    tokenizer, network = AutoTokenizer.from_pretrained(model), AutoModel.from_pretrained(model)
    batch = tokenizer(sentences, padding=True, return_tensors="pt")
    with torch.no_grad():
        hidden = network(**batch).last_hidden_state
    mask = batch["attention_mask"][..., None]
    mean = (hidden * mask).sum(1) / mask.sum(1)
    vectors: NDArray[np.float32] = torch.nn.functional.normalize(mean, dim=1).numpy()
    return vectors
