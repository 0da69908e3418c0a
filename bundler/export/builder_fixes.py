"""Corrections to what the genai model builder 0.18 gets wrong together with transformers 5.

Each was found by comparing greedy tokens with torch, and each has a test that does so again:

1. gemma3: transformers 5 nests the RoPE parameters by layer type, the builder reads them flat
   (`KeyError: 'rope_type'`). The configuration is flattened, with the local base beside it.
2. Models whose *every* layer slides (mistral 0.1, phi3) carry no `layer_types`; the builder then
   takes all layers as full attention and silently drops the window.
3. longrope saved by transformers 5 lacks the old key `type` (`KeyError: 'type'`).
4. smollm3: the layers without RoPE fall into a branch that wants `position_ids`, an input that the
   graph does not have (`KeyError: 'position_ids'`).
"""

from typing import Any

__all__ = ["correct_builder", "correct_config"]


def correct_config(config: Any) -> None:
    """Correct a loaded transformers configuration in place, before the builder reads it.

    Raises:
        NotImplementedError: a RoPE scaling that the builder would apply to the wrong layers.
    """
    if getattr(config, "sliding_window", None) and not getattr(config, "layer_types", None):
        config.layer_types = ["sliding_attention"] * config.num_hidden_layers
    rope = getattr(config, "rope_parameters", None)
    if not isinstance(rope, dict):
        return
    if "full_attention" in rope:
        full, local = rope["full_attention"], rope["sliding_attention"]
        if full["rope_type"] != "default" or local["rope_type"] != "default":
            # One scale for both kinds of layers is all the builder knows.
            raise NotImplementedError(
                f"{config.model_type} with rope_type {full['rope_type']!r} is not supported"
            )
        config.rope_theta = full["rope_theta"]
        config.rope_local_base_freq = local["rope_theta"]
        config.rope_parameters = dict(full)
    elif rope.get("rope_type") == "longrope":
        rope.setdefault("type", "longrope")


def correct_builder(builder: Any) -> None:
    """Replace builder classes that produce no graph by ones that do."""

    class SmolLM3Model(builder.SmolLM3Model):  # type: ignore[misc]  # the builder is untyped
        def make_attention_qk_rope(self, layer_id: int, **kwargs: Any) -> Any:
            if not self.attention_attrs["use_rope_in_attn"]:
                return "", ""
            return super().make_attention_qk_rope(layer_id, **kwargs)

    builder.SmolLM3Model = SmolLM3Model
