"""Compare the engine with onnxruntime-genai on the same graph: prefill 512, decode at 1, 4 and 8.

    python bench/engine.py --cache ~/.cache/sealift-bench [--rounds 5] [--json]

Makes the Qwen2.5-0.5B shape with random weights once, in the cache folder, exports it int4 block
128 as the bundler does, then measures both engines in turns, each in a process of its own, and
prints the best and the median of all rounds, and the ratio of each. The rates are of whole steps:
schedule, run, sample, detokenize. What else runs on the host lowers medians first: where it is not
quiet, trust the ratio of the best.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

os.environ["ORT_DISABLE_TELEMETRY"] = "1"
os.environ["HF_HUB_OFFLINE"] = "1"

ENGINES = ("sealift", "genai")
BATCHES = (1, 4, 8)
PREFILL_TOKENS = 512
PROMPT_TOKENS = 128
CONTEXT_TOKENS = 2048
REPEATS = 3
VARIANT = "cpu-int4"
SHAPE: dict[str, Any] = {
    "vocab_size": 151936,
    "hidden_size": 896,
    "intermediate_size": 4864,
    "num_hidden_layers": 24,
    "num_attention_heads": 14,
    "num_key_value_heads": 2,
    "max_position_embeddings": 32768,
    "rope_theta": 1e6,
    "rms_norm_eps": 1e-6,
    "tie_word_embeddings": True,
    "bos_token_id": 0,
    "eos_token_id": 2,
}


def make_checkpoint(folder: Path) -> None:
    """Write the shape with random bf16 weights and a small tokenizer."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast, Qwen2Config, Qwen2ForCausalLM

    torch.manual_seed(0)
    model = Qwen2ForCausalLM(Qwen2Config(**SHAPE))
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim == 2:
                parameter.normal_(0, 0.03)
    model.to(torch.bfloat16).save_pretrained(folder)
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    marks = [f"w{index}" for index in range(SHAPE["vocab_size"] - len(alphabet))]
    vocabulary = {text: index for index, text in enumerate([*alphabet, *marks])}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    tokenizer.decoder = decoders.ByteLevel()
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="w0").save_pretrained(folder)


def export(checkpoint: Path, variant: Path) -> None:
    """Fill a variant folder through the bundler's export."""
    import shutil

    from sealift.bundler.export.decoder import export_decoder
    from sealift.bundler.plan import Route, VariantPlan
    from sealift.manifests.recipe import Precision, Task, VariantSpec
    from sealift.manifests.serving import SERVING_FILE, DecoderShape, ServingConfig

    variant.mkdir(parents=True)
    spec = VariantSpec(precision=Precision.INT4, block_size=128)
    export_decoder(checkpoint, variant, VariantPlan(spec=spec, task=Task.CHAT, route=Route.GENAI))
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(checkpoint / name, variant)
    (variant / "chat_template.jinja").write_text("{{ messages[0].content }}")
    config = ServingConfig(
        task=Task.CHAT,
        precision=Precision.INT4,
        graph="model.serving.onnx",
        max_length=SHAPE["max_position_embeddings"],
        eos_token_ids=(2,),
        chat_template="chat_template.jinja",
        decoder=DecoderShape(
            layers=SHAPE["num_hidden_layers"],
            kv_heads=SHAPE["num_key_value_heads"],
            head_size=SHAPE["hidden_size"] // SHAPE["num_attention_heads"],
            vocab_size=SHAPE["vocab_size"],
        ),
    )
    (variant / SERVING_FILE).write_bytes(config.encode())


def prompts(count: int, tokens: int) -> list[list[int]]:
    """Return random prompts of equal length, which is all that genai can batch."""
    import numpy as np

    rows: list[list[int]] = np.random.default_rng(0).integers(3, 2000, (count, tokens)).tolist()
    return rows


def rates(tokens: int, work: Callable[[], None]) -> list[float]:
    """Do some work a few times; return the tokens a second of each."""
    found = []
    for _ in range(REPEATS):
        started = time.perf_counter()
        work()
        found.append(tokens / (time.perf_counter() - started))
    return found


def measure_sealift(model_folder: Path, threads: int, steps: int) -> dict[str, list[float]]:
    """Measure our engine once."""
    import onnxruntime  # noqa: F401  (loaded before the clock runs)

    from sealift.runtime.engine.chat_model import ChatModel
    from sealift.runtime.engine.generator import Generator
    from sealift.runtime.engine.service import generator_of
    from sealift.runtime.engine.settings import EngineSettings

    settings = EngineSettings(slots=max(BATCHES), threads=threads, context_length=CONTEXT_TOKENS)
    model = load(model_folder, settings)
    if not isinstance(model, ChatModel):
        raise TypeError(type(model))

    def start(batch: list[list[int]], limit: int) -> Generator:
        generator = generator_of(model, settings)
        for index, prompt in enumerate(batch):
            generator.submit(sequence(model, index, prompt, limit))
        return generator

    def prefill() -> None:
        run_steps(start(prompts(1, PREFILL_TOKENS), 1), 1)

    results = {"prefill": rates(PREFILL_TOKENS, prefill)}
    for batch in BATCHES:
        generator = start(prompts(batch, PROMPT_TOKENS), CONTEXT_TOKENS - PROMPT_TOKENS)
        while generator.scheduler.running_count < batch:
            generator.step()
        run_steps(generator, 2)
        results[f"decode_{batch}"] = rates(batch * steps, partial(run_steps, generator, steps))
    return results


def run_steps(generator: Any, count: int) -> None:
    """Run the generator a number of times."""
    for _ in range(count):
        generator.step()


def load(model_folder: Path, settings: Any) -> Any:
    """Verify and load the exported model, as a worker does."""
    import hashlib
    from datetime import datetime

    from sealift.manifests.recipe import Task
    from sealift.runtime.engine.model import load_model
    from sealift.runtime.engine.source import ModelSource, SourceFile

    files = tuple(
        SourceFile(
            path=str(path.relative_to(model_folder)),
            size_bytes=path.stat().st_size,
            sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
        )
        for path in sorted(model_folder.rglob("*"))
        if path.is_file()
    )
    source = ModelSource(
        name="bench",
        version="1.0.0",
        digest=f"sha256:{'0' * 64}",
        task=Task.CHAT,
        directory=str(model_folder),
        files=files,
    )
    return load_model(source, settings, now=datetime.now)[0]


def sequence(model: Any, index: int, prompt: list[int], limit: int) -> Any:
    """Make a greedy request that never ends early."""
    from sealift.runtime.engine.request import SamplingParams
    from sealift.runtime.engine.sequence import Sequence

    return Sequence.start(
        id=index,
        prompt=tuple(prompt),
        sampling=SamplingParams(temperature=0.0),
        token_limit=limit,
        eos_token_ids=frozenset(),
        stops=(),
        decode=lambda ids: model.tokenizer.decode(list(ids)),
    )


def measure_genai(model_folder: Path, threads: int, steps: int) -> dict[str, list[float]]:
    """Measure onnxruntime-genai's generator once, on the untouched graph of the same folder."""
    import numpy as np
    import onnxruntime_genai as genai

    config = genai.Config(str(model_folder / VARIANT))
    options = {"intra_op_num_threads": threads}
    config.overlay(json.dumps({"model": {"decoder": {"session_options": options}}}))
    model = genai.Model(config)

    def start(batch: list[list[int]]) -> Any:
        params = genai.GeneratorParams(model)
        params.set_search_options(
            max_length=CONTEXT_TOKENS, min_length=0, do_sample=False, batch_size=len(batch)
        )
        generator = genai.Generator(model, params)
        rows = np.array(batch, np.int32)
        generator.append_tokens(rows if len(batch) > 1 else rows[0])
        return generator

    def prefill() -> None:
        start(prompts(1, PREFILL_TOKENS)).generate_next_token()

    def decode(generator: Any, count: int) -> None:
        for _ in range(count):
            generator.generate_next_token()

    results = {"prefill": rates(PREFILL_TOKENS, prefill)}
    for batch in BATCHES:
        generator = start(prompts(batch, PROMPT_TOKENS))
        decode(generator, 3)
        results[f"decode_{batch}"] = rates(batch * steps, partial(decode, generator, steps))
        del generator
    return results


def measure_in_turns(
    arguments: argparse.Namespace, model_folder: Path
) -> dict[str, dict[str, list[float]]]:
    """Run each engine in a new process, one after the other, as often as asked."""
    found: dict[str, dict[str, list[float]]] = {engine: {} for engine in ENGINES}
    for round_number in range(arguments.rounds):
        order = ENGINES if round_number % 2 == 0 else ENGINES[::-1]
        for engine in order:
            command = [sys.executable, __file__, "--child", engine, "--cache", arguments.cache]
            command += ["--threads", str(arguments.threads), "--steps", str(arguments.steps)]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode:
                raise SystemExit(done.stderr)
            for name, values in json.loads(done.stdout.splitlines()[-1]).items():
                found[engine].setdefault(name, []).extend(values)
    return found


def summarize(found: dict[str, dict[str, list[float]]]) -> dict[str, dict[str, float]]:
    """Return best and median of each engine and their ratio, by measure."""
    summary = {}
    for name in found["sealift"]:
        row = {}
        for engine in ENGINES:
            row[f"{engine}_best"] = max(found[engine][name])
            row[f"{engine}_median"] = statistics.median(found[engine][name])
        for kind in ("best", "median"):
            row[f"ratio_{kind}"] = row[f"sealift_{kind}"] / row[f"genai_{kind}"]
        summary[name] = row
    return summary


def table(summary: dict[str, dict[str, float]]) -> Iterator[str]:
    """Yield the lines of a Markdown table."""
    yield "| tokens/s | sealift best | median | genai best | median | ratio best | median |"
    yield "|---|---|---|---|---|---|---|"
    for name, row in summary.items():
        cells = [
            f"{row[f'{engine}_{kind}']:.0f}" for engine in ENGINES for kind in ("best", "median")
        ]
        cells += [f"{row[f'ratio_{kind}']:.2f}" for kind in ("best", "median")]
        yield f"| {name} | {' | '.join(cells)} |"


def main() -> None:
    """Make what is missing, measure, print."""
    from sealift.runtime.engine.host import physical_cores

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cache", required=True, help="folder for the model, 1.7 GB")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=32, help="decode steps of one measurement")
    parser.add_argument("--threads", type=int, default=physical_cores())
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--child", choices=ENGINES, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    cache = Path(arguments.cache).expanduser()
    model_folder = cache / "model"
    if arguments.child is not None:
        measure = measure_sealift if arguments.child == "sealift" else measure_genai
        print(json.dumps(measure(model_folder, arguments.threads, arguments.steps)))
        return
    if not (cache / "checkpoint").exists():
        make_checkpoint(cache / "checkpoint")
    if not model_folder.exists():
        export(cache / "checkpoint", model_folder / VARIANT)
    found = measure_in_turns(arguments, model_folder)
    summary = summarize(found)
    if arguments.json:
        print(json.dumps({"threads": arguments.threads, "runs": found, "summary": summary}))
    else:
        print("\n".join(table(summary)))


if __name__ == "__main__":
    main()
