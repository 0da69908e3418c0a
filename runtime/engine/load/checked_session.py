"""Open a model's session while its weights are being checked, from the cache where that can be.

What is parsed was checked before: the graph (from the store, or the cache's sealed one). Weights
are only mapped, copied and packed, so their check runs beside onnxruntime's work; the session is
handed out when both are through, and thrown away where the check fails.

From the cache, the bytes that are loaded are the entry's, so those are checked, all of them. Of the
store, everything small is hashed as ever; the weights, which nothing opens, are compared in size
and in their time of writing, and `sealift audit verify` hashes them when asked. An entry that
cannot be used costs nothing but time: the model is loaded from the store.
"""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final

from sealift.runtime.engine.errors import LoadError
from sealift.runtime.engine.integrity import VerifiedFolder
from sealift.runtime.engine.prepack.binding import bind
from sealift.runtime.engine.prepack.entry import PrepackEntry
from sealift.runtime.engine.prepack.seal import PrepackError
from sealift.runtime.engine.prepack_spec import PrepackCacheSpec
from sealift.runtime.engine.session import open_prepacked, open_session

if TYPE_CHECKING:
    import onnxruntime

__all__ = ["CheckedSession", "open_checked"]

# Hashing less than this takes a millisecond; more is weights.
_WEIGHTS_FROM_BYTES: Final = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckedSession:
    """A session over bytes that were all checked.

    Args:
        checked_at_s: by the monotonic clock, when the last byte was.
        checked_bytes: of the cache's entry.
        problem: why an entry that was there is not used.
    """

    session: "onnxruntime.InferenceSession"
    checked_at_s: float
    checked_bytes: int = 0
    is_prepacked: bool = False
    problem: str | None = None


def open_checked(
    folder: VerifiedFolder,
    graph: bytes,
    *,
    threads: int,
    cache: PrepackCacheSpec | None,
    meanwhile: Callable[[], object],
) -> CheckedSession:
    """Open a session from a folder whose graph was checked, and check the folder's other files.

    Args:
        meanwhile: done in this thread while others work; twice where the cache fails.

    Raises:
        ModelIntegrityError: a file is not the signed one.
        LoadError: onnxruntime refuses the graph.
    """
    problem = None
    if cache is not None:
        try:
            found = _from_cache(folder, graph, cache, threads=threads, meanwhile=meanwhile)
            if found is not None:
                return found
        except (PrepackError, LoadError) as error:
            problem = error.message
    folder.hold_rest()
    session, checked_at_s = _beside(
        partial(open_session, graph, folder.path, threads=threads),
        checks=[folder.check_rest],
        meanwhile=meanwhile,
    )
    return CheckedSession(session=session, checked_at_s=checked_at_s, problem=problem)


def _from_cache(
    folder: VerifiedFolder,
    graph: bytes,
    cache: PrepackCacheSpec,
    *,
    threads: int,
    meanwhile: Callable[[], object],
) -> CheckedSession | None:
    entry = PrepackEntry.open(cache, bind(folder, graph))
    if entry is None:
        return None
    with entry:
        folder.hold_rest(unopened_from_bytes=_WEIGHTS_FROM_BYTES)
        session, checked_at_s = _beside(
            partial(open_prepacked, entry.graph, entry.folder, threads=threads),
            checks=[partial(entry.check_data, threads=threads), folder.check_rest],
            meanwhile=meanwhile,
        )
        entry.check_unchanged()
    return CheckedSession(
        session=session,
        checked_at_s=checked_at_s,
        checked_bytes=entry.checked_bytes,
        is_prepacked=True,
    )


def _beside(
    open_it: Callable[[], "onnxruntime.InferenceSession"],
    *,
    checks: Sequence[Callable[[], None]],
    meanwhile: Callable[[], object],
) -> tuple["onnxruntime.InferenceSession", float]:
    """Open a session beside its checks; a check that fails is what is raised, whatever else is."""
    with ThreadPoolExecutor(1 + len(checks), thread_name_prefix="load") as executor:
        # First of all, since it is what takes longest and never waits for Python.
        opening = executor.submit(open_it)
        checking = [executor.submit(_timed, check) for check in checks]
        failure = None
        try:
            meanwhile()
        except LoadError as error:
            failure = error
        checked_at_s = max(check.result() for check in checking)
        if failure is not None:
            raise failure
        return opening.result(), checked_at_s


def _timed(check: Callable[[], None]) -> float:
    check()
    return time.monotonic()
