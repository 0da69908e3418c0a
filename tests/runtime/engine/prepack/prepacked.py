"""Entries of the cache for tests: written by the real writer, answered from by the real engine."""

import shutil
from datetime import datetime
from pathlib import Path

from sealift.runtime.engine.load.chat_model import ChatModel
from sealift.runtime.engine.load.model import LoadReport, load_model
from sealift.runtime.engine.prepack.key import spec_for
from sealift.runtime.engine.prepack.writer import write_prepacked
from sealift.runtime.engine.prepack_spec import (
    PrepackCacheSpec,
    PrepackJob,
    PrepackSettings,
    entry_name,
)
from sealift.runtime.engine.request import ChatMessage, Delta, Generate, SamplingParams
from sealift.runtime.engine.settings import EngineSettings
from sealift.runtime.engine.source import ModelSource
from sealift.runtime.engine.worker.service import generator_of

__all__ = ["KEY", "SETTINGS", "answer", "copy_model", "entry_of", "load", "spec_in", "write"]

KEY = bytes(range(32))
SETTINGS = EngineSettings(slots=2, threads=2)


def spec_in(root: Path, source: ModelSource, *, key: bytes = KEY) -> PrepackCacheSpec:
    """Describe a cache as the server does; its folder is made."""
    root.mkdir(mode=0o700, exist_ok=True)
    return spec_for(PrepackSettings(folder=str(root), key=key), source.digest)


def write(root: Path, source: ModelSource) -> int:
    """Write an entry; return its size."""
    return write_prepacked(
        PrepackJob(source=source, settings=SETTINGS, cache=spec_in(root, source))
    )


def entry_of(root: Path, source: ModelSource) -> Path:
    """Return the folder of the model's entry."""
    (variant,) = source.variant_folders
    return root / entry_name(source.digest, variant)


def load(source: ModelSource, cache: PrepackCacheSpec | None) -> tuple[ChatModel, LoadReport]:
    """Load a chat model."""
    model, report = load_model(source, SETTINGS, now=datetime.now, cache=cache)
    assert isinstance(model, ChatModel)
    return model, report


def answer(model: ChatModel, text: str = "hello there", tokens: int = 24) -> str:
    """Return a greedy answer."""
    message = ChatMessage(role="user", content=text)
    request = Generate(
        id=1,
        messages=(message,),
        sampling=SamplingParams(temperature=0.0),
        max_tokens=tokens,
    )
    generator = generator_of(model, SETTINGS)
    generator.submit(*model.prepare(request))
    parts = []
    while generator.has_work:
        parts += [delta.text for delta in generator.step() if isinstance(delta, Delta)]
    return "".join(parts)


def copy_model(folder: Path, into: Path) -> Path:
    """Copy a model, so that a test may damage it."""
    shutil.copytree(folder, into)
    return into
