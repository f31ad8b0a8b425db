"""Booting one case, whatever comes of it: what runs in a worker process."""

from __future__ import annotations

import gc
import math
import os
import signal
import threading
import time
from contextlib import contextmanager
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

from bootsim.errors import EXIT_BAD_INPUT, EXIT_BUG, EXIT_PANICKED, BootsimError, InputError, KernelPanic
from bootsim.hw.memory import keep_mappings
from bootsim.inputs.configfile import load_build
from bootsim.inputs.devicetree import load_tree
from bootsim.start import prepare, run
from bootsim.state.digest import of_stages, whole
from bootsim.state.quantities import Quantities, UnknownQuantityError, verdict
from bootsim.state.recorder import Recorder
from bootsim.views.dmesg import console

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from bootsim.inputs.build import KernelBuild
    from bootsim.inputs.tree import Tree
    from bootsim.linux import Kernel
    from bootsim.sweep.case import Case

COLUMNS = ("lowmem", "highmem", "free_pages", "cma.default.base", "vmalloc.size")
# Quantities that the kernel's own messages tell more about.
SAID_BY_MESSAGES = frozenset({"warning", "error", "verdict", "panic"})
VERDICTS = ("ok", "warnings", "panic", "input error", "timeout", "crash", "bug")
FAILED = frozenset(VERDICTS[2:])
# A boot makes some thousand objects and no cycle but in a panic: the usual 700 would look at each of them many times.
_GC_THRESHOLD = 10_000
# RAM, and struct pages of some sizes of RAM.
_KEPT_MAPPINGS = 6
_EXIT_CODES = ((("bug", "crash"), EXIT_BUG), (("input error", "timeout"), EXIT_BAD_INPUT), (("panic",), EXIT_PANICKED))


class CaseTimeoutError(BaseException):
    """A boot that took longer than it may. No handler of errors on the way may take it for one of its own."""


class Outcome(NamedTuple):
    """How a boot ended. `kernel` is None when it never ran; `message` are the words for what went wrong."""

    verdict: str
    message: str = ""
    kernel: Kernel | None = None


class Loaded(NamedTuple):
    """A tree and a build that were read already; what could not be read is the error to report."""

    tree: Tree | InputError
    build: KernelBuild | InputError


def load(case: Case) -> Loaded:
    """Read the tree and the build of a case. This process keeps those it has seen until their files change."""
    tree = _tree(case.tree, case.include_dirs, case.allow_outside, _stamp(case.tree))
    return Loaded(tree, _build(case.config, _stamp(case.config)))


def boot(case: Case, loaded: Loaded | None = None, *, timeout_s: float = 0, stages: bool = False) -> Outcome:
    """Boot a case and say how it went; no fault of the inputs, the kernel or bootsim itself is raised.

    `stages` keeps a snapshot of each, which a digest needs.
    """
    try:
        with _limit(timeout_s):
            tree, build = loaded or load(case)
            for each in (tree, build):
                if isinstance(each, InputError):
                    return Outcome("input error", str(each))
            return boot_from(tree, build, arguments(case), stages=stages)  # type: ignore[arg-type]
    except CaseTimeoutError as error:
        return Outcome("timeout", str(error))
    except Exception as error:  # a bug in bootsim must not end ten thousand other boots
        return Outcome("bug", f"{type(error).__name__}: {error}")


def boot_from(tree: Tree, build: KernelBuild, given: Mapping[str, Any], *, stages: bool = False) -> Outcome:
    """`boot`, from a tree, a build, and the other arguments of bootsim.prepare(). A bug in bootsim is raised."""
    try:
        k = prepare(tree, build, observer=Recorder() if stages else None, **given)
    except BootsimError as error:
        return Outcome("input error", str(error))
    try:
        run(k)
    except KernelPanic as error:
        return Outcome("panic", _last_words(error), k)
    except BootsimError as error:
        return Outcome("input error", str(error))
    return _booted(k)


def measure(
    case: Case, names: tuple[str, ...] = COLUMNS, loaded: Loaded | None = None, timeout_s: float = 0
) -> dict[str, Any]:
    """Boot a case and return its line of the results: verdict, words, seconds and the named quantities."""
    start = time.perf_counter()
    outcome = boot(case, loaded, timeout_s=timeout_s, stages="digest" in names)
    values: dict[str, int | str | None] = dict.fromkeys(names)
    if outcome.kernel is not None:
        known = quantities(outcome.kernel)
        for name in names:
            try:
                values[name] = known.value(name)
            except UnknownQuantityError:
                continue
    return {
        "case": case.to_json(),
        "verdict": outcome.verdict,
        "message": outcome.message,
        "values": values,
        "seconds": round(time.perf_counter() - start, 4),
    }


def quantities(k: Kernel) -> Quantities:
    """The quantities of a boot that ended; with a digest, if its stages were kept."""
    recorder = k.observer
    if not isinstance(recorder, Recorder):
        return Quantities(k)
    snapshots = recorder.stages.values()
    return Quantities(k, lambda: whole(of_stages(console(k), snapshots)))


def lost(case: Case, message: str = "the process died", names: tuple[str, ...] = COLUMNS) -> dict[str, Any]:
    """The line of the results for a boot that took its process with it."""
    values = dict.fromkeys(names)
    return {"case": case.to_json(), "verdict": "crash", "message": message, "values": values, "seconds": 0}


def exit_code(verdicts: Iterable[str]) -> int:
    """What a command exits with that made boots of these verdicts: the worst of them counts."""
    seen = set(verdicts)
    return next((code for bad, code in _EXIT_CODES if seen & set(bad)), 0)


def settle() -> None:
    """Make a process fit for boots without end.

    What is loaded by now is never looked at by the garbage collector, and a machine's memory serves the next machine.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_GC_THRESHOLD)
    keep_mappings(_KEPT_MAPPINGS)


def _booted(k: Kernel) -> Outcome:
    how = verdict(k)
    complaint = next((r.text.split("\n")[0] for r in k.log.records if r.kernel and r.level <= 4), "")
    return Outcome(how, complaint, k)


def _last_words(panic: KernelPanic) -> str:
    # the kernel's own words first, then the cause in the inputs
    if panic.reason is None:
        return str(panic.cause or panic)
    words = f"Kernel panic - not syncing: {panic.reason}"
    return f"{words} ({panic.cause})" if panic.cause else words


def arguments(case: Case) -> dict[str, Any]:
    """The arguments of bootsim.prepare() beside tree and build."""
    return {
        "mem": case.mem,
        "smp": case.smp,
        "cmdline": case.cmdline,
        "bootloader": case.bootloader,
        "dtb_addr": case.dtb_addr,
        "load_addr": case.load_addr,
        "initrd": None if case.initrd is None else (case.initrd, case.initrd_addr),
        "ram": None if case.ram is None else (case.ram, case.ram_addr),
        "cpu": case.cpu,
        "soc": case.soc,
        "uboot": case.uboot,
        "atags": case.atags,
        "efi_memmap": case.efi_memmap,
    }


def _stamp(name: str) -> tuple[int, int] | None:
    try:
        found = os.stat(name)  # noqa: PTH116, a Path takes as long again
    except (OSError, ValueError):
        return None
    return found.st_mtime_ns, found.st_size


@lru_cache(maxsize=64)
def _tree(
    name: str, include_dirs: tuple[str, ...], allow_outside: bool, _stamp: tuple[int, int] | None
) -> Tree | InputError:
    try:
        return load_tree(name, include_dirs=include_dirs, allow_outside=allow_outside)
    except InputError as error:
        return error


@lru_cache(maxsize=64)
def _build(name: str, _stamp: tuple[int, int] | None) -> KernelBuild | InputError:
    try:
        return load_build(name)
    except InputError as error:
        return error


@contextmanager
def _limit(seconds: float) -> Iterator[None]:
    # Signals reach the main thread only; elsewhere (a cluster's worker threads) there is no limit.
    if not seconds or threading.current_thread() is not threading.main_thread():
        yield
        return

    def expired(*_: object) -> None:
        raise CaseTimeoutError(f"not done after {seconds:g} s")

    before = signal.signal(signal.SIGALRM, expired)
    signal.setitimer(signal.ITIMER_REAL, max(seconds, math.ulp(1.0)))
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
