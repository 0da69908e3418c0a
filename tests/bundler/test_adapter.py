"""A LoRA adapter becomes part of the weights, or is refused with its reason."""

import json
import warnings
from pathlib import Path

import pytest

from sealift.bundler.adapter import merge_adapter
from sealift.bundler.errors import AdapterError, SourceError
from sealift.bundler.source import read_tree
from tests.bundler.miniatures import save_decoder


def save_adapter(model: Path, out: Path) -> Path:
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    base = AutoModelForCausalLM.from_pretrained(model)
    config = LoraConfig(r=4, lora_alpha=8, target_modules=["q_proj", "down_proj"])
    torch.manual_seed(1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        adapted = get_peft_model(base, config)
        for name, parameter in adapted.named_parameters():
            if "lora_B" in name:  # zero at the start: an adapter that changes nothing
                parameter.data.normal_(0, 0.1)
        adapted.save_pretrained(out)
    return out


def first_logits(folder: Path, *, adapter: Path | None = None) -> list[float]:
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(folder)
    if adapter is not None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model = PeftModel.from_pretrained(model, str(adapter))
    with torch.inference_mode():
        found: list[float] = model(torch.tensor([[5, 6, 7]])).logits[0, -1, :50].tolist()
    return found


def test_merged_model_answers_as_model_and_adapter_together(tmp_path: Path) -> None:
    model = save_decoder("qwen2.5", tmp_path / "model")
    adapter = save_adapter(model, tmp_path / "adapter")
    merged = tmp_path / "merged"
    merged.mkdir()
    merge_adapter(
        read_tree(model, origin="path:model"), read_tree(adapter, origin="path:adapter"), merged
    )
    wanted = first_logits(model, adapter=adapter)
    assert first_logits(merged) == pytest.approx(wanted, abs=1e-4)
    assert first_logits(model) != pytest.approx(wanted, abs=1e-2)
    for name in ("config.json", "tokenizer.json", "tokenizer_config.json"):
        assert (merged / name).read_bytes() == (model / name).read_bytes()
    read_tree(merged, origin="path:merged")  # the result obeys the rules of a source


def test_pickled_adapter_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "adapter"
    folder.mkdir()
    (folder / "adapter_config.json").write_text("{}")
    (folder / "adapter_model.bin").write_bytes(b"\x80\x02")
    with pytest.raises(SourceError, match="pickle-like"):
        read_tree(folder, origin="path:adapter")


def test_model_folder_is_not_an_adapter(tmp_path: Path) -> None:
    model = read_tree(save_decoder("llama", tmp_path / "model"), origin="path:model")
    with pytest.raises(AdapterError, match=r"adapter_config\.json"):
        merge_adapter(model, model, tmp_path / "out")


def test_adapter_of_another_model_is_refused(tmp_path: Path) -> None:
    small = save_decoder("llama", tmp_path / "small")
    large = save_decoder("llama", tmp_path / "large", hidden_size=128)
    adapter = save_adapter(large, tmp_path / "adapter")
    with pytest.raises(AdapterError, match="does not fit LlamaForCausalLM"):
        merge_adapter(
            read_tree(small, origin="path:small"),
            read_tree(adapter, origin="path:adapter"),
            tmp_path / "out",
        )


def test_other_kind_of_adapter_is_refused(tmp_path: Path) -> None:
    model = save_decoder("llama", tmp_path / "model")
    adapter = save_adapter(model, tmp_path / "adapter")
    config = json.loads((adapter / "adapter_config.json").read_text())
    config = {"peft_type": "IA3", "task_type": config["task_type"], "target_modules": ["q_proj"]}
    (adapter / "adapter_config.json").write_text(json.dumps(config))
    with pytest.raises(AdapterError, match="expected LORA"):
        merge_adapter(
            read_tree(model, origin="path:model"),
            read_tree(adapter, origin="path:adapter"),
            tmp_path / "out",
        )
