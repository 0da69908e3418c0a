"""A LoRA adapter, merged into its model before export.

Only safetensors adapters are read, under the same rules as a model. The merged weights are written
to a work folder with the model's own tokenizer and configuration, so that everything after this
step sees one plain model.
"""

import shutil
from pathlib import Path

from sealift.bundler.errors import AdapterError
from sealift.bundler.libraries import advice_ignored
from sealift.bundler.source import SourceTree

__all__ = ["merge_adapter"]

_WEIGHTS = (".safetensors", ".safetensors.index.json")


def merge_adapter(model: SourceTree, adapter: SourceTree, out: Path) -> None:
    """Write the model with the adapter's deltas added into an empty folder.

    Raises:
        AdapterError: not a LoRA adapter, or one made for another model.
    """
    if "adapter_config.json" not in adapter.paths:
        raise AdapterError(
            f"{adapter.root}: expected adapter_config.json",
            hint="`adapter` names a folder that peft saved",
        )
    _merge_weights(model.root, adapter.root, out)
    for file in model.files:
        # The model's own papers, not what save_pretrained makes of them.
        if not file.path.endswith(_WEIGHTS):
            (out / file.path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(model.root / file.path, out / file.path)


def _merge_weights(model: Path, adapter: Path, out: Path) -> None:
    import torch
    import transformers
    from peft import PeftConfig, PeftModel
    from peft.utils import PeftType

    config = PeftConfig.from_pretrained(str(adapter))
    if config.peft_type != PeftType.LORA:
        raise AdapterError(f"adapter: expected LORA, got {config.peft_type}")
    architecture = transformers.AutoConfig.from_pretrained(str(model)).architectures[0]
    base = getattr(transformers, architecture).from_pretrained(str(model), dtype=torch.float32)
    try:
        with advice_ignored():
            adapted = PeftModel.from_pretrained(base, str(adapter))
            merged = adapted.merge_and_unload(safe_merge=True)
    except (RuntimeError, ValueError, KeyError) as error:
        raise AdapterError(
            f"adapter: does not fit {architecture}: {str(error).splitlines()[0]}",
            hint="an adapter fits only the model that it was trained on",
        ) from error
    merged.save_pretrained(out, safe_serialization=True)
