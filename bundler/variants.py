"""Every variant of a recipe: exported, given its tokenizer and `serving.json`, measured.

All variants are exported before any is measured, so that the exporter's memory and the reference
model's never add up.
"""

from pathlib import Path

from sealift.bundler.evaluate.limits import applied_limits, check_limits
from sealift.bundler.evaluate.samples import Samples, read_samples
from sealift.bundler.export.serving_graph import SERVING_GRAPH
from sealift.bundler.facts import ModelFacts
from sealift.bundler.plan import VariantPlan
from sealift.bundler.record import EvaluationRecord, VariantRecord
from sealift.bundler.steps import StepLog
from sealift.bundler.tokenizer_files import (
    CHAT_TEMPLATE_FILE,
    TokenizerFacts,
    sentence_limit,
    write_tokenizer,
)
from sealift.manifests.recipe import EvaluateSpec, Recipe, Task
from sealift.manifests.serving import SERVING_FILE, DecoderShape, ServingConfig, VectorShape

__all__ = ["build_variants"]

Plans = tuple[VariantPlan, ...]


def build_variants(
    recipe: Recipe,
    recipe_dir: Path,
    plans: Plans,
    facts: ModelFacts,
    model: Path,
    files: Path,
    log: StepLog,
) -> tuple[VariantRecord, ...]:
    """Make each variant's folder under `files` and return what became of it.

    Raises:
        SourceError, ExportError, EvaluationError: as `build.export_bundle`.
    """
    samples = read_samples(recipe.task, recipe.evaluate, recipe_dir)
    for plan in plans:
        (files / plan.label).mkdir()
    if recipe.task is Task.CHAT:
        measured = _chat(recipe, plans, facts, model, files, samples, log)
    else:
        measured = _vectors(recipe, plans, facts, model, files, samples, log)
    return tuple(
        VariantRecord(
            label=plan.label,
            device=plan.spec.device,
            precision=plan.precision,
            block_size=plan.block_size,
            exporter=plan.route.value,
            size_bytes=_size_bytes(files / plan.label),
            evaluation=measured[plan.label],
        )
        for plan in plans
    )


def _chat(
    recipe: Recipe,
    plans: Plans,
    facts: ModelFacts,
    model: Path,
    files: Path,
    samples: Samples,
    log: StepLog,
) -> dict[str, EvaluationRecord]:
    from sealift.bundler.evaluate.chat import ChatEvaluation
    from sealift.bundler.evaluate.reference import TorchDecoder
    from sealift.bundler.export.decoder import export_decoder

    shape = _decoder_shape(facts)
    config = None
    for plan in plans:
        out = files / plan.label
        config = _chat_config(plan, facts, write_tokenizer(model, out, plan.task), shape)
        (out / SERVING_FILE).write_bytes(config.encode())
        with log.step(f"export {plan.label}"):
            log.note_child_peak(export_decoder(model, out, plan))
    if config is None:  # a checked recipe has at least one variant
        return {}
    with log.step("load reference"):
        reference = TorchDecoder(model)
    evaluation = ChatEvaluation(reference, samples, files / plans[0].label, config)
    measured = {}
    for plan in plans:
        with log.step(f"evaluate {plan.label}", total=evaluation.total) as advance:
            metrics = evaluation.measure(files / plan.label, advance)
        check_limits(plan.label, plan.precision, metrics, recipe.evaluate)
        measured[plan.label] = _evaluation(metrics, evaluation.sample_counts, recipe.evaluate)
    return measured


def _vectors(
    recipe: Recipe,
    plans: Plans,
    facts: ModelFacts,
    model: Path,
    files: Path,
    samples: Samples,
    log: StepLog,
) -> dict[str, EvaluationRecord]:
    from sealift.bundler.evaluate.vectors import VectorEvaluation
    from sealift.bundler.export.encoder import export_encoder, load_encoder, write_variant

    # Tokenizers first: a missing one is found in a second, not after the export.
    tokenizers = {p.label: write_tokenizer(model, files / p.label, p.task) for p in plans}
    with log.step("load reference"):
        encoder = load_encoder(model, recipe.task)
    exported = model.parent / "fp32"
    exported.mkdir()
    with log.step("export fp32 graph"):
        export_encoder(encoder, exported / "model.onnx")
    shape_of = {
        label: VectorShape(
            dimensions=encoder.dimensions,
            pad_token_id=tokenizer.pad_token_id,
            inputs=encoder.inputs,
            output=encoder.output,
        )
        for label, tokenizer in tokenizers.items()
    }
    evaluation = None
    measured = {}
    for plan in plans:
        out = files / plan.label
        config = _vector_config(plan, facts, tokenizers[plan.label], shape_of[plan.label], model)
        (out / SERVING_FILE).write_bytes(config.encode())
        with log.step(f"write {plan.label}"):
            write_variant(exported / "model.onnx", out / "model.onnx", plan)
        if evaluation is None:
            evaluation = VectorEvaluation(encoder, samples, out, config)
        with log.step(f"evaluate {plan.label}", total=evaluation.total) as advance:
            metrics = evaluation.measure(out, advance)
        check_limits(plan.label, plan.precision, metrics, recipe.evaluate)
        measured[plan.label] = _evaluation(metrics, evaluation.sample_counts, recipe.evaluate)
    return measured


def _decoder_shape(facts: ModelFacts) -> DecoderShape:
    return DecoderShape(
        layers=facts.layers,
        kv_heads=facts.kv_heads,
        head_size=facts.head_size,
        vocab_size=facts.vocab_size,
        sliding_window=facts.sliding_window,
    )


def _chat_config(
    plan: VariantPlan, facts: ModelFacts, tokenizer: TokenizerFacts, shape: DecoderShape
) -> ServingConfig:
    return ServingConfig(
        task=plan.task,
        precision=plan.precision,
        graph=SERVING_GRAPH,
        max_length=facts.context_tokens,
        eos_token_ids=tokenizer.eos_token_ids,
        special_tokens=tokenizer.special_tokens,
        chat_template=CHAT_TEMPLATE_FILE,
        decoder=shape,
        tool_format=plan.tool_format,
    )


def _vector_config(
    plan: VariantPlan,
    facts: ModelFacts,
    tokenizer: TokenizerFacts,
    shape: VectorShape,
    model: Path,
) -> ServingConfig:
    limits = (facts.context_tokens, tokenizer.max_length, sentence_limit(model))
    return ServingConfig(
        task=plan.task,
        precision=plan.precision,
        graph="model.onnx",
        max_length=min(limit for limit in limits if limit),
        eos_token_ids=(),
        special_tokens=tokenizer.special_tokens,
        vector=shape,
        labels=facts.labels if plan.task is Task.CLASSIFY else (),
    )


def _evaluation(
    metrics: dict[str, float], samples: dict[str, int], spec: EvaluateSpec
) -> EvaluationRecord:
    from sealift.bundler.evaluate.reference import REFERENCE_NAME

    return EvaluationRecord(
        reference=REFERENCE_NAME,
        metrics={name: round(metrics[name], 9) for name in sorted(metrics)},
        samples=samples,
        limits=applied_limits(spec),
    )


def _size_bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
