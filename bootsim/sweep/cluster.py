"""Running cases on a dask cluster: the scheduler gives them to its workers, wherever those are.

Trees and builds are read here, once each, and sent to the workers, which need bootsim but none of the files.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

from bootsim.errors import InputError
from bootsim.sweep.worker import COLUMNS, Loaded, load, lost, measure

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from bootsim.sweep.case import Case

_QUEUED_PER_THREAD = 8
_CONNECT_S = "10s"


def run(
    cases: Sequence[Case], scheduler: str, names: tuple[str, ...] = COLUMNS
) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield (index, result) as the boots get done on the cluster at `scheduler` (`tcp://host:8786`), in any order.

    Raises InputError when dask is not installed or the scheduler does not answer.
    """
    client = _connect(scheduler)
    with client:
        yield from _run(client, cases, names)


def _connect(scheduler: str) -> Any:
    try:
        from distributed import Client
    except ImportError:
        raise InputError("--dask needs dask.distributed: pip install 'bootsim[dask]'") from None
    try:
        client = Client(scheduler, timeout=_CONNECT_S, set_as_default=False)
    except (OSError, ValueError) as error:
        raise InputError(f"{scheduler}: no dask scheduler answers: {error}") from None
    if not client.scheduler_info()["workers"]:
        client.close()
        raise InputError(f"{scheduler}: this dask scheduler has no workers")
    return client


def _run(client: Any, cases: Sequence[Case], names: tuple[str, ...]) -> Iterator[tuple[int, dict[str, Any]]]:
    from distributed import as_completed

    sent: dict[tuple[str, str, tuple[str, ...], bool], Any] = {}

    def submit(index: int) -> Any:
        case = cases[index]
        key = (case.tree, case.config, case.include_dirs, case.allow_outside)
        if key not in sent:
            sent[key] = client.scatter(_Parcel(load(case)), hash=False)
        future = client.submit(_measure, case, names, sent[key], pure=False, retries=1)
        numbers[future.key] = index
        return future

    numbers: dict[str, int] = {}
    threads = sum(client.nthreads().values()) or 1
    indices = iter(range(len(cases)))
    first = [submit(i) for i in itertools.islice(indices, threads * _QUEUED_PER_THREAD)]
    flying = as_completed(first, loop=client.loop)
    for future in flying:
        index = numbers.pop(future.key)
        yield index, _result(future, cases[index], names)
        following = next(indices, None)
        if following is not None:
            flying.add(submit(following))


class _Parcel:
    """What was loaded, as one opaque value: dask looks into tuples for futures of its own."""

    def __init__(self, loaded: Loaded) -> None:
        self.loaded = loaded


def _measure(case: Case, names: tuple[str, ...], parcel: _Parcel) -> dict[str, Any]:
    return measure(case, names, parcel.loaded)


def _result(future: Any, case: Case, names: tuple[str, ...]) -> dict[str, Any]:
    # a worker that died twice on the same boot took it for a bad one
    try:
        result: dict[str, Any] = future.result()
    except Exception as error:
        return lost(case, f"lost on the cluster: {type(error).__name__}: {error}", names)
    return result
