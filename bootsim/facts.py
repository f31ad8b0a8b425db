"""Why every boundary lies where it lies: the derived quantities of a boot and what each was computed from.

A fact's inputs are names of other facts or of roots. A root is something the person decided:

    CONFIG_PAGE_OFFSET              a symbol of the kernel's .config
    symbol:_end                     an address the linker chose
    sizeof:struct page              what the compiler made of a struct
    dtb:/memory@60000000:reg        a property of the device tree
    cmdline:vmalloc                 an option on the kernel command line
    option:mem                      an option of bootsim itself
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

ADDRESS_UNITS = frozenset({"pa", "va"})


class Fact(NamedTuple):
    """One derived quantity. `serial` counts every fact added to the boot, so it orders them in time."""

    name: str
    value: int | str
    unit: str
    formula: str
    inputs: tuple[str, ...]
    source: str
    serial: int

    def shown(self) -> str:
        """The value as people read it: addresses in hex, counts in decimal."""
        if isinstance(self.value, str):
            return self.value
        return f"{self.value:#x}" if self.unit in ADDRESS_UNITS else str(self.value)

    def __deepcopy__(self, memo: dict[int, Any]) -> Fact:
        return self  # as Shared; a NamedTuple takes no other base


class Derivation(NamedTuple):
    """A node of a derivation tree: a fact and what it rests on. A root has `fact` None and no children."""

    name: str
    fact: Fact | None
    inputs: tuple[Derivation, ...]

    def lines(self, depth: int = 0) -> Iterator[str]:
        """The tree as indented text, one fact or root a line."""
        pad = "  " * depth
        if self.fact is None:
            yield f"{pad}{self.name}"
        else:
            yield f"{pad}{self.name} = {self.fact.shown()} {self.fact.unit}  ({self.fact.formula}; {self.fact.source})"
        for node in self.inputs:
            yield from node.lines(depth + 1)


class Facts:
    """All facts of one boot, by name. A name added again gets a new value and keeps the old ones as history."""

    __slots__ = ("_history", "_serial")

    def __init__(self) -> None:
        self._history: dict[str, list[Fact]] = {}
        self._serial = 0

    def add(
        self, name: str, value: int | str, unit: str, formula: str, inputs: Sequence[str] = (), source: str = ""
    ) -> Fact:
        """Record that `source` computed `name` from `inputs`. `unit` is "pa", "va", "pfn", "bytes", "pages", ..."""
        self._serial += 1
        fact = Fact(name, value, unit, formula, tuple(inputs), source, self._serial)
        self._history.setdefault(name, []).append(fact)
        return fact

    def get(self, name: str) -> Fact | None:
        """The newest fact of that name, or None."""
        versions = self._history.get(name)
        return versions[-1] if versions else None

    def value(self, name: str) -> int | str:
        """The newest value of that name. Raises KeyError when nothing recorded it."""
        return self._history[name][-1].value

    def history(self, name: str) -> tuple[Fact, ...]:
        """Every fact of that name, oldest first."""
        return tuple(self._history.get(name, ()))

    def __iter__(self) -> Iterator[Fact]:
        """The newest fact of each name, in the order the names first appeared."""
        return (versions[-1] for versions in self._history.values())

    def __len__(self) -> int:
        return len(self._history)

    def __contains__(self, name: object) -> bool:
        return name in self._history

    def as_of(self, name: str, serial: int) -> Fact | None:
        """What a fact added at `serial` saw under `name`: the last value before it, None when there is no such fact.

        A name may also be recorded a little after the fact that used it; then its first value is the one.
        """
        versions = self._history.get(name)
        if not versions:
            return None
        for fact in reversed(versions):
            if fact.serial < serial:
                return fact
        return versions[0]

    def derivation(self, name: str) -> Derivation:
        """The tree below the newest fact of that name, down to the roots. An unknown name is a root."""
        fact = self.get(name)
        return self._tree(name, fact, frozenset())

    def _tree(self, name: str, fact: Fact | None, above: frozenset[int]) -> Derivation:
        if fact is None or fact.serial in above:
            return Derivation(name, None, ())
        path = above | {fact.serial}
        return Derivation(name, fact, tuple(self._tree(i, self.as_of(i, fact.serial), path) for i in fact.inputs))

    def roots(self, name: str | None = None) -> list[str]:
        """The roots that a fact rests on (all facts when `name` is None), sorted."""
        names = list(self._history) if name is None else [name]
        found: set[str] = set()
        seen: set[int] = set()
        for each in names:
            fact = self.get(each)
            if fact is not None:
                self._collect(fact, found, seen)
        return sorted(found)

    def _collect(self, fact: Fact, found: set[str], seen: set[int]) -> None:
        if fact.serial in seen:
            return
        seen.add(fact.serial)
        for name in fact.inputs:
            below = self.as_of(name, fact.serial)
            if below is None:
                found.add(name)
            else:
                self._collect(below, found, seen)

    def to_json(self) -> list[dict[str, Any]]:
        """Every fact ever added, in order, as plain values that `json` can write."""
        everything = (fact for versions in self._history.values() for fact in versions)
        return [
            {**fact._asdict(), "inputs": list(fact.inputs)} for fact in sorted(everything, key=lambda fact: fact.serial)
        ]
