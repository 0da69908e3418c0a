"""Models in memory: named cases, then random lives of many models against the promises."""

from dataclasses import dataclass, field, replace

from hypothesis import given, settings
from hypothesis import strategies as st

from sealift.runtime.engine.fleet.residency import (
    Plan,
    Reason,
    ResidencyPolicy,
    Resident,
    Stay,
    Unload,
    Waiting,
    plan,
)

POLICY = ResidencyPolicy(keep_alive_s=100.0, hold_s=30.0)


def _resident(name: str, size: int, **fields: object) -> Resident:
    defaults: dict[str, object] = {"state": Stay.READY, "last_used_s": 0.0}
    return Resident(name=name, size_bytes=size, **(defaults | fields))  # type: ignore[arg-type]


def _waiting(name: str, size: int, since_s: float = 50.0) -> Waiting:
    return Waiting(name=name, size_bytes=size, since_s=since_s)


def _plan(residents: list[Resident], waiting: list[Waiting], now_s: float = 60.0) -> Plan:
    return plan(10, residents, waiting, now_s=now_s, policy=POLICY)


def test_what_fits_is_loaded_at_once() -> None:
    todo = _plan([_resident("a", 4, last_used_s=59.0)], [_waiting("b", 6)])
    assert (todo.load, todo.unload) == (("b",), ())


def test_the_idle_one_used_longest_ago_goes_first_and_no_more_than_needed() -> None:
    residents = [
        _resident("new", 3, last_used_s=58.0),
        _resident("old", 3, last_used_s=40.0),
        _resident("older", 3, last_used_s=30.0),
    ]
    todo = _plan(residents, [_waiting("b", 6)])
    assert todo.unload == (Unload("older", Reason.ROOM), Unload("old", Reason.ROOM))
    assert todo.load == ()  # not before the room is there


def test_a_pinned_model_stays_and_what_cannot_fit_beside_it_is_refused() -> None:
    pinned = _resident("a", 5, is_pinned=True, last_used_s=-1000.0)
    assert _plan([pinned], [_waiting("b", 6)]) == Plan(refuse=("b",))
    assert _plan([pinned], []) == Plan()
    assert _plan([], [_waiting("b", 11)]).refuse == ("b",)


def test_a_busy_model_keeps_its_turn_and_then_leaves() -> None:
    busy = _resident("a", 6, requests=1, ready_at_s=40.0)
    early = _plan([busy], [_waiting("b", 6)])
    assert (early.unload, early.wake_at_s) == ((), 70.0)
    late = _plan([busy], [_waiting("b", 6)], now_s=70.0)
    assert late.unload == (Unload("a", Reason.ROOM),)


def test_what_is_leaving_or_loading_is_waited_for() -> None:
    leaving = _resident("a", 6, state=Stay.LEAVING, requests=1)
    assert _plan([leaving], [_waiting("b", 6)]) == Plan()
    loading = _resident("a", 6, state=Stay.LOADING)
    assert _plan([loading], [_waiting("b", 6)]) == Plan()
    # Asked for again while it leaves: it comes back, after it has left.
    assert _plan([replace(leaving, size_bytes=2)], [_waiting("a", 2)]) == Plan()


def test_a_small_model_does_not_overtake_a_large_one_for_its_room() -> None:
    busy = _resident("a", 6, requests=1, ready_at_s=40.0)
    queue = [_waiting("large", 8, since_s=50.0), _waiting("small", 3, since_s=51.0)]
    assert _plan([busy], queue).load == ()
    beside = [_waiting("large", 4, since_s=50.0), _waiting("small", 3, since_s=51.0)]
    assert _plan([_resident("a", 3, requests=1)], beside).load == ("large", "small")


def test_an_idle_model_is_unloaded_after_its_time() -> None:
    idle = _resident("a", 6, last_used_s=10.0)
    assert _plan([idle], [], now_s=109.0).wake_at_s == 110.0
    assert _plan([idle], [], now_s=110.0).unload == (Unload("a", Reason.IDLE),)
    assert _plan([replace(idle, requests=1)], [], now_s=500.0) == Plan()


def test_models_that_turned_out_too_large_together_make_room() -> None:
    old, new = _resident("old", 6, last_used_s=10.0), _resident("new", 6, last_used_s=20.0)
    assert _plan([new, old], []).unload == (Unload("old", Reason.ROOM),)


@dataclass
class World:
    """Models that live as in a server: the plan is carried out, loads and requests take time."""

    budget: int
    sizes: dict[str, int]
    pinned: set[str]
    now_s: float = 0.0
    residents: dict[str, Resident] = field(default_factory=dict)
    waiting: dict[str, float] = field(default_factory=dict)
    served: list[str] = field(default_factory=list)

    def ask(self, name: str) -> None:
        found = self.residents.get(name)
        if found is not None and found.state is Stay.READY:
            self._set(found, requests=found.requests + 1, last_used_s=self.now_s)
            self.served.append(name)
        elif found is None or found.state is Stay.LEAVING:
            self.waiting.setdefault(name, self.now_s)

    def finish_request(self, name: str) -> None:
        found = self.residents.get(name)
        if found is not None and found.requests:
            self._set(found, requests=found.requests - 1, last_used_s=self.now_s)

    def finish_load(self, name: str) -> None:
        found = self.residents.get(name)
        if found is not None and found.state is Stay.LOADING:
            self._set(found, state=Stay.READY, ready_at_s=self.now_s, last_used_s=self.now_s)
            self.ask(name)

    def review(self) -> Plan:
        residents = tuple(self.residents.values())
        waiting = [
            Waiting(name=name, size_bytes=self.sizes[name], since_s=since)
            for name, since in self.waiting.items()
        ]
        todo = plan(self.budget, residents, waiting, now_s=self.now_s, policy=POLICY)
        self._check(todo, residents)
        for name in todo.refuse:
            del self.waiting[name]
        for item in todo.unload:
            self._set(self.residents[item.name], state=Stay.LEAVING)
        for name in todo.load:
            del self.waiting[name]
            self.residents[name] = _resident(
                name, self.sizes[name], state=Stay.LOADING, is_pinned=name in self.pinned
            )
        assert sum(item.size_bytes for item in self.residents.values()) <= self.budget
        self._leave()
        return todo

    def _leave(self) -> None:
        for item in list(self.residents.values()):
            if item.state is Stay.LEAVING and item.requests == 0:
                del self.residents[item.name]

    def _check(self, todo: Plan, residents: tuple[Resident, ...]) -> None:
        gone = {item.name for item in todo.unload}
        assert len(gone) == len(todo.unload)
        assert not gone & self.pinned
        idle = [item for item in residents if item.is_idle and not item.is_pinned]
        for item in idle:
            for other in idle:
                if other.name in gone and item.last_used_s < other.last_used_s:
                    assert item.name in gone, "a model went before one that was used longer ago"
        assert not set(todo.refuse) & set(todo.load)

    def _set(self, item: Resident, **fields: object) -> None:
        self.residents[item.name] = replace(item, **fields)  # type: ignore[arg-type]


NAMES = "abcde"
STEPS = st.lists(
    st.tuples(
        st.sampled_from(["ask", "finish_request", "finish_load", "pass"]),
        st.sampled_from(NAMES),
        st.integers(1, 60),
    ),
    max_size=60,
)


@settings(max_examples=300, deadline=None)
@given(
    sizes=st.fixed_dictionaries({name: st.integers(1, 12) for name in NAMES}),
    pinned=st.sets(st.sampled_from(NAMES), max_size=2),
    steps=STEPS,
)
def test_promises_hold_in_every_life(
    sizes: dict[str, int], pinned: set[str], steps: list[tuple[str, str, int]]
) -> None:
    if sum(sizes[name] for name in pinned) > 10:
        pinned = set()
    world = World(budget=10, sizes=sizes, pinned=pinned)
    for name in pinned:
        world.ask(name)
    world.review()
    for action, name, seconds in steps:
        if action == "pass":
            world.now_s += seconds
        else:
            getattr(world, action)(name)
        world.review()
    _live_on(world)


def _live_on(world: World) -> None:
    """Let loads and requests end and time pass: everybody who waits must be served or refused."""
    for _ in range(200):
        if not world.waiting and all(item.state is Stay.READY for item in world.residents.values()):
            return
        for name in list(world.residents):
            world.finish_load(name)
            world.finish_request(name)
        world.now_s += 1.0
        world.review()
    raise AssertionError(f"still waiting: {world.waiting}, in memory: {world.residents}")


@given(names=st.integers(2, 4), size=st.integers(6, 10))
def test_models_that_never_rest_take_turns(names: int, size: int) -> None:
    everyone = NAMES[:names]
    world = World(budget=10, sizes=dict.fromkeys(everyone, size), pinned=set())
    turns: list[str] = []
    wake_s: float | None = 0.0
    while world.now_s < 1000:
        for name in everyone:
            world.ask(name)  # there is always one more request
        for item in list(world.residents.values()):
            if item.state is Stay.LOADING:
                world.finish_load(item.name)
                turns.append(item.name)
            if item.state is Stay.LEAVING or item.requests > 1:
                world.finish_request(item.name)
        wake_s = world.review().wake_at_s
        world.now_s += 1.0
        assert wake_s is None or wake_s > world.now_s - 1.0
    assert len(turns) >= 1000 / (POLICY.hold_s + 5) - 1
    for start in range(len(turns) - names + 1):
        assert set(turns[start : start + names]) == set(everyone)
