"""Holding boots against expectations: what failed, why, and which line of the tree decided it."""

from __future__ import annotations

import itertools
import re
import time
from typing import TYPE_CHECKING, Literal, NamedTuple

from bootsim.causes import owner, size_text
from bootsim.errors import EXIT_DIFFERS, InputError
from bootsim.linux.include.linux.page_flags import PG_reserved
from bootsim.page import PAGE_SHIFT, page_align
from bootsim.state.decisions import Inputs
from bootsim.state.overlaps import overlaps
from bootsim.state.quantities import Quantities, is_known, messages
from bootsim.sweep.whynot import enough
from bootsim.sweep.worker import SAID_BY_MESSAGES, arguments, load, quantities
from bootsim.sweep.worker import boot as boot_case
from bootsim.sweep.worker import exit_code as worst_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from bootsim.facts import Derivation
    from bootsim.linux import Kernel
    from bootsim.owners import Holding, Purpose
    from bootsim.sweep.case import Case
    from bootsim.sweep.checkfile import Boot, Expectation

_PLACE = re.compile(r"(?P<file>[^\s:][^:\n]*):(?P<line>\d+)(?::\d+)?\b")
_LEVEL_WARNING = 4
_DERIVATION_LINES = 12
# Amounts of memory, and whether they grow or shrink with what is left.
_AMOUNTS = {"memory": 1, "lowmem": 1, "highmem": 1, "free_pages": 1, "managed_pages": 1, "managed": 1, "free": 1,
            "totalram_pages": 1, "reserved": -1, "reserved_pages": -1}  # fmt: skip


class Place(NamedTuple):
    """A line of a file; line 0 where only the file is known."""

    file: str
    line: int

    def text(self) -> str:
        """`file:line`, or the file."""
        return f"{self.file}:{self.line}" if self.line else self.file


class Finding(NamedTuple):
    """What came of one expectation on one boot.

    `reasons` say what is wrong, `details` what led there (kernel messages, the derivation of the value), and `place` is
    the line of the tree that decided it, None when none did. `measured` names what need only be left out for the
    expectation to hold, each booted.
    """

    expectation: Expectation
    status: Literal["ok", "failed", "skipped", "error"]
    reasons: tuple[str, ...] = ()
    details: tuple[str, ...] = ()
    place: Place | None = None
    unknown: tuple[str, ...] = ()
    measured: tuple[str, ...] = ()

    @property
    def where(self) -> Place:
        """The line to point at: the tree's, or else that of the expectation."""
        return self.place or Place(self.expectation.file, self.expectation.line)


class Report(NamedTuple):
    """What came of one boot. `message` are the words of a boot that failed."""

    case: Case
    verdict: str
    message: str
    seconds: float
    findings: tuple[Finding, ...]

    def with_status(self, *statuses: str) -> list[Finding]:
        """The findings with one of these statuses."""
        return [finding for finding in self.findings if finding.status in statuses]


def check(boot: Boot) -> Report:
    """Boot a case and hold every expectation against it."""
    start = time.perf_counter()
    outcome = boot_case(boot.case, stages=any(_needs_digest(each) for each in boot.expectations))
    if outcome.kernel is None:
        place = _place_in(outcome.message)
        words = f"{outcome.verdict}: {outcome.message}"
        findings = tuple(Finding(each, "error", (words,), (), place) for each in boot.expectations)
    else:
        known = quantities(outcome.kernel)
        findings = tuple(_measured(boot.case, _held(outcome.kernel, known, each)) for each in boot.expectations)
    return Report(boot.case, outcome.verdict, outcome.message, time.perf_counter() - start, findings)


def lost(boot: Boot) -> Report:
    """The report of a boot that took its process with it."""
    words = "crash: the process died"
    findings = tuple(Finding(each, "error", (words,)) for each in boot.expectations)
    return Report(boot.case, "crash", words, 0.0, findings)


def exit_code(reports: Iterable[Report]) -> int:
    """That of boots that could not be made, 1 when an expectation failed, 0 when all hold."""
    done = list(reports)
    code = worst_of(report.verdict for report in done if report.with_status("error"))
    return code or (EXIT_DIFFERS if any(report.with_status("failed") for report in done) else 0)


def refuse_unknown_names(reports: Sequence[Report]) -> None:
    """Raise InputError for names that no boot knew: those are mistakes in the file, not in a boot."""
    known: set[tuple[Expectation, str]] = set()
    unknown: dict[tuple[Expectation, str], Finding] = {}
    for finding in itertools.chain.from_iterable(r.findings for r in reports if r.verdict in ("ok", "warnings")):
        names = [*finding.expectation.expression.names()]
        names += finding.expectation.when.names() if finding.expectation.when else ()
        for name in names:
            if name in finding.unknown:
                unknown[finding.expectation, name] = finding
            else:
                known.add((finding.expectation, name))
    errors = [
        f"{expectation.file}:{expectation.line}:{expectation.column}: {'; '.join(finding.reasons)}"
        for (expectation, name), finding in unknown.items()
        if (expectation, name) not in known and not is_known(name)
    ]
    if errors:
        raise InputError("\n".join(dict.fromkeys(errors)))


def _needs_digest(expectation: Expectation) -> bool:
    parts = (expectation.expression, expectation.when)
    return any("digest" in part.names() for part in parts if part is not None)


def _measured(case: Case, finding: Finding) -> Finding:
    tree, build = load(case)
    if finding.status != "failed" or isinstance(tree, InputError) or isinstance(build, InputError):
        return finding
    ways = enough(Inputs(tree, build, arguments(case)), finding.expectation.expression)
    told = tuple(f"it would hold {way.change}{f' ({way.where})' if way.where else ''}" for way in ways)
    place = finding.place or next((_place_in(f"{way.where} ") for way in ways if way.where), None)
    return finding._replace(measured=told, place=place)


def _held(k: Kernel, known: Quantities, expectation: Expectation) -> Finding:
    if expectation.when is not None:
        when = expectation.when.evaluate(known)
        if not when.holds:
            return Finding(expectation, "skipped", when.reasons, unknown=when.unknown)
    held = expectation.expression.evaluate(known)
    if held.holds:
        return Finding(expectation, "ok")
    taker = _taker(k, known, expectation, held.names)
    details, place = _explained(k, known, held.names)
    if taker is not None:
        details = (f"{owner(k, taker.purpose)} took {size_text(taker.size)}", *details)
        place = _place_of_root(k, taker.purpose.root) or place
    return Finding(expectation, "failed", held.reasons, details, place, held.unknown)


class _Taker(NamedTuple):
    """Who took memory, all of its ranges together, in bytes."""

    purpose: Purpose
    size: int


class _Without(Quantities):
    """The quantities of a boot as they would be if `spared` bytes had not been taken."""

    def __init__(self, known: Quantities, spared: int) -> None:
        self._of, self._spared = known, spared

    def value(self, name: str) -> int | str:
        """The value of a quantity; those that less memory makes smaller are larger, and the other way round."""
        value = self._of.value(name)
        sign = _AMOUNTS.get(name.rpartition(".")[2] if name.startswith("zone.") else name)
        if sign is None or isinstance(value, str):
            return value
        return value + sign * (self._spared >> PAGE_SHIFT if self._of.unit(name) == "pages" else self._spared)

    def unit(self, name: str) -> str:
        """The unit of a quantity."""
        return self._of.unit(name)


# Whom an expectation on an amount of memory fails for: the least of those without whom it would hold, else whoever took
# most when all of them together do; None when it would fail all the same, as there is too little RAM.
def _taker(k: Kernel, known: Quantities, expectation: Expectation, names: tuple[str, ...]) -> _Taker | None:
    if not any(name in _AMOUNTS or name.startswith("zone.") for name in names):
        return None
    sizes: dict[Purpose, int] = {}
    for h in _taken(k, set(names)):
        if h.purpose.root and h.purpose.kind != "bank":
            sizes[h.purpose] = sizes.get(h.purpose, 0) + h.end - h.base
    takers = sorted((_Taker(purpose, size) for purpose, size in sizes.items()), key=lambda each: each.size)

    def holds(spared: int) -> bool:
        return expectation.expression.evaluate(_Without(known, spared)).holds

    alone = next((taker for taker in takers if holds(taker.size)), None)
    if alone is None and takers and holds(sum(sizes.values())):
        return takers[-1]
    return alone


# What is missing from the amounts named. Of mapped memory, what is reserved is a part, and only that part is missing
# from lowmem which could have been lowmem.
def _taken(k: Kernel, names: set[str]) -> Iterator[Holding]:
    regions = [(r.base, r.base + r.size) for r in k.mm.memblock.memory.regions]
    mapped = names & {"memory", "lowmem", "highmem"}
    gone = k.owners.removed()
    if "reserved" in names:  # by memblock, whose reservations stay
        yield from k.owners.reserved()
        return
    kept = () if mapped else (h for h in k.owners.reserved() if not _given_back(k, h))
    for h in gone + [h._replace(base=max(h.base, base), end=min(h.end, end)) for h in (*kept, *k.owners.no_map())
                     for base, end in regions if h.base < end and base < h.end]:  # fmt: skip
        limit = int(k.facts.value("vmalloc_limit")) if "vmalloc_limit" in k.facts else 1 << 32
        if not ("lowmem" in names and h.base >= limit) and not ("highmem" in names and h.end <= limit):
            yield h


# Whether the allocator has the pages of what memblock still holds: of an area for CMA, of an initrd.
def _given_back(k: Kernel, h: Holding) -> bool:
    from bootsim.linux.mm.page_alloc import PageFrameError, page_info

    try:
        return hasattr(k.mm, "pgdat") and not page_info(k, page_align(h.base) >> PAGE_SHIFT)["flags"] & PG_reserved
    except PageFrameError:
        return False


def _explained(k: Kernel, known: Quantities, names: tuple[str, ...]) -> tuple[tuple[str, ...], Place | None]:
    details: list[str] = []
    places: list[Place | None] = []
    if k.panicked is not None or SAID_BY_MESSAGES & set(names):
        details += _said(k)
        places.append(_place_of_messages(k))
    if "overlap" in names:
        details += [overlap.text() for overlap in overlaps(k)]
        places.append(_place_of_overlap(k))
    for fact in dict.fromkeys(fact for name in names for fact in known.rests_on(name)):
        details += _derivation(k, fact)
        places.append(_place_of_fact(k, fact))
    return tuple(details), next((place for place in places if place is not None), None)


def _said(k: Kernel) -> list[str]:
    # the kernel's complaints, and bootsim's line on the cause after each
    told = []
    for record in k.log.records:
        if record.level <= _LEVEL_WARNING or record.tells_cause():
            told += record.text.split("\n")
    return told


def _derivation(k: Kernel, fact: str) -> list[str]:
    lines = list(itertools.islice(k.facts.derivation(fact).lines(), _DERIVATION_LINES + 1))
    return lines if len(lines) <= _DERIVATION_LINES else [*lines[:-1], "  ..."]


# -------------------------------------------------------------------- places in the tree


def _place_in(text: str) -> Place | None:
    match = _PLACE.search(text)
    return Place(match["file"], int(match["line"])) if match else None


def _at(k: Kernel, path: str, prop: str | None) -> Place | None:
    if k.where is None:
        return None
    text = k.where(path, prop)
    file, colon, line = text.rpartition(":")
    return Place(file, int(line)) if colon and line.isdigit() else Place(text, 0)


def _place_of_overlap(k: Kernel) -> Place | None:
    claims = (claim for overlap in overlaps(k) for claim in (overlap.second, overlap.first))
    return next((_at(k, claim.path, "reg") for claim in claims if claim.path), None)


def _place_of_messages(k: Kernel) -> Place | None:
    # what names the cause: its own file:line, or the path of a node
    blamed = [r for r in k.log.records if not r.kernel and r.text.startswith("bootsim: cause:")]
    for record in (*blamed, *messages(k, _LEVEL_WARNING)):
        if not record.kernel:
            place = _place_in(record.text)
            if place is not None:
                return place
        for value in record.fields.values():
            if isinstance(value, str) and value.startswith("/"):
                return _at(k, value, "reg")
    return None


def _place_of_fact(k: Kernel, fact: str) -> Place | None:
    roots = list(dict.fromkeys(_roots(_decisive(k.facts.derivation(fact)))))
    for root in roots:
        if root.startswith("dtb:"):
            return _place_of_root(k, root)
    given = {word.partition("=")[0] for word in k.boot_command_line.split()}
    if any(root.startswith("cmdline:") and root.partition(":")[2] in given for root in roots):
        return _at(k, "/chosen", "bootargs")
    return None


def _place_of_root(k: Kernel, root: str) -> Place | None:
    kind, _, rest = root.partition(":")
    if kind == "cmdline":
        return _at(k, "/chosen", "bootargs")
    path, _, prop = rest.rpartition(":")
    return _at(k, path or "/", prop or None) if kind == "dtb" else None


def _decisive(node: Derivation) -> Derivation:
    # A bound that is the least or the largest of several has the value of one: that one decided.
    while node.fact is not None:
        value = node.fact.value
        same = next((each for each in node.inputs if each.fact is not None and each.fact.value == value), None)
        if same is None:
            break
        node = same
    return node


def _roots(node: Derivation) -> Iterator[str]:
    if node.fact is None:
        yield node.name
    for each in node.inputs:
        yield from _roots(each)
