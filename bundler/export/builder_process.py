"""The child process that runs the genai model builder: `python -m … SOURCE OUT PRECISION BLOCK`.

A process of its own because the builder prints, patches `sys.path` and keeps whole models in
memory. It reads a checked local folder and writes the builder's own files, nothing else; the hub is
switched off.
"""

import os
import sys

from sealift.bundler.steps import own_peak_bytes
from sealift.manifests.telemetry import disable_telemetry

__all__ = ["PEAK_MARK", "build", "main"]

#: The last line of stdout: how much memory the builder needed.
PEAK_MARK = "peak_bytes="


def build(source: str, out: str, precision: str, block_size: int) -> None:
    """Run the builder in this process.

    Args:
        source: a model folder.
        out: where `model.onnx`, its weights and `genai_config.json` go.
        precision: `int4`, `int8` or `fp32` (what the builder can do for a CPU).
        block_size: weights that share a scale.

    Raises:
        NotImplementedError: an architecture or RoPE form that the builder lacks.
    """
    disable_telemetry()
    os.environ["HF_HUB_OFFLINE"] = "1"
    from onnxruntime_genai.models import builder

    from sealift.bundler.export.builder_fixes import correct_builder, correct_config

    correct_builder(builder)
    options = [
        "hf_token=false",
        # Window-sized caches would index the slot engine's full-length buffers wrongly.
        "windowed_kv_cache=false",
    ]
    if precision != "fp32":
        options += [f"block_size={block_size}", "accuracy_level=4"]
    cache = f"{out}.cache"
    prepared = builder.parse_extra_options("", source, out, precision, "cpu", cache, options)
    correct_config(prepared["hf_details"]["hf_config"])
    builder.create_model("", source, out, precision, "cpu", cache, **prepared)


def main(arguments: list[str]) -> int:
    """Run the builder with the process's arguments."""
    source, out, precision, block_size = arguments
    build(source, out, precision, int(block_size))
    print(f"{PEAK_MARK}{own_peak_bytes()}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
