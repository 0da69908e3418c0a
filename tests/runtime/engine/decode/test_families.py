"""On real graphs of every architecture family, at fp32, token for token: an answer is the same

batched or alone, its prompt chunked or whole, its prefix reused or computed, guessed ahead or not,
greedy or drawn, over random schedules. The miniatures have random weights and cross their windows.
"""

import time
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sealift.bundler.export.decoder import export_decoder
from sealift.bundler.export.serving_graph import SERVING_GRAPH
from sealift.bundler.plan import Route, VariantPlan
from sealift.manifests.recipe import Precision, Task, VariantSpec
from sealift.manifests.serving import DecoderShape
from sealift.runtime.engine.decode.decoder import OnnxDecoder
from sealift.runtime.engine.decode.detokenizer import Detokenizer
from sealift.runtime.engine.decode.drafter import Drafter
from sealift.runtime.engine.decode.generator import Generator
from sealift.runtime.engine.decode.kv_cache import KvCache
from sealift.runtime.engine.decode.sampling_row import SamplingRow
from sealift.runtime.engine.decode.scheduler import Scheduler, SchedulerLimits
from sealift.runtime.engine.decode.sequence import Sequence
from sealift.runtime.engine.decode.stop import StopMatcher
from sealift.runtime.engine.request import Failed, SamplingParams
from sealift.runtime.engine.session import open_session
from tests.bundler.conftest import build_here
from tests.bundler.miniatures import DECODERS, save_decoder
from tests.runtime.engine.decode.fake_model import NoForms

VOCAB = 2048
# Inside the short rotation of the one family that has two.
CONTEXT = 128
DRAFTS = 11


@dataclass(frozen=True)
class Asked:
    """One request of a schedule: a family of prompts that begin alike, and how to answer."""

    family: int
    length: int
    tail: int
    limit: int
    temperature: float
    arrival: int

    @property
    def prompt(self) -> tuple[int, ...]:
        shared = [3 + (self.family * 997 + place * 131) % 1990 for place in range(self.length)]
        return (*shared, 3 + self.tail)


ASKED = st.builds(
    Asked,
    family=st.integers(0, 1),
    length=st.integers(0, 80),
    tail=st.integers(0, 2),
    limit=st.integers(1, 40),
    temperature=st.sampled_from([0.0, 0.0, 0.8]),
    arrival=st.integers(0, 25),
)


@cache
def _folder(family: str) -> Path:
    _kept.append(TemporaryDirectory(prefix="family-"))
    root = Path(_kept[-1].name)
    out = root / "out"
    out.mkdir()
    spec = VariantSpec(precision=Precision.FP32)
    plan = VariantPlan(spec=spec, task=Task.CHAT, route=Route.GENAI)
    export_decoder(save_decoder(family, root / "model"), out, plan, run_builder=build_here)
    return out


_kept: list[TemporaryDirectory[str]] = []


@cache
def _decoder(family: str, slots: int) -> OnnxDecoder:
    head_size = 32 if family == "qwen3" else 16
    kv_heads = 4 if family == "smollm2" else 2
    shape = DecoderShape(layers=2, kv_heads=kv_heads, head_size=head_size, vocab_size=VOCAB)
    folder = _folder(family)
    session = open_session((folder / SERVING_GRAPH).read_bytes(), folder, threads=1)
    cache = KvCache(shape, slots=slots, length=CONTEXT)
    return OnnxDecoder(session, shape, cache, longest_check=DRAFTS + 1)


def _generator(family: str, *, slots: int, chunk: int, reuses: bool, drafts: int) -> Generator:
    limits = SchedulerLimits(
        slots=slots, chunk=chunk, chunk_least=1, chunk_alone=chunk + 5, reuses_prefixes=reuses
    )
    return Generator(
        decoder=_decoder(family, slots),
        scheduler=Scheduler(limits),
        masks=NoForms(),
        drafter=Drafter(most=drafts),
        token_bytes=lambda token: b"",
        clock=time.perf_counter,
    )


def _sequence(id: int, asked: Asked) -> Sequence:
    sampling = SamplingParams(temperature=asked.temperature, seed=id)
    return Sequence(
        id=id,
        prompt=asked.prompt,
        row=SamplingRow.start(sampling, vocab_size=VOCAB),
        token_limit=asked.limit,
        eos_token_ids=frozenset(),
        detokenizer=Detokenizer(lambda ids: "".join(chr(0x4E00 + id) for id in ids)),
        stop=StopMatcher(()),
    )


def _run(generator: Generator, schedule: list[Asked]) -> dict[int, str]:
    texts = dict.fromkeys(range(len(schedule)), "")
    waiting, step = dict(enumerate(schedule)), 0
    while generator.has_work or waiting:
        for id in [id for id, asked in waiting.items() if asked.arrival <= step]:
            generator.submit(_sequence(id, waiting.pop(id)))
        for reply in generator.step():
            assert not isinstance(reply, Failed)
            texts[reply.id] += reply.text
        step += 1
    return texts


@pytest.mark.parametrize("family", DECODERS)
@settings(
    max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)  # an example runs a model some hundred times
@given(
    schedule=st.lists(ASKED, min_size=2, max_size=6),
    slots=st.sampled_from([2, 4]),
    chunk=st.sampled_from([3, 16, 64]),
    drafts=st.sampled_from([0, 3, DRAFTS]),
)
def test_no_schedule_changes_an_answer(
    family: str, schedule: list[Asked], slots: int, chunk: int, drafts: int
) -> None:
    alone = {}
    for id, asked in enumerate(schedule):
        single = _generator(family, slots=1, chunk=CONTEXT, reuses=False, drafts=0)
        single.submit(_sequence(id, asked))
        alone[id] = ""
        while single.has_work:
            for reply in single.step():
                assert not isinstance(reply, Failed)
                alone[id] += reply.text
    shared = _generator(family, slots=slots, chunk=chunk, reuses=True, drafts=drafts)
    assert _run(shared, schedule) == alone
    assert [len(text) for text in alone.values()] == [asked.limit for asked in schedule]
