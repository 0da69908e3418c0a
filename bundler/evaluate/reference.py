"""The fp32 torch model that every exported decoder is measured against."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from sealift.bundler.errors import ExportError
from sealift.bundler.evaluate.sessions import Answers
from sealift.bundler.libraries import suit_threads

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, np.dtype[Any]]

__all__ = ["REFERENCE_NAME", "TorchDecoder"]

REFERENCE_NAME = "torch fp32"


class TorchDecoder:
    """A causal language model in fp32, answering as `FullLogits` and `GreedyDecoder` do."""

    def __init__(self, source: Path) -> None:
        import torch
        from transformers import AutoModelForCausalLM

        try:
            model = AutoModelForCausalLM.from_pretrained(str(source), dtype=torch.float32)
        except (OSError, ValueError, KeyError) as error:
            raise ExportError(f"{source.name}: cannot be loaded: {error}") from error
        suit_threads(model.num_parameters())
        self._model = model.eval()

    def logits(self, ids: list[int]) -> "Array":
        """Return `[positions, vocabulary]`."""
        import torch

        with torch.inference_mode():
            found: Array = self._model(torch.tensor([ids])).logits[0].numpy()
        return found

    def generate(
        self, rows: list[list[int]], *, new_tokens: int, eos: frozenset[int]
    ) -> list[tuple[int, ...]]:
        """Continue rows of one length greedily until an end token (not returned) or the limit."""
        import torch

        step, past = torch.tensor(rows), None
        answers = Answers(len(rows), eos)
        with torch.inference_mode():
            for _ in range(new_tokens):
                out = self._model(step, past_key_values=past, use_cache=True, logits_to_keep=1)
                past = out.past_key_values
                tokens = out.logits[:, -1].argmax(-1)
                if answers.add(tokens.tolist()):
                    break
                step = tokens[:, None]
        return answers.rows
