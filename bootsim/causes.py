"""Why something failed, in words: what a failing operation carries up, told with the inputs that made it so.

    memblock_alloc(...) -> 0, because Shortage(...)          the operation knows what it looked for, and where
    cause(k, shortage)  -> "no free 0xd000000 bytes ...:     the words: how much is free there at most, and who is
                            the largest free run is ..."     in the way, with file and line

All addresses are physical; ranges are half-open, and shown with their last byte.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from bootsim.owners import Holding, meeting
from bootsim.page import PAGE_SIZE, page_align
from bootsim.places import memory_place, place_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from bootsim.linux import Kernel
    from bootsim.owners import Purpose

_ALL = 0xFFFFFFFF  # PHYS_ADDR_MAX
_SHOWN = 3
_MANY = 400  # with more holders than this, nobody tries each


class Shortage(NamedTuple):
    """A search found no `size` free bytes aligned to `align` within [start, end)."""

    size: int
    align: int
    start: int
    end: int


class ArrayFull(NamedTuple):
    """A change was refused: memblock.`name` has that many `regions`, and its array, which holds `max`, no more room.

    `can_resize` says whether the array might have grown: then there was no memory for a larger one.
    """

    name: str
    regions: int
    max: int
    can_resize: bool


def cause(k: Kernel, why: Shortage | ArrayFull | str) -> str:
    """What a failing operation carried up, in words, from the state of memory now."""
    if isinstance(why, str):
        return why
    return _full(k, why) if isinstance(why, ArrayFull) else _short(k, why)


def owner(k: Kernel, purpose: Purpose) -> str:
    """An owner as a message names it: a node with its place in the source, anything else with its words."""
    if purpose.kind in ("node", "bank") and purpose.root:
        return asked_by(k, purpose.root)
    return f"the {purpose.what}" + (f" ({asked_by(k, purpose.root)})" if purpose.kind == "cma" else "")


def asked_by(k: Kernel, root: str) -> str:
    """The input that a root stands for, as a message names it: a property with its place, "cmdline: cma=", a symbol.

    A machine's hook, which is no input that facts know, is "machine:" and its function.
    """
    kind, _, rest = root.partition(":")
    if kind == "dtb":
        path, _, prop = rest.rpartition(":")
        return place_of(k, path, prop or None)
    if kind == "machine":
        return f"machine {k.mdesc.name!r}, {rest}()"
    return f"cmdline: {rest}=" if kind == "cmdline" else root


def holders(k: Kernel, base: int, size: int, but: Purpose | None = None) -> list[str]:
    """Who was given [base, base + size) or parts of it, as a message names them; `but` is not among them."""
    held = [*k.owners.claims(), *k.owners.withheld()]
    named = [f"{owner(k, h.purpose)} at {h.span()}" for h in meeting(held, base, base + size) if h.purpose != but]
    return list(dict.fromkeys(named))


def not_one_region(k: Kernel, base: int, end: int) -> str:
    """Why [base, end) is not all in one region of memory: who took part of it away, or who divides it."""
    gone = [h for h in meeting(k.owners.removed(), base, end) if h.purpose.root != "cmdline:mem"]
    if gone:
        return f"{gone[0].caller}() took {gone[0].span()} out of memory: {owner(k, gone[0].purpose)}"
    memory = [(r.base, r.base + r.size) for r in k.mm.memblock.memory.regions]
    if all(any(start <= at < stop for start, stop in memory) for at in (base, end - 1)):
        dividing = meeting(k.owners.no_map(), base, end)
        named = [f"{owner(k, h.purpose)} at {h.span()}" for h in dividing]
        return f"it must lie in one region of memory, and {' and '.join(named) or 'a hole between banks'} divides it"
    return f"which is not all in memory ({memory_place(k)})"


def dividers(k: Kernel, start_va: int, end_va: int) -> str:
    """Who divides [start_va, end_va) of the linear mapping: no-map regions and banks that begin or end inside it."""
    base = k.virt_to_phys(start_va)
    if not k.build.config.PAGE_OFFSET <= start_va < k.mm.high_memory:
        return "an earlier mapping lies there"
    end = base + end_va - start_va
    held = (*k.owners.no_map(), *k.owners.removed(), *k.owners.banks())
    named = [f"{owner(k, h.purpose)} at {h.span()}" for h in held if base < h.base < end or base < h.end < end]
    return f"they are divided by {' and '.join(dict.fromkeys(named))}" if named else "an earlier mapping lies there"


def memory_end(k: Kernel, end: int) -> str:
    """Why memory ends at `end`, as a message names it: who took away what follows, or what told how much there is."""
    gone = next((h for h in k.owners.removed() if h.base == end and h.purpose.root != "cmdline:mem"), None)
    if gone is None:
        return f"where memory ends ({memory_place(k)})"
    return f"where memory ends, as {gone.caller}() took {gone.span()} away for {owner(k, gone.purpose)}"


def size_text(size: int) -> str:
    """A size in the largest unit that leaves nothing over."""
    for shift, unit in ((20, "MiB"), (10, "KiB")):
        if size and size % (1 << shift) == 0:
            return f"{size >> shift} {unit}"
    return f"{size:#x} bytes"


def _full(k: Kernel, full: ArrayFull) -> str:
    held = k.owners.no_map() if full.name == "memory" else k.owners.reserved()
    nodes = len({h.purpose for h in held if h.purpose.kind == "node"})
    grow = "there is no memory for a larger one" if full.can_resize else \
        "it cannot grow before paging_init() has mapped memory"
    return (f"memblock.{full.name} has {full.regions} regions, its array has room for {full.max}, and {grow}; "
            f"{nodes} owners of /reserved-memory and /memreserve/ are in it")


def _short(k: Kernel, s: Shortage) -> str:
    head = f"no free {s.size:#x} bytes aligned to {s.align:#x}"
    regions = k.mm.memblock.memory.regions
    if not sum(r.size for r in regions):
        return f"{head}, as there is no memory at all ({memory_place(k)})"
    head += f" in {s.start:#x}-{s.end - 1:#x}" if s.start > PAGE_SIZE else " in memory" if s.end >= _ALL else \
        f" below {s.end:#x}"
    if s.end == k.mm.arm_lowmem_limit:
        head += ", where lowmem ends"
    memory = _clip(((r.base, r.base + r.size) for r in regions), s)
    held = meeting([*k.owners.reserved(), *k.owners.withheld()], s.start, s.end)
    gone = _clip(((h.base, h.end) for h in k.owners.withheld() if not _in_memory(k, h)), s)
    total = sum(end - base for base, end in memory + gone)
    if not total:
        return f"{head}: no memory lies there ({memory_place(k)})"
    if total < s.size:
        return f"{head}: only {size_text(total)} of memory lie there ({memory_place(k)})"
    free = _free(memory, held)
    way, fixed = _in_the_way(k, free, held, s)
    # the kernel cannot lie elsewhere: then there is too little memory beside it
    less = f"; {size_text(total)} of memory lie there ({memory_place(k)})" if fixed else ""
    return f"{head}: {_largest(free, s)}{way}{less}"


def free_runs(k: Kernel, start: int, end: int, stage: str | None = None) -> list[tuple[int, int]]:
    """What nobody holds of the memory in [start, end) at a stage of the boot (None: now), by address."""
    memory = _clip(((r.base, r.base + r.size) for r in k.mm.memblock.memory.regions), Shortage(0, 1, start, end))
    return _free(memory, meeting([*k.owners.reserved(stage), *k.owners.no_map(stage)], start, end))


def _in_memory(k: Kernel, h: Holding) -> bool:
    return any(r.base < h.end and h.base < r.base + r.size for r in k.mm.memblock.memory.regions)


def _clip(ranges: Iterator[tuple[int, int]], s: Shortage) -> list[tuple[int, int]]:
    found = ((max(base, s.start), min(end, s.end)) for base, end in ranges)
    return [(base, end) for base, end in found if base < end]


def _free(memory: Sequence[tuple[int, int]], held: Sequence[Holding]) -> list[tuple[int, int]]:
    # what of the memory nobody holds, by address
    found: list[tuple[int, int]] = []
    for base, end in memory:
        for h in sorted(meeting(list(held), base, end)):
            if base < h.base:
                found.append((base, h.base))
            base = max(base, h.end)
        if base < end:
            found.append((base, end))
    return found


def _usable(run: tuple[int, int], s: Shortage) -> int:
    # how much of a run an aligned block could have, in whole units of the alignment
    start = -(-run[0] // s.align) * s.align
    return max(run[1] - start, 0) // s.align * s.align if s.align >= PAGE_SIZE else max(run[1] - start, 0)


def _largest(free: Sequence[tuple[int, int]], s: Shortage) -> str:
    run = max(free, key=lambda each: _usable(each, s), default=None)
    if run is None:
        return "nothing is free there"
    usable = _usable(run, s)
    if s.align >= PAGE_SIZE:  # shown in whole pages, as all that is asked for
        run = (page_align(run[0]), run[1] // PAGE_SIZE * PAGE_SIZE)
        return f"the largest free run is {run[0]:#x}-{run[1] - 1:#x}, {size_text(usable)} in whole {size_text(s.align)}"
    return f"the largest free run is {run[0]:#x}-{run[1] - 1:#x}, {size_text(usable)}"


# Who keeps the block out, and whether the kernel itself is among them: those without whom, one at a time, it would fit;
# else whoever holds most of the range.
def _in_the_way(k: Kernel, free: Sequence[tuple[int, int]], held: list[Holding], s: Shortage) -> tuple[str, bool]:
    alone = []
    for h in held if len(held) <= _MANY else ():
        most = max(_usable(run, s) for run in _joined(free, h, s))
        if most >= s.size:
            alone.append((most, h))
    if alone:
        named = [f"{owner(k, h.purpose)} at {h.span()} (without it {size_text(most)} would be free)"
                 for most, h in sorted(alone, key=lambda each: -each[0])[:_SHOWN]]  # fmt: skip
        return f"; in the way: {', or '.join(named)}", any(h.purpose.kind in ("image", "tables") for _, h in alone)
    largest = sorted(held, key=lambda h: min(h.end, s.end) - max(h.base, s.start), reverse=True)
    named = [f"{owner(k, h.purpose)} at {h.span()}" for h in largest[:_SHOWN]]
    more = f" and {len(held) - _SHOWN} more" if len(held) > _SHOWN else ""
    return f"; in the way: {', '.join(named)}{more}" if named else "", any(h.purpose.kind == "image" for h in held)


def _joined(free: Sequence[tuple[int, int]], h: Holding, s: Shortage) -> list[tuple[int, int]]:
    # the free runs as they would be without one holder
    found: list[tuple[int, int]] = []
    for base, end in sorted([*free, *_clip(iter([(h.base, h.end)]), s)]):
        if found and base <= found[-1][1]:
            found[-1] = (found[-1][0], max(end, found[-1][1]))
        else:
            found.append((base, end))
    return found


def tell_given_twice(k: Kernel) -> None:
    """Log who was given the same memory, where the kernel does not say so itself; each pair once.

    Source: none, the kernel has no such message
    """
    from bootsim.linux.kernel.printk import KERN_WARNING, step

    for each in k.owners.twice():
        pair = (each.first.purpose, each.second.purpose)
        if pair not in k.owners.told:
            k.owners.told.add(pair)
            step(k, "{second} lies on {first}: the kernel does not say so, and both will use that memory",
                 level=KERN_WARNING, second=owner(k, pair[1]), first=f"{owner(k, pair[0])} at {each.first.span()}")


def unheeded(k: Kernel, ret: int, what: str) -> bool:
    """Whether a call failed; then log that the kernel does not look at its answer. `what` would have been done.

    Source: none, the kernel has no such message
    """
    from bootsim.linux.kernel.printk import KERN_WARNING, step

    why = getattr(ret, "why", None)
    if why is None:
        return False
    step(k, "cause: {what} is not done, and the kernel does not notice: {why}", level=KERN_WARNING, what=what,
         why=cause(k, why))
    return True
