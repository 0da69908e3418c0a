"""Encoders (embedding, reranking, classification): one torch export with everything in the graph.

The graph takes token ids and masks of any batch and length and gives the final answer: pooling and
normalization included for an embedding, raw scores for a reranker, logits for a classifier. The
same torch module is the reference that the graph is measured against.
"""

import inspect
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sealift.bundler.errors import ExportError
from sealift.bundler.export.graph_file import load_model, save_model, save_program
from sealift.bundler.export.pooling import Pooling, read_pooling
from sealift.bundler.libraries import advice_ignored, suit_threads
from sealift.bundler.plan import VariantPlan
from sealift.bundler.quantize import quantize_embedding, quantize_matmuls, store_as_half
from sealift.manifests.recipe import Precision, Task

if TYPE_CHECKING:
    import torch

__all__ = ["OUTPUTS", "Encoder", "export_encoder", "load_encoder", "write_variant"]

#: The name of the graph's output, by task (`embedding` would collide with a value of the graph).
OUTPUTS = {Task.EMBED: "sentence_embedding", Task.RERANK: "scores", Task.CLASSIFY: "logits"}

_HUB_TASKS = {
    Task.EMBED: "feature-extraction",
    Task.RERANK: "text-classification",
    Task.CLASSIFY: "text-classification",
}
_OPSET = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Encoder:
    """A torch module that answers like the graph, and what both take and give."""

    module: "torch.nn.Module"
    inputs: tuple[str, ...]
    output: str
    dimensions: int


def load_encoder(source: Path, task: Task) -> Encoder:
    """Load a checked folder in fp32 and wrap it so that its forward is the whole task.

    Raises:
        ExportError: the model cannot be loaded, or gives something else than the task needs.
    """
    from optimum.exporters.tasks import TasksManager

    try:
        with advice_ignored():
            model = TasksManager.get_model_from_task(
                _HUB_TASKS[task],
                str(source),
                framework="pt",
                library_name="transformers",
                dtype="float32",
            )
    except (OSError, ValueError, KeyError) as error:
        raise ExportError(f"{source.name}: cannot be loaded: {error}") from error
    suit_threads(model.num_parameters())
    model = model.eval().requires_grad_(requires_grad=False)
    dimensions = model.config.hidden_size if task is Task.EMBED else model.config.num_labels
    if task is Task.RERANK and dimensions != 1:
        raise ExportError(f"task rerank: expected a model with one score, got {dimensions} labels")
    return Encoder(
        module=_wrap(model, task, _read_pooling(source)).eval(),
        inputs=_inputs(model),
        output=OUTPUTS[task],
        dimensions=dimensions,
    )


def export_encoder(encoder: Encoder, path: Path) -> None:
    """Write the fp32 graph.

    Raises:
        ExportError: torch cannot trace the model.
    """
    import torch

    example = {
        "input_ids": torch.tensor([[5, 6, 7, 8], [9, 10, 11, 3]]),
        "attention_mask": torch.tensor([[1, 1, 1, 1], [1, 1, 1, 0]]),
        "token_type_ids": torch.zeros(2, 4, dtype=torch.int64),
    }
    axes = {0: torch.export.Dim.DYNAMIC, 1: torch.export.Dim.DYNAMIC}
    try:
        with advice_ignored():
            program = torch.onnx.export(
                encoder.module,
                kwargs={name: example[name] for name in encoder.inputs},
                dynamic_shapes=dict.fromkeys(encoder.inputs, axes),
                input_names=list(encoder.inputs),
                output_names=[encoder.output],
                opset_version=_OPSET,
                dynamo=True,
                verbose=False,
            )
    except torch.onnx.OnnxExporterError as error:
        raise ExportError(f"torch.onnx: {str(error).splitlines()[0]}") from error
    if program is None:
        raise ExportError("torch.onnx: expected a program, got nothing")
    save_program(program.model, path)


def write_variant(fp32: Path, out: Path, plan: VariantPlan) -> None:
    """Make one precision of an exported fp32 graph."""
    model = load_model(fp32)
    match plan.precision:
        case Precision.INT4 | Precision.INT8:
            model = quantize_matmuls(model, plan.precision, block_size=plan.block_size)
            # int8 for the table in int4 models too: it is read once a token, and 4 bits cost most.
            quantize_embedding(model, block_size=plan.block_size)
        case Precision.FP16:
            store_as_half(model)
        case Precision.FP32:
            pass
    save_model(model, out)


def _read_pooling(source: Path) -> Pooling:
    configs = sorted(source.glob("[0-9]_Pooling/config.json"))
    modules = source / "modules.json"
    return read_pooling(
        json.loads(modules.read_bytes()) if modules.is_file() else None,
        json.loads(configs[0].read_bytes()) if configs else None,
    )


def _inputs(model: Any) -> tuple[str, ...]:
    rows = getattr(model.config, "type_vocab_size", 0)
    uses_types = rows > 1 and "token_type_ids" in inspect.signature(model.forward).parameters
    return ("input_ids", "attention_mask", *(("token_type_ids",) if uses_types else ()))


def _wrap(model: Any, task: Task, pooling: Pooling) -> "torch.nn.Module":
    import torch

    class Wrapped(torch.nn.Module):  # type: ignore[misc]  # torch is not followed
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(
            self,
            input_ids: torch.Tensor,
            attention_mask: torch.Tensor,
            token_type_ids: torch.Tensor | None = None,
        ) -> torch.Tensor:
            types = {} if token_type_ids is None else {"token_type_ids": token_type_ids}
            out = self.model(input_ids=input_ids, attention_mask=attention_mask, **types)
            if task is Task.EMBED:
                return _pool(out.last_hidden_state, attention_mask, pooling)
            scores: torch.Tensor = out.logits
            return scores[:, 0] if task is Task.RERANK else scores

    return Wrapped()


def _pool(hidden: "torch.Tensor", mask: "torch.Tensor", pooling: Pooling) -> "torch.Tensor":
    import torch

    weights = mask.unsqueeze(-1).to(hidden.dtype)
    count = weights.sum(1).clamp(min=1e-9)
    match pooling.mode:
        case "cls":
            vector = hidden[:, 0]
        case "max":
            vector = hidden.masked_fill(weights == 0, -1e9).max(1).values
        case "lasttoken":
            # The last position that the mask keeps, wherever the padding is.
            positions = torch.arange(mask.shape[1]).unsqueeze(0) * mask
            vector = hidden[torch.arange(mask.shape[0]), positions.argmax(1)]
        case "mean_sqrt_len_tokens":
            vector = (hidden * weights).sum(1) / count.sqrt()
        case _:
            vector = (hidden * weights).sum(1) / count
    return torch.nn.functional.normalize(vector, p=2.0, dim=1) if pooling.normalize else vector
