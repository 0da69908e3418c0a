"""Load a verified model: its files checked, its graph opened, its tokenizer and template ready."""

import functools
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

import tokenizers

from sealift.manifests.recipe import Task
from sealift.manifests.serving import SERVING_FILE, DecoderShape, ServingConfig, VectorShape
from sealift.runtime.engine import host
from sealift.runtime.engine.decode.decoder import OnnxDecoder
from sealift.runtime.engine.decode.kv_cache import KvCache, cache_length
from sealift.runtime.engine.errors import LoadError
from sealift.runtime.engine.forms.grammar import GrammarCompiler
from sealift.runtime.engine.integrity import VerifiedFolder
from sealift.runtime.engine.load.chat_model import ChatModel, special_tokens
from sealift.runtime.engine.load.checked_session import open_checked
from sealift.runtime.engine.prepack_spec import PrepackCacheSpec
from sealift.runtime.engine.settings import EngineSettings
from sealift.runtime.engine.source import ModelSource
from sealift.runtime.engine.tools.format import find_tool_format
from sealift.runtime.engine.tools.template import ChatTemplate, TemplateBounds
from sealift.runtime.engine.variant import choose_variant
from sealift.runtime.engine.vectors.encoder import OnnxEncoder
from sealift.runtime.engine.vectors.model import EmbedModel, ScoreModel

if TYPE_CHECKING:
    import onnxruntime

__all__ = ["LoadReport", "load_model"]


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadReport:
    """What was loaded and what it took.

    Args:
        verify_s: from the start until the last byte was checked; loading went on beside it.
        load_s: from the start until the model was ready.
        prepack_problem: why an entry of the cache that was there is not used.
    """

    variant: str
    context_length: int
    verify_s: float
    load_s: float
    verified_bytes: int
    is_prepacked: bool
    prepack_problem: str | None


def load_model(
    source: ModelSource,
    settings: EngineSettings,
    *,
    now: Callable[[], datetime],
    cache: PrepackCacheSpec | None = None,
) -> tuple[ChatModel | EmbedModel | ScoreModel, LoadReport]:
    """Verify the chosen variant's files and load them; nothing is parsed before it was checked.

    Args:
        cache: of prepacked weights, used where it holds this model's.

    Raises:
        ModelIntegrityError: a file is not what was signed; nothing stays loaded.
        LoadError: the model cannot be run here.
    """
    folder = VerifiedFolder.open(source, choose_variant(source))
    try:
        return _load(folder, settings, now, cache)
    finally:
        folder.close()


def _load(
    folder: VerifiedFolder,
    settings: EngineSettings,
    now: Callable[[], datetime],
    cache: PrepackCacheSpec | None,
) -> tuple[ChatModel | EmbedModel | ScoreModel, LoadReport]:
    started = time.monotonic()
    source = folder.source
    config = ServingConfig.parse(folder.read(SERVING_FILE))
    graph = folder.read(config.graph)
    tokenizer_bytes = folder.read(config.tokenizer)
    template = folder.read(config.chat_template) if config.chat_template else None
    if config.task is not source.task:
        raise LoadError(f"task: expected {source.task.value}, got {config.task.value}")
    read_tokenizer = functools.cache(functools.partial(_tokenizer, tokenizer_bytes))
    opened = open_checked(
        folder, graph, threads=_threads(settings), cache=cache, meanwhile=read_tokenizer
    )
    tokenizer = read_tokenizer()
    model: ChatModel | EmbedModel | ScoreModel
    if config.decoder is not None and template is not None:
        model = _chat_model(
            config,
            config.decoder,
            tokenizer,
            tokenizer_bytes,
            opened.session,
            template,
            settings,
            now,
        )
    elif config.vector is not None:
        model = _vector_model(config, config.vector, tokenizer, opened.session)
    else:
        raise LoadError(f"{config.task.value}: expected a decoder and a template, or vectors")
    folder.check_unchanged()
    report = LoadReport(
        variant=folder.variant,
        context_length=model.context_length,
        verify_s=opened.checked_at_s - started,
        load_s=time.monotonic() - started,
        verified_bytes=folder.verified_bytes + opened.checked_bytes,
        is_prepacked=opened.is_prepacked,
        prepack_problem=opened.problem,
    )
    return model, report


def _chat_model(
    config: ServingConfig,
    shape: DecoderShape,
    tokenizer: tokenizers.Tokenizer,
    tokenizer_json: bytes,
    session: "onnxruntime.InferenceSession",
    template: bytes,
    settings: EngineSettings,
    now: Callable[[], datetime],
) -> ChatModel:
    context_length = cache_length(
        shape,
        slots=settings.slots,
        context_length=min(config.max_length, settings.context_length or config.max_length),
        budget_bytes=_cache_budget(settings),
    )
    bounds = TemplateBounds(chars=settings.template_chars, time_s=settings.template_timeout_s)
    cache = KvCache(shape, slots=settings.slots, length=context_length)
    return ChatModel(
        config=config,
        tokenizer=tokenizer,
        template=ChatTemplate(
            _text(template), special_tokens=config.special_tokens, bounds=bounds, now=now
        ),
        decoder=OnnxDecoder(session, shape, cache, longest_check=settings.draft_tokens + 1),
        grammars=GrammarCompiler.open(tokenizer_json, shape.vocab_size, config.eos_token_ids),
        context_length=context_length,
        vocab_size=shape.vocab_size,
        tool_format=find_tool_format(_text(template), config.tool_format),
        hidden_tokens=special_tokens(tokenizer),
    )


def _vector_model(
    config: ServingConfig,
    shape: VectorShape,
    tokenizer: tokenizers.Tokenizer,
    session: "onnxruntime.InferenceSession",
) -> EmbedModel | ScoreModel:
    kind = EmbedModel if config.task is Task.EMBED else ScoreModel
    return kind(
        config=config,
        tokenizer=tokenizer,
        encoder=OnnxEncoder(session, shape),
        context_length=config.max_length,
    )


def _cache_budget(settings: EngineSettings) -> int:
    if settings.cache_bytes is not None:
        return settings.cache_bytes
    return int(host.memory_bytes() * settings.cache_fraction)


def _threads(settings: EngineSettings) -> int:
    return settings.threads or host.physical_cores()


def _tokenizer(data: bytes) -> tokenizers.Tokenizer:
    try:
        tokenizer = tokenizers.Tokenizer.from_str(_text(data))
    except Exception as error:  # tokenizers raises bare Exception and no subclass
        raise LoadError(f"tokenizer: {error}") from error
    # A length is refused with a clear error, never cut off in silence; rows are padded by us.
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


def _text(data: bytes) -> str:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise LoadError(f"expected UTF-8 text: {error}") from error
