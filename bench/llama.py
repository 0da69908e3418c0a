"""llama.cpp beside the engine: the same shape as a GGUF file, measured by its own programs.

Needs a folder with `llama-quantize` and `llama-batched-bench` (any build of llama.cpp) and the
package `gguf`.
"""

import json
import subprocess
from pathlib import Path
from typing import Any

__all__ = ["make_gguf", "measure_llama"]

_QUANTIZED = "q4_0.gguf"


def make_gguf(checkpoint: Path, shape: dict[str, Any], folder: Path, programs: Path) -> Path:
    """Write the checkpoint as a Q4_0 GGUF, every matrix in Q4_0; return the file."""
    target = folder / _QUANTIZED
    if target.exists():
        return target
    folder.mkdir(parents=True, exist_ok=True)
    plain = folder / "f16.gguf"
    _write_f16(checkpoint, shape, plain)
    command = [programs / "llama-quantize", "--pure", plain, target, "Q4_0"]
    subprocess.run([str(word) for word in command], check=True, capture_output=True)
    plain.unlink()
    return target


def measure_llama(
    model: Path,
    programs: Path,
    *,
    threads: int,
    prompt: int,
    prefill: int,
    batches: tuple[int, ...],
) -> dict[str, list[float]]:
    """Return tokens a second of one run: `prefill` and `decode_N`."""
    results = {"prefill": [_row(model, programs, threads, prefill, 1, 8)["speed_pp"]]}
    for batch in batches:
        row = _row(model, programs, threads, prompt, batch, 32)
        results[f"decode_{batch}"] = [row["speed_tg"]]
    return results


def _row(
    model: Path, programs: Path, threads: int, prompt: int, batch: int, steps: int
) -> dict[str, float]:
    command = [
        str(programs / "llama-batched-bench"), "-m", str(model),
        "-t", str(threads), "-tb", str(threads), "-c", "8192", "-b", "2048", "-ub", "512",
        "-npp", str(prompt), "-ntg", str(steps), "-npl", str(batch), "--output-format", "jsonl",
    ]  # fmt: skip
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
    row: dict[str, float] = json.loads(lines[-1])
    return row


def _write_f16(checkpoint: Path, shape: dict[str, Any], path: Path) -> None:
    import gguf
    import numpy as np
    from safetensors import safe_open

    writer = gguf.GGUFWriter(path, "qwen2")
    writer.add_context_length(shape["max_position_embeddings"])
    writer.add_embedding_length(shape["hidden_size"])
    writer.add_block_count(shape["num_hidden_layers"])
    writer.add_feed_forward_length(shape["intermediate_size"])
    writer.add_head_count(shape["num_attention_heads"])
    writer.add_head_count_kv(shape["num_key_value_heads"])
    writer.add_rope_freq_base(shape["rope_theta"])
    writer.add_layer_norm_rms_eps(shape["rms_norm_eps"])
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_F16)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("qwen2")
    writer.add_token_list([f"w{index}" for index in range(shape["vocab_size"])])
    writer.add_token_types([gguf.TokenType.NORMAL] * shape["vocab_size"])
    writer.add_token_merges(["w0 w1"])
    writer.add_eos_token_id(shape["eos_token_id"])
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.QWEN2, shape["num_hidden_layers"])
    for file in sorted(checkpoint.glob("*.safetensors")):
        with safe_open(file, "pt") as tensors:
            for name in tensors.keys():  # noqa: SIM118  (not a dict: it has no other way)
                if name == "lm_head.weight":
                    continue
                values = tensors.get_tensor(name).float().numpy()
                target = names.get_name(name, try_suffixes=(".weight", ".bias"))
                kind = np.float16 if values.ndim > 1 else np.float32
                writer.add_tensor(target, values.astype(kind))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
