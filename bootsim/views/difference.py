"""The difference of two boots as text: what was decided and what became of it, causes, state by part, log by step."""

from __future__ import annotations

import re
import textwrap
from collections import Counter
from itertools import groupby
from typing import TYPE_CHECKING

from bootsim.state.chain import Chain
from bootsim.state.effects import PARTS
from bootsim.state.logdiff import beside
from bootsim.state.quantities import BY_NAME, shown, size_text
from bootsim.views.paint import Paint

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from bootsim.state.decisions import Decision
    from bootsim.state.diff import Difference, Group
    from bootsim.state.effects import Effect
    from bootsim.state.logdiff import Entry, Line

SECTIONS = ("summary", "causes", "state", "log")
DEPTH = 3
_MARKS = {"changed": "~", "removed": "-", "added": "+", "moved": ">"}
_PARTS = {"fact": "facts", "log": "log lines", "memblock": "memblock", "tables": "page tables", "zones": "zones",
          "lists": "free lists", "cma": "CMA", "layout": "layout"}  # fmt: skip
_NAMES = {"vmalloc.size": "vmalloc", "cma": "CMA", "cma.default.base": "CMA at", "free_pages": "free pages"}
_MOST_DECISIONS = 4
_HEX = re.compile(r"0x[0-9a-f]+")


class Text:
    """A difference as lines of at most `width` characters.

    `items` limits what stands below a fact (None: everything), `depth` the facts below one another; `paint` colors.
    """

    def __init__(self, difference: Difference, *, items: int | None = 3, depth: int = DEPTH, width: int = 120,
                 paint: Paint | None = None) -> None:  # fmt: skip
        self._difference = difference
        self._items, self._depth, self._width = items, depth, width
        self._paint = paint or Paint(on=False)

    def lines(self, sections: Iterable[str] = ("summary",), *, side_by_side: bool = False) -> Iterator[str]:
        """Yield the lines of the sections; with `side_by_side` the log stands in two columns."""
        return map(self._paint.finish, self._lines(tuple(sections), side_by_side))

    def _lines(self, sections: tuple[str, ...], side_by_side: bool) -> Iterator[str]:
        difference, chosen = self._difference, sections
        yield self._paint.a(f"--- {difference.a.name}")
        yield self._paint.b(f"+++ {difference.b.name}")
        if difference.until:
            yield f"Compared up to the stage {difference.until}, where one of the boots was stopped"
        if difference.same:
            yield f"the same log; state: {self._untold}" if self._untold else "the same"
            return
        parts = {
            "summary": self.summary, "causes": self.causes, "state": self._state,
            "log": self._columns if side_by_side else self._log,
        }  # fmt: skip
        for n, section in enumerate(section for section in SECTIONS if section in chosen):
            if n or section != "summary":
                yield ""
            yield from parts[section]()

    # ------------------------------------------------------------ what was decided, and what became of it

    def summary(self) -> Iterator[str]:
        """Yield each decision with its principal effects, what needs several, what has no cause: ten lines or so."""
        difference = self._difference
        lab = difference.laboratory
        if lab is None:
            yield from self._wrapped(f"{_count(len(difference.effects), 'difference')}: {_by_part(difference.effects)}")
            yield from self._unknown()
            return
        effects, roots = difference.effects, difference.roots
        if not roots:
            yield "No decision differs: both boots are made from the same."
            yield from self._wrapped(f"{_count(len(effects), 'difference')} all the same: {_by_part(effects)}")
            yield from self._without_cause()
            return
        made = f"{_count(len(roots), 'decision')} {'differs' if len(roots) == 1 else 'differ'}"
        boots = "" if not lab.boots else f"; {_count(lab.boots, 'boot')} between the two tell which makes what"
        yield from self._wrapped(f"{made}, {_count(len(effects), 'difference')}{boots}")
        with_effect = [n for n in range(len(roots)) if any(n in effect.roots for effect in effects)]
        ranked = sorted(with_effect, key=self._weight)
        first = sorted(ranked[:_MOST_DECISIONS])
        for n in first:
            yield from self._decision(n)
        yield from self._others(roots, [n for n in with_effect if n not in first], with_effect)
        yield from self._together()
        yield from self._without_cause()
        if lab.exhausted:
            yield f"Not all settled within {lab.limit} boots; --boots allows more."

    # what moves the quantities that people ask for comes first, then what makes something by itself
    def _weight(self, n: int) -> tuple[int, int, int]:
        moved = sum(m.name != "reserved" for m in self._difference.principal(n))
        effects = self._difference.effects
        alone, in_all = sum((n,) in effect.sets for effect in effects), sum(n in effect.roots for effect in effects)
        return -moved, -alone, -in_all

    def _unknown(self) -> Iterator[str]:
        yield "Causes: unknown, as it is not known what both boots were made from: no boot between them can be made"
        changes = self._difference.tree_changes
        if changes:
            yield f"Their trees differ, in {_count(len(changes), 'decision')}:"
            first = changes if self._items is None else changes[: self._items]
            yield from (line for change in first for line in self._wrapped(change.shown(), "  ", "      "))
            if len(first) < len(changes):
                yield f"  ... and {len(changes) - len(first)} more"

    def _decision(self, n: int) -> Iterator[str]:
        difference = self._difference
        root = difference.roots[n]
        yield from self._wrapped(self._root_line(root), "  ", "      ")
        amounts = [(m.name, _amount(m.name, m.a), _amount(m.name, m.b)) for m in difference.principal(n)]
        told = [f"{_NAMES.get(name, name)} {self._change(a, b)}" for name, a, b in amounts if a != b]
        alone = [effect for effect in difference.effects if effect.sets == ((n,),)]
        yield from self._wrapped(", ".join(told) or _by_part(alone) or "nothing by itself", "      ", "      ")
        new, gone = difference.complaints(n)
        yield from (line for text in new[:2] for line in self._wrapped(f"now says: {text}", "      ", "        "))
        yield from (line for text in gone[:1] for line in self._wrapped(f"no longer: {text}", "      ", "        "))

    def _root_line(self, root: Decision) -> str:
        where = f"  ({root.where})" if root.where else ""
        change = f" {self._change(root.a, root.b)}" if root.a else f": {root.b}"
        return f"{self._paint.bold(root.title)}{change}{where}"

    def _others(self, roots: tuple[Decision, ...], hidden: list[int], with_effect: list[int]) -> Iterator[str]:
        if hidden:
            names = ", ".join(_short(roots[n]) for n in hidden)
            yield from self._wrapped(f"and {len(hidden)} more: {_shortened(names)}", "  ", "      ")
        idle = ", ".join(_short(root) for n, root in enumerate(roots) if n not in with_effect)
        if idle:
            yield from self._wrapped(f"without effect: {_shortened(idle)}", "  ", "      ")

    def _together(self) -> Iterator[str]:
        groups = [g for g in self._difference.groups if len(g.sets) > 1 or any(len(each) > 1 for each in g.sets)]
        if groups:
            most = max(groups, key=lambda group: len(group.effects))
            count = sum(len(group.effects) for group in groups)
            yield from self._wrapped(f"  {_count(count, 'difference')} of several decisions, as "
                                     f"{self._sets(most)}: {_by_part(most.effects)}", "", "      ")  # fmt: skip

    def _sets(self, group: Group) -> str:
        roots = self._difference.roots
        sets = [_few([_short(roots[n]) for n in each], " and ") for each in group.sets]
        return _few(sets, " or ")

    def _without_cause(self) -> Iterator[str]:
        left = self._difference.unexplained
        if left:
            what = "no decision makes" if self._difference.roots else "nobody decided"
            real = self._difference.a.captured or self._difference.b.captured
            why = ", there the replay and the real kernel part" if real else ""
            yield f"{_count(len(left), 'difference')} that {what}{why}:"
            for effect in left[: self._items]:
                yield from self._wrapped(self._effect(effect), "  ", "    ")
            if self._items is not None and len(left) > self._items:
                yield f"  ... and {len(left) - self._items} more"

    # ------------------------------------------------------------ causes

    def causes(self) -> Iterator[str]:
        """Yield each decision, the chain of facts below it, and what shows them; then what needs several decisions."""
        difference = self._difference
        if difference.laboratory is None:
            yield from self._unknown()
            return
        for n, root in enumerate(difference.roots):
            chain = Chain(difference, n)
            if not chain.facts and not chain.things:
                continue
            yield from self._wrapped(self._root_line(root), "", "    ")
            below = root.below if self._items is None else root.below[: 2 * self._items]
            yield from (line for part in below for line in self._wrapped(part, "    . ", "      "))
            if len(below) < len(root.below):
                yield f"    . ... and {len(root.below) - len(below)} more"
            yield from self._under(chain, n, "", 1)
        yield from self._without_cause() if difference.unexplained else ["Without a cause: nothing"]

    def _under(self, chain: Chain, n: int, name: str, depth: int) -> Iterator[str]:
        pad = "  " * depth
        things = chain.things.get(name, [])
        if depth > self._depth:
            return
        for fact in chain.below.get(name, []):
            effect = chain.facts[fact]
            yield from self._wrapped(f"=> {self._effect(effect)}{self._with(effect, n)}", pad, pad + "   ")
            yield from self._under(chain, n, fact, depth + 1)
        first = things if self._items is None else things[: self._items]
        for effect in first:
            yield from self._wrapped(f"| {self._effect(effect)}{self._with(effect, n)}", pad, pad + "  ")
        if len(first) < len(things):
            yield f"{pad}| ... and {len(things) - len(first)} more"

    def _with(self, effect: Effect, n: int) -> str:
        roots = self._difference.roots
        if len(effect.sets) > 1:
            others = [_short(roots[m]) for m in effect.roots if m != n]
            return f"  (so does {', '.join(others)})"
        others = [_short(roots[m]) for m in effect.roots if m != n]
        unsure = "" if effect.settled else ", not settled"
        return f"  (with {', '.join(others)}{unsure})" if others else ""

    # ------------------------------------------------------------ state and log

    @property
    def _untold(self) -> str:
        # why the states cannot be compared; "" where they can
        logs = [side.name for side in (self._difference.a, self._difference.b) if not side.stages]
        return f"not compared, {' and '.join(logs)} being a log alone" if logs else ""

    def _state(self) -> Iterator[str]:
        if self._untold:
            yield f"State: {self._untold}"
            return
        changes = [effect for effect in self._difference.effects if effect.part not in ("fact", "log")]
        yield f"State: {_count(len(changes), 'difference')}"
        for part, group in groupby(sorted(changes, key=lambda e: PARTS.index(e.part)), key=lambda e: e.part):
            yield f"  {_PARTS[part]}"
            for effect in group:
                stages = f"  ({_stages(effect.stages)})" if effect.stages else ""
                yield from self._wrapped(f"{self._effect(effect, part=False)}{stages}", "    ", "        ")

    def _effect(self, effect: Effect, *, part: bool = True) -> str:
        if effect.part == "log":
            return f"{_MARKS[effect.kind]} {self._merged(effect.a.strip(), effect.b.strip())}"
        a, b = ((_value(effect, text) for text in (effect.a, effect.b)) if effect.part == "fact"
                else (effect.a, effect.b))  # fmt: skip
        head = f"{_PARTS[effect.part]}: {effect.what}" if part and effect.part != "fact" else effect.what
        if not a:
            return f"{head} new: {self._paint.b(b)}"
        return f"{head} {self._change(a, b or 'gone')}"

    def _log(self) -> Iterator[str]:
        changes = self._difference.log_changes
        yield f"Log: {_count(len(changes), 'step')} {'differs' if len(changes) == 1 else 'differ'}"
        for func, group in groupby(changes, key=lambda entry: entry.line.func):
            yield f"@@ {func or 'log'}"
            for entry in group:
                yield from self._entry(entry)

    def _entry(self, entry: Entry) -> Iterator[str]:
        texts = ("" if line is None else line.text for line in (entry.a, entry.b))
        yield from self._wrapped(f"{_MARKS[entry.kind]} {self._merged(*texts)}", "", "    ")
        if entry.kind == "moved":
            yield f"    order: {_place(entry.after_a)} -> {_place(entry.after_b)}"

    def _columns(self) -> Iterator[str]:
        column = max((self._width - 3) // 2, 20)
        changes = self._difference.log_changes
        yield f"Log: {_count(len(changes), 'step')} {'differs' if len(changes) == 1 else 'differ'}"
        for entry in changes:
            mark = {"changed": "|", "removed": "<", "added": ">", "moved": "^"}[entry.kind]
            cells = [textwrap.wrap(line.text, column) if line else [] for line in (entry.a, entry.b)]
            for n in range(max(map(len, cells))):
                left, right = (cell[n] if n < len(cell) else "" for cell in cells)
                yield f"{left:<{column}} {mark if n == 0 else ' '} {right}".rstrip()

    # ------------------------------------------------------------ words

    def _change(self, a: str, b: str) -> str:
        return f"{self._paint.a(a)} -> {self._paint.b(b)}"

    def _merged(self, a: str, b: str) -> str:
        if not a or not b:
            return self._paint.a(a) if a else self._paint.b(b)
        return beside(a, b, self._change)

    def _wrapped(self, text: str, first: str = "", then: str = "    ") -> list[str]:
        return self._paint.wrap(text, self._width, first, then)


def _count(n: int, what: str) -> str:
    return f"{n} {what}{'' if n == 1 else 's'}"


def _by_part(effects: Iterable[Effect]) -> str:
    counts = Counter(effect.part for effect in effects)
    named = ((counts[part], _PARTS[part]) for part in PARTS if counts[part])
    return ", ".join(f"{n} {what.removesuffix('s') if n == 1 else what}" for n, what in named)


def _short(root: Decision) -> str:
    return root.name.removeprefix("dtb:") if not root.name.startswith(("cmdline:", "option:")) else (
        f"{root.name.removeprefix('cmdline:')}=" if root.name.startswith("cmdline:") else f"--{root.name[7:]}")


def _few(words: list[str], between: str) -> str:
    # three of them at most, and how many more there are
    return between.join(words if len(words) <= 4 else [*words[:3], f"{len(words) - 3} more"])


def _shortened(text: str, most: int = 200) -> str:
    return text if len(text) <= most else f"{text[:most].rpartition(', ')[0]}, ..."


def _amount(name: str, value: int | str | None) -> str:
    if value is None:
        return "none"
    unit = BY_NAME[name].unit if name in BY_NAME else "pa" if name.endswith(".base") else "count"
    if isinstance(value, str):
        return value
    if unit in ("pa", "va"):
        return f"{value:#x}"
    if unit == "bytes":
        return size_text(value) if value % (1 << 20) == 0 else f"{value >> 10}K"
    return str(value)


def _value(effect: Effect, text: str) -> str:
    return shown(int(text), effect.unit) if text.isdecimal() else text


def _stages(stages: tuple[str, ...]) -> str:
    return stages[0] if len(stages) == 1 else f"{stages[0]} ... {stages[-1]}"


def _place(line: Line | None) -> str:
    return "first" if line is None else f"after {textwrap.shorten(line.text, 60, placeholder=' ...')!r}"
