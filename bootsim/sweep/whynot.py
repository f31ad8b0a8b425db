"""Why something does not hold of a boot: the smallest single changes that would make it hold, each one booted.

    vmalloc=, cma=, the size of RAM     searched for the nearest value at which it holds
    the split of the address space      the other ones
    each reserved node                  smaller, or left out
    what else was asked for             left out

And what moves a quantity: the same changes, with what becomes of it.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, NamedTuple

from bootsim.errors import InputError
from bootsim.page import PAGE_SIZE
from bootsim.state.changes import node_size, removals, reserved_nodes, splits, with_node_size
from bootsim.state.decisions import Inputs, with_line
from bootsim.state.quantities import UnknownQuantityError, is_known, size_text
from bootsim.state.words import words_of
from bootsim.sweep.find import GIB, MIB, Answer, answer, find_value
from bootsim.sweep.worker import Outcome, boot_from, quantities

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from bootsim.linux import Kernel
    from bootsim.state.changes import Change
    from bootsim.state.expressions import Expression
    from bootsim.sweep.find import Found

_SAMPLES = 24
# What is searched, and the step and range of sizes.
_TIPS = (("vmalloc=", MIB, 16 * MIB, 3 * GIB), ("cma=", MIB, 0, 2 * GIB), ("mem", MIB, 16 * MIB, 4 * GIB - MIB))
_MOST_REMOVALS = 40


class Way(NamedTuple):
    """One change that would make an expression hold: in words, as it is now, where it would be made."""

    change: str
    now: str
    where: str


class WhyNot(NamedTuple):
    """Whether an expression holds, and if not, why; the changes that would make it hold, and those that would not."""

    answer: Answer
    ways: tuple[Way, ...]
    tried: tuple[str, ...]
    boots: int


class Trials:
    """Boots of changed inputs, counted. `progress(boots)` hears of each."""

    def __init__(self, inputs: Inputs, progress: Callable[[int], None] | None = None) -> None:
        self.inputs = inputs
        self.boots = 0
        self.unknown: set[str] | None = None  # names that none of the boots has a value for; None before the first
        self._progress = progress

    def ask(self, expression: Expression, inputs: Inputs) -> Answer:
        """Boot and hold the expression against the boot."""
        return self.held(self.boot(inputs, stages="digest" in expression.names()), expression)

    def held(self, outcome: Outcome, expression: Expression) -> Answer:
        """Hold the expression against a boot."""
        found = answer(outcome, expression)
        if outcome.kernel is not None:
            self.unknown = set(found.unknown) if self.unknown is None else self.unknown & set(found.unknown)
        return found

    def boot(self, inputs: Inputs, *, stages: bool = False) -> Outcome:
        """Boot and say how it went."""
        self._count()
        return boot_from(inputs.tree, inputs.build, inputs.options, stages=stages)

    def _count(self) -> None:
        self.boots += 1
        if self._progress is not None:
            self._progress(self.boots)


def why_not(inputs: Inputs, expression: Expression, progress: Callable[[int], None] | None = None) -> WhyNot:
    """Boot, and where the expression does not hold, search for single changes that make it hold.

    Raises InputError when the inputs cannot be booted, or when a name is no quantity of any of the boots.
    """
    trials = Trials(inputs, progress)
    outcome = trials.boot(inputs, stages="digest" in expression.names())
    if outcome.kernel is None:
        raise InputError(outcome.message)
    now = trials.held(outcome, expression)
    if now.holds:
        return WhyNot(now, (), (), trials.boots)
    ways: list[Way] = []
    tried: list[str] = []
    for tip, step, low, high in _TIPS:
        way = _tipped(trials, expression, outcome.kernel, (tip, step, low, high))
        if way is not None:
            ways.append(way)
        else:
            tried.append("--mem" if tip == "mem" else tip)
    for change in (*splits(inputs), *removals(inputs)):
        made = _changed(trials, expression, change)
        if made is None:
            tried.append(change.title)
        else:
            ways += _smaller(trials, expression, change) or [made]
    if any(not is_known(name) for name in trials.unknown or ()):
        raise InputError(f"{now.reason}, nor in any of the {trials.boots - 1} with one change")
    return WhyNot(now, tuple(ways), tuple(tried), trials.boots)


def enough(inputs: Inputs, expression: Expression) -> list[Way]:
    """What was asked for and need only be left out for the expression to hold: each of it alone, booted."""
    trials = Trials(inputs)
    ways = (_changed(trials, expression, change) for change in itertools.islice(removals(inputs), _MOST_REMOVALS))
    return [way for way in ways if way is not None]


def _changed(trials: Trials, expression: Expression, change: Change) -> Way | None:
    try:
        inputs = change.make()
    except InputError:
        return None
    return Way(change.title, "", change.where) if trials.ask(expression, inputs).holds else None


# The nearest value of an option at which the expression holds.
def _tipped(trials: Trials, expression: Expression, k: Kernel, search: tuple[str, int, int, int]) -> Way | None:
    tip, step, low, high = search
    now = _now(k, tip)
    found = find_value(low, high, lambda value: trials.ask(expression, _with_value(trials.inputs, tip, value)),
                       step=step, samples=_SAMPLES)  # fmt: skip
    value = nearest(found, now)
    if value is None:
        return None
    shown = size_text(value) if value else "0"
    change = f"--mem {shown}" if tip == "mem" else f"{tip}{shown}"
    bound = "or more" if value > now else "or less"
    where = "" if tip == "mem" else trials.inputs.bootargs_place()
    return Way(f"{change} {bound}" if _goes_on(found, value, now) else change, size_text(now) if now else "0", where)


def _with_value(inputs: Inputs, tip: str, value: int) -> Inputs:
    if tip == "mem":
        return Inputs(inputs.tree, inputs.build, {**inputs.options, "mem": value})
    words = [word.text for word in words_of(inputs.bootargs) if word.name != tip.rstrip("=")]
    return with_line(inputs, " ".join([*words, f"{tip}{value}"]))


def nearest(found: Found, now: int) -> int | None:
    """Of the values at which a search's expression holds, the nearest to `now`; None without one."""
    holding = _stretches(found)
    values = (min(max(now, low), high) for low, high in holding)
    return min(values, key=lambda value: abs(value - now), default=None)


def _stretches(found: Found) -> Iterator[tuple[int, int]]:
    start = found.low if found.at_low.holds else None
    for flip in found.flips:
        if flip.after.holds:
            start = flip.first
        elif start is not None:
            yield start, flip.last
            start = None
    if start is not None:
        yield start, found.high


def _goes_on(found: Found, value: int, now: int) -> bool:
    # whether the stretch runs on to the end of the range, away from `now`
    return any(low <= value <= high and (high == found.high if value > now else low == found.low)
               for low, high in _stretches(found))  # fmt: skip


def _now(k: Kernel, tip: str) -> int:
    if tip == "mem":
        return sum(size for _, size in k.machine.banks)
    area = k.mm.dma_contiguous_default_area
    if tip == "cma=":
        return 0 if area is None else area.count << 12
    from bootsim.linux.arch.arm.asm.memory import VMALLOC_END

    return VMALLOC_END - k.mm.vmalloc_min


# A reserved node that might as well be smaller: the largest size at which it holds.
def _smaller(trials: Trials, expression: Expression, change: Change) -> list[Way]:
    inputs = trials.inputs
    path = change.title.removeprefix("without ")
    node = dict(reserved_nodes(inputs)).get(path)
    size = node_size(inputs, node) if node is not None else None
    if node is None or size is None or size[1] < 2 * PAGE_SIZE or size[1] % PAGE_SIZE:
        return []
    found = find_value(
        PAGE_SIZE, size[1], lambda value: trials.ask(expression, with_node_size(inputs, path, node, value)),
        step=PAGE_SIZE, samples=2,
    )  # fmt: skip
    value = nearest(found, size[1])
    if value is None or value == size[1]:
        return []
    return [Way(f"{path} of {size_text(value)} or less", size_text(size[1]), inputs.tree.where(path, size[0]))]


# ---------------------------------------------------------------- what moves a quantity


class Move(NamedTuple):
    """What a change makes of a quantity; None where the changed boot has no such thing, or cannot be made."""

    change: str
    where: str
    value: int | str | None


class WhatIf(NamedTuple):
    """A quantity, its unit and its value now; the changes that move it, the largest moves first; the boots it took."""

    name: str
    unit: str
    value: int | str
    moves: tuple[Move, ...]
    boots: int


def what_if(inputs: Inputs, name: str, progress: Callable[[int], None] | None = None) -> WhatIf:
    """Boot, and boot with each single change, and tell which move the quantity.

    Raises InputError when the inputs cannot be booted, or the boot has no such quantity.
    """
    trials = Trials(inputs, progress)
    outcome = trials.boot(inputs, stages=name == "digest")
    if outcome.kernel is None:
        raise InputError(outcome.message)
    known = quantities(outcome.kernel)
    try:
        now = known.value(name)
    except UnknownQuantityError as error:
        raise InputError(str(error)) from None
    moves = []
    for change in (*splits(inputs), *removals(inputs)):
        value = _changed_value(trials, change, name)
        if value != now:
            moves.append(Move(change.title, change.where, value))
    moves.sort(key=lambda move: -_distance(now, move.value))
    return WhatIf(name, known.unit(name), now, tuple(moves), trials.boots)


def _changed_value(trials: Trials, change: Change, name: str) -> int | str | None:
    try:
        k = trials.boot(change.make(), stages=name == "digest").kernel
        return None if k is None else quantities(k).value(name)
    except (InputError, UnknownQuantityError):
        return None


def _distance(now: int | str, value: int | str | None) -> int:
    return abs(now - value) if isinstance(now, int) and isinstance(value, int) else 0
