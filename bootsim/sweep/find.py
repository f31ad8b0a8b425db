"""Where a verdict flips: the exact value of one input at which an expression begins or ceases to hold.

    samples  |--+--+--+--+--+--|        an even grid over the range finds every stretch
                 T  T  F  F  T          ... between neighbours that differ, bisection finds the flip

A flip between two samples that agree is not seen; more samples see finer.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

from bootsim.errors import InputError
from bootsim.state.decisions import Inputs
from bootsim.state.expressions import parse
from bootsim.state.quantities import is_known
from bootsim.sweep.worker import SAID_BY_MESSAGES, arguments, boot, load, quantities

if TYPE_CHECKING:
    from collections.abc import Callable

    from bootsim.state.expressions import Expression
    from bootsim.sweep.case import Case
    from bootsim.sweep.worker import Outcome

MIB, GIB = 1 << 20, 1 << 30

# Where to look when nobody says: an option that takes a size, and the sizes worth trying.
# RAM comes in pages.
STEPS = {"mem": 4096}
RANGES = {"mem": (16 * MIB, 4 * GIB - MIB), "vmalloc=": (16 * MIB, 3 * GIB), "cma=": (0, 2 * GIB)}


class Answer(NamedTuple):
    """Whether the expression held in a boot, and if not, why; `unknown` are names that the boot has no value for."""

    holds: bool
    reason: str = ""
    unknown: tuple[str, ...] = ()


class Flip(NamedTuple):
    """The expression answers `before` up to the value `last`, and `after` from the value `first` on."""

    last: int
    first: int
    before: Answer
    after: Answer


class Found(NamedTuple):
    """What a search over [low, high] gave: the flips in rising order, and the answer at `low`."""

    low: int
    high: int
    at_low: Answer
    flips: tuple[Flip, ...]


def with_value(case: Case, tip: str, value: int) -> Case:
    """The case with the tipped input at `value` bytes: `mem`, or an option of the command line (`vmalloc=`)."""
    if tip == "mem":
        return replace(case, mem=value)
    words = [word for word in (case.cmdline or "").split() if not word.startswith(tip)]
    return replace(case, cmdline=" ".join([*words, f"{tip}{value}"]))


def ask(case: Case, expression: Expression) -> Answer:
    """Boot the case and hold the expression against it."""
    return answer(boot(case, stages="digest" in expression.names()), expression)


def answer(outcome: Outcome, expression: Expression) -> Answer:
    """Hold the expression against a boot; one that failed holds nothing that needs its values."""
    if outcome.kernel is None:
        return Answer(False, f"{outcome.verdict}: {outcome.message}")
    held = expression.evaluate(quantities(outcome.kernel))
    if held.holds:
        return Answer(True)
    if outcome.verdict == "panic":
        return Answer(False, outcome.message)
    said = [outcome.message] if outcome.message and SAID_BY_MESSAGES & set(held.names) else []
    return Answer(False, "; ".join([*held.reasons, *said]), held.unknown)


def search(case: Case, *, tip: str, span: tuple[int, int], text: str, step: int = 1, samples: int = 64) -> Found:
    """`find` with real boots, for a worker process. `text` is the expression. Raises InputError for unknown names."""
    expression = parse(text)
    case = case if tip == "mem" else _with_own_line(case)
    answers: list[Answer] = []

    def probe(each: Case) -> Answer:
        answers.append(ask(each, expression))
        return answers[-1]

    found = find(case, tip, *span, probe, step=step, samples=samples)
    unknown = [name for name in expression.names() if not is_known(name) and all(name in a.unknown for a in answers)]
    if unknown:
        raise InputError(f"--find: {next(a.reason for a in answers if a.reason)}")
    return found


def _with_own_line(case: Case) -> Case:
    # the words of the tree's command line stay, also where a boot is given another
    tree, build = load(case)
    if isinstance(tree, InputError) or isinstance(build, InputError):
        return case
    return replace(case, cmdline=Inputs(tree, build, arguments(case)).bootargs)


def lost(_case: Case) -> Found:
    """The answer of a search that took its process with it."""
    return Found(0, 0, Answer(False, "crash: the process died"), ())


def to_json(case: Case, tip: str, text: str, found: Found) -> dict[str, Any]:
    """A search and its answer as plain values."""
    flips = [{"last": flip.last, "first": flip.first, "before": _told(flip.before), "after": _told(flip.after)}
             for flip in found.flips]  # fmt: skip
    return {"case": case.to_json(), "find": text, "tip": tip, "low": found.low, "high": found.high,
            "at_low": _told(found.at_low), "flips": flips}  # fmt: skip


def _told(answer: Answer) -> dict[str, Any]:
    return {"holds": answer.holds, "reason": answer.reason}


def find(
    case: Case, tip: str, low: int, high: int, probe: Callable[[Case], Answer], *, step: int = 1, samples: int = 64
) -> Found:
    """Search [low, high] (bytes) in multiples of `step` from `low`; `probe` answers for one case.

    Raises InputError for a range that holds fewer than two values.
    """
    return find_value(low, high, lambda value: probe(with_value(case, tip, value)), step=step, samples=samples)


def find_value(low: int, high: int, probe: Callable[[int], Answer], *, step: int = 1, samples: int = 64) -> Found:
    """Search [low, high] in multiples of `step` from `low`; `probe` answers for one value. Raises InputError."""
    if step < 1 or high - low < step:
        raise InputError(f"nothing to search from {low} to {high} in steps of {step}")
    last = (high - low) // step
    count = min(max(samples, 2), last + 1)
    grid = sorted({last * i // (count - 1) for i in range(count)})
    answers = [probe(low + i * step) for i in grid]
    gaps = [
        (a, b, before, after)
        for a, b, before, after in zip(grid, grid[1:], answers, answers[1:], strict=False)
        if before.holds != after.holds
    ]
    flips = [_bisect(low, step, gap, probe) for gap in gaps]
    return Found(low, low + last * step, answers[0], tuple(flips))


def _bisect(low: int, step: int, gap: tuple[int, int, Answer, Answer], probe: Callable[[int], Answer]) -> Flip:
    a, b, before, after = gap
    while b - a > 1:
        middle = (a + b) // 2
        answer = probe(low + middle * step)
        if answer.holds == before.holds:
            a, before = middle, answer
        else:
            b, after = middle, answer
    return Flip(low + a * step, low + b * step, before, after)
