"""Load a verified model: its files checked, its graph opened, its tokenizer and template ready."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial

import tokenizers

from sealift.manifests.recipe import Task
from sealift.manifests.serving import SERVING_FILE, DecoderShape, ServingConfig, VectorShape
from sealift.runtime.engine import host
from sealift.runtime.engine.decoder import OnnxDecoder
from sealift.runtime.engine.embed_queue import EmbedJob
from sealift.runtime.engine.encoder import OnnxEncoder
from sealift.runtime.engine.errors import (
    ContextLengthError,
    LoadError,
    PromptError,
    TaskMismatchError,
)
from sealift.runtime.engine.integrity import VerifiedFolder
from sealift.runtime.engine.kv_cache import KvCache, cache_length
from sealift.runtime.engine.request import Embed, Generate
from sealift.runtime.engine.sequence import Sequence as Request
from sealift.runtime.engine.session import open_session
from sealift.runtime.engine.settings import EngineSettings
from sealift.runtime.engine.source import ModelSource
from sealift.runtime.engine.template import ChatTemplate, TemplateBounds

__all__ = ["ChatModel", "EmbedModel", "LoadReport", "choose_variant", "load_model"]

_LABELS = ("cpu-int4", "cpu-int8", "cpu-fp16", "cpu-fp32")


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadReport:
    """What was loaded and what it took."""

    variant: str
    context_length: int
    verify_s: float
    load_s: float
    verified_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatModel:
    """A decoder with its tokenizer and chat template."""

    config: ServingConfig
    tokenizer: tokenizers.Tokenizer
    template: ChatTemplate
    decoder: OnnxDecoder
    context_length: int

    def prepare(self, message: Generate) -> Request:
        """Turn a conversation into a sequence.

        Raises:
            PromptError: the template refuses it, or it is empty.
            ContextLengthError: it does not fit.
        """
        text = self.template.render(message.messages)
        prompt = tuple(self.tokenizer.encode(text, add_special_tokens=False).ids)
        if not prompt:
            raise PromptError("the conversation gives an empty prompt")
        room = self.context_length - len(prompt)
        wanted = message.max_tokens
        if room < 1 or (wanted is not None and wanted > room):
            asked = "" if wanted is None else f" and {wanted} were asked for in the answer"
            raise ContextLengthError(
                f"this model's context is {self.context_length} tokens, "
                f"the messages have {len(prompt)}{asked}",
                hint="shorten the messages or ask for fewer tokens",
            )
        return Request.start(
            id=message.id,
            prompt=prompt,
            sampling=message.sampling,
            token_limit=room if wanted is None else wanted,
            eos_token_ids=frozenset(self.config.eos_token_ids),
            stops=message.stop,
            decode=partial(_decode, self.tokenizer),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class EmbedModel:
    """An encoder with its tokenizer."""

    config: ServingConfig
    tokenizer: tokenizers.Tokenizer
    encoder: OnnxEncoder
    context_length: int

    def prepare(self, message: Embed) -> EmbedJob:
        """Turn texts into token ids.

        Raises:
            ContextLengthError: one is too long.
            PromptError: token ids that the model does not have.
        """
        vocabulary = self.tokenizer.get_vocab_size(with_added_tokens=True)
        rows = []
        for index, item in enumerate(message.inputs):
            ids = tuple(self.tokenizer.encode(item).ids) if isinstance(item, str) else item
            if not ids or max(ids) >= vocabulary or min(ids) < 0:
                raise PromptError(f"input[{index}]: expected token ids of 0 to {vocabulary - 1}")
            if len(ids) > self.context_length:
                raise ContextLengthError(
                    f"input[{index}]: this model takes {self.context_length} tokens, "
                    f"this input has {len(ids)}"
                )
            rows.append(ids)
        return EmbedJob(id=message.id, inputs=tuple(rows))


def choose_variant(source: ModelSource) -> str:
    """Return the folder that this host runs fastest: memory bandwidth is what limits a CPU.

    Raises:
        LoadError: there is none.
    """
    for label in _LABELS:
        if label in source.variant_folders:
            return label
    raise LoadError(
        f"{source.name}:{source.version}: no variant for this host among "
        f"{', '.join(source.variant_folders) or 'none'}"
    )


def load_model(
    source: ModelSource, settings: EngineSettings, *, now: Callable[[], datetime]
) -> tuple[ChatModel | EmbedModel, LoadReport]:
    """Verify the chosen variant's files, then load them.

    Raises:
        ModelIntegrityError: a file is not what was signed; nothing was loaded.
        LoadError: the model cannot be run here.
    """
    started = time.monotonic()
    folder = VerifiedFolder.open(source, choose_variant(source))
    config = ServingConfig.parse(folder.read(SERVING_FILE))
    graph = folder.read(config.graph)
    tokenizer_bytes = folder.read(config.tokenizer)
    template = folder.read(config.chat_template) if config.chat_template else None
    folder.check_rest()
    verified = time.monotonic()
    if config.task is not source.task:
        raise LoadError(f"task: expected {source.task.value}, got {config.task.value}")
    tokenizer = _tokenizer(tokenizer_bytes)
    model: ChatModel | EmbedModel
    if config.decoder is not None and template is not None:
        model = _chat_model(
            config, config.decoder, tokenizer, graph, template, folder, settings, now
        )
    elif config.task is Task.EMBED and config.vector is not None:
        model = _embed_model(config, config.vector, tokenizer, graph, folder, settings)
    else:
        raise TaskMismatchError(f"{config.task.value} models are not served yet")
    folder.check_unchanged()
    report = LoadReport(
        variant=folder.variant,
        context_length=model.context_length,
        verify_s=verified - started,
        load_s=time.monotonic() - verified,
        verified_bytes=folder.verified_bytes,
    )
    return model, report


def _chat_model(
    config: ServingConfig,
    shape: DecoderShape,
    tokenizer: tokenizers.Tokenizer,
    graph: bytes,
    template: bytes,
    folder: VerifiedFolder,
    settings: EngineSettings,
    now: Callable[[], datetime],
) -> ChatModel:
    context_length = cache_length(
        shape,
        slots=settings.slots,
        context_length=min(config.max_length, settings.context_length or config.max_length),
        budget_bytes=int(host.memory_bytes() * settings.cache_fraction),
    )
    bounds = TemplateBounds(chars=settings.template_chars, time_s=settings.template_timeout_s)
    session = open_session(graph, folder.path, threads=_threads(settings))
    cache = KvCache(shape, slots=settings.slots, length=context_length)
    return ChatModel(
        config=config,
        tokenizer=tokenizer,
        template=ChatTemplate(
            _text(template), special_tokens=config.special_tokens, bounds=bounds, now=now
        ),
        decoder=OnnxDecoder(session, shape, cache),
        context_length=context_length,
    )


def _embed_model(
    config: ServingConfig,
    shape: VectorShape,
    tokenizer: tokenizers.Tokenizer,
    graph: bytes,
    folder: VerifiedFolder,
    settings: EngineSettings,
) -> EmbedModel:
    session = open_session(graph, folder.path, threads=_threads(settings))
    return EmbedModel(
        config=config,
        tokenizer=tokenizer,
        encoder=OnnxEncoder(session, shape),
        context_length=config.max_length,
    )


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


def _decode(tokenizer: tokenizers.Tokenizer, ids: Sequence[int]) -> str:
    text: str = tokenizer.decode(list(ids), skip_special_tokens=True)
    return text
