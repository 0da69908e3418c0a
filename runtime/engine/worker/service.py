"""What a worker does with its channel: load, then prepare requests beside the model's thread.

A second thread receives, renders chat templates and tokenizes, so that none of this stands in the
way of the model. A defect in it ends the process: the other side then sees a crash, not a silence.
"""

import os
import threading
import time
from collections.abc import Iterator
from datetime import datetime

from sealift.manifests.errors import SealiftError
from sealift.runtime.engine import host
from sealift.runtime.engine.channel import WorkerChannel
from sealift.runtime.engine.decode.drafter import Drafter
from sealift.runtime.engine.decode.generator import Generator
from sealift.runtime.engine.decode.scheduler import Scheduler, SchedulerLimits
from sealift.runtime.engine.decode.sequence import Sequence
from sealift.runtime.engine.errors import GrammarError, TaskMismatchError, to_wire
from sealift.runtime.engine.forms.mask_thread import MaskThread
from sealift.runtime.engine.load.chat_model import ChatModel
from sealift.runtime.engine.load.model import load_model
from sealift.runtime.engine.request import (
    Cancel,
    Embed,
    Failed,
    Generate,
    Load,
    Loaded,
    LoadFailed,
    Ping,
    Pong,
    Score,
    Shutdown,
    ToWorker,
)
from sealift.runtime.engine.settings import EngineSettings
from sealift.runtime.engine.vectors.embed_queue import EmbedJob, EmbedQueue
from sealift.runtime.engine.vectors.model import EmbedModel, ScoreModel
from sealift.runtime.engine.worker.loop import ChatTurn, EmbedTurn, Inbox, ModelLoop

__all__ = ["generator_of", "serve"]

_EXIT_LOAD_FAILED = 1
_EXIT_DEFECT = 70
_WARM_NICENESS = 19

Model = ChatModel | EmbedModel | ScoreModel


def serve(
    channel: WorkerChannel, load: Load, messages: Iterator[ToWorker], *, isolation: str
) -> int:
    """Load the model that the first message named and answer until the channel closes.

    Args:
        messages: what comes after `load`.
        isolation: how this process is cut off, for whoever asked for it.
    """
    try:
        model, report = load_model(load.source, load.settings, now=datetime.now, cache=load.cache)
    except SealiftError as error:
        channel.send(LoadFailed(error=to_wire(error)))
        return _EXIT_LOAD_FAILED
    loop = ModelLoop(turn=_turn(model, load.settings), inbox=Inbox(), send=channel.send)
    threading.excepthook = _end_process
    threading.Thread(
        target=_receive, args=(messages, model, loop), name="receive", daemon=True
    ).start()
    channel.send(
        Loaded(
            variant=report.variant,
            context_length=report.context_length,
            isolation=isolation,
            verify_s=report.verify_s,
            load_s=report.load_s,
            verified_bytes=report.verified_bytes,
            prepacked=report.is_prepacked,
            prepack_problem=report.prepack_problem,
            dimensions=None if model.config.vector is None else model.config.vector.dimensions,
            labels=model.config.labels,
            resident_bytes=host.resident_bytes(),
        )
    )
    if isinstance(model, ChatModel):
        threading.Thread(target=_warm, args=(model,), name="warm", daemon=True).start()
    try:
        loop.run()
    except (BrokenPipeError, ConnectionResetError):
        pass  # the server is gone, and with it everyone we could answer
    return 0


def _warm(model: ChatModel) -> None:
    """Index the vocabulary for forms, which takes a second, before the first one is asked for."""
    os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _WARM_NICENESS)
    try:
        model.grammars.warm()
    except GrammarError:
        pass  # who asks for a form of this model is told


def generator_of(model: ChatModel, settings: EngineSettings) -> Generator:
    """Return a loaded chat model's generator."""
    limits = SchedulerLimits(
        slots=settings.slots,
        queue_limit=settings.queue_limit,
        chunk=settings.prefill_chunk,
        chunk_least=settings.prefill_chunk_least,
        chunk_alone=settings.prefill_chunk_alone,
        stall=settings.prefill_stall,
        reuses_prefixes=settings.prefix_cache,
    )
    return Generator(
        decoder=model.decoder,
        scheduler=Scheduler(limits),
        masks=MaskThread(slots=settings.slots, vocab_size=model.vocab_size),
        drafter=Drafter(most=settings.draft_tokens),
        token_bytes=model.grammars.token_bytes,
        clock=time.perf_counter,
    )


def _turn(model: Model, settings: EngineSettings) -> ChatTurn | EmbedTurn:
    if isinstance(model, ChatModel):
        return ChatTurn(generator=generator_of(model, settings))
    waiting = EmbedQueue(
        batch_tokens=settings.embed_batch_tokens, queue_limit=settings.embed_queue_limit
    )
    return EmbedTurn(encoder=model.encoder, waiting=waiting)


def _receive(messages: Iterator[ToWorker], model: Model, loop: ModelLoop) -> None:
    for message in messages:
        match message:
            case Shutdown():
                break
            case Ping():
                loop.send(_pong(loop))
            case Cancel():
                loop.inbox.put(message)
            case Generate() | Embed() | Score():
                _prepare(message, model, loop)
            case _:
                raise TypeError(f"{type(message).__name__} is not for a loaded worker")
    loop.inbox.put(None)


def _pong(loop: ModelLoop) -> Pong:
    return Pong(steps=loop.steps, is_busy=loop.is_busy, resident_bytes=host.resident_bytes())


def _end_process(defect: threading.ExceptHookArgs) -> None:
    threading.__excepthook__(defect)
    os._exit(_EXIT_DEFECT)


def _prepare(message: Generate | Embed | Score, model: Model, loop: ModelLoop) -> None:
    try:
        loop.inbox.put(_prepared(message, model))
    except SealiftError as error:
        loop.send(Failed(id=message.id, error=to_wire(error)))


def _prepared(message: Generate | Embed | Score, model: Model) -> tuple[Sequence, ...] | EmbedJob:
    match message, model:
        case Generate(), ChatModel():
            return model.prepare(message)
        case Embed(), EmbedModel():
            return model.prepare(message)
        case Score(), ScoreModel():
            return model.prepare(message)
        case _:
            raise TaskMismatchError(f"this is a {model.config.task.value} model")
