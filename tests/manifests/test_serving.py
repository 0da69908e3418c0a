"""`serving.json`: old files stay readable, a chat model may say how it calls tools."""

import json
from typing import Any

import pytest

from sealift.manifests.errors import ManifestError
from sealift.manifests.recipe import ToolFormat
from sealift.manifests.serving import ServingConfig

CHAT: dict[str, Any] = {
    "task": "chat",
    "precision": "int4",
    "graph": "model.serving.onnx",
    "max_length": 512,
    "chat_template": "chat_template.jinja",
    "decoder": {"layers": 1, "kv_heads": 1, "head_size": 16, "vocab_size": 64},
}
EMBED: dict[str, Any] = {
    "task": "embed",
    "precision": "int8",
    "graph": "model.onnx",
    "max_length": 512,
    "vector": {"dimensions": 4, "pad_token_id": 0, "inputs": ["input_ids"], "output": "x"},
}


def parse(document: dict[str, Any]) -> ServingConfig:
    return ServingConfig.parse(json.dumps(document).encode())


def test_a_file_without_tool_format_is_as_before() -> None:
    config = parse(CHAT)
    assert config.tool_format is None
    assert b"tool_format" not in config.encode()


def test_a_tool_format_is_kept() -> None:
    config = parse({**CHAT, "tool_format": "mistral"})
    assert config.tool_format is ToolFormat.MISTRAL
    assert parse(json.loads(config.encode())) == config


@pytest.mark.parametrize(
    "document", [{**EMBED, "tool_format": "hermes"}, {**CHAT, "tool_format": "xml"}]
)
def test_a_tool_format_that_cannot_be_is_refused(document: dict[str, Any]) -> None:
    with pytest.raises(ManifestError):
        parse(document)
