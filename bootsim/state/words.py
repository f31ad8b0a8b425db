"""Two command lines word by word, and the lines between them: some words of the one, some of the other."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from bootsim.linux.lib.cmdline import next_arg

if TYPE_CHECKING:
    from collections.abc import Collection


ORDER = "(order)"


class Word(NamedTuple):
    """One word of a command line: its text, the option it gives, and the value; None without one."""

    text: str
    name: str
    value: str | None


def words_of(line: str) -> list[Word]:
    """The words of a command line, cut as the kernel cuts it."""
    found = []
    rest = line.strip()
    while rest:
        before = rest
        name, value, rest = next_arg(rest)
        text = before[: len(before) - len(rest)].strip() if rest else before.strip()
        found.append(Word(text, name, value))
    return found


class Words:
    """What differs between two command lines, by option; ORDER is the order of their words, and the spaces between."""

    def __init__(self, a: str, b: str) -> None:
        self._lines = a, b
        self._a, self._b = words_of(a), words_of(b)

    def options(self) -> list[str]:
        """The options that the lines give otherwise, in order; ORDER last."""
        names = dict.fromkeys(word.name for word in (*self._a, *self._b))
        found = [name for name in names if _of(self._a, name) != _of(self._b, name)]
        if self._reordered() if found else self._lines[0] != self._lines[1]:
            found.append(ORDER)
        return found

    def _reordered(self) -> bool:
        common = {word.name for word in self._a} & {word.name for word in self._b}
        one, other = ([word.name for word in words if word.name in common] for words in (self._a, self._b))
        return list(dict.fromkeys(one)) != list(dict.fromkeys(other))

    def values(self, name: str) -> tuple[str, str]:
        """What either line says of an option, as it is written there; "not given" where it does not."""
        if name == ORDER:
            return "one order", "another"
        one, other = (" ".join(_of(words, name)) or "not given" for words in (self._a, self._b))
        return one, other

    def line(self, chosen: Collection[str]) -> str:
        """The first line with the second's words for the chosen options."""
        differing = self.options()
        taken = [name for name in differing if name in chosen]
        if not taken or len(taken) == len(differing):
            return self._lines[bool(taken)]
        if ORDER in taken:
            return _mixed(self._b, self._a, [name for name in differing if name not in taken])
        return _mixed(self._a, self._b, taken)


def _of(words: list[Word], name: str) -> list[str]:
    return [word.text for word in words if word.name == name]


# The words of one line with those of the other for some options, each at the place of its like, or behind the word that
# it stands behind in the other line.
def _mixed(base: list[Word], other: list[Word], names: Collection[str]) -> str:
    kept = [word for word in base if word.name not in names]
    for name in names:
        before = [word.name for word in base[: next((n for n, w in enumerate(base) if w.name == name), 0)]]
        if not _of(base, name):
            before = [word.name for word in other[: next(n for n, w in enumerate(other) if w.name == name)]]
        at = next((n + 1 for n in range(len(kept) - 1, -1, -1) if kept[n].name in before), 0)
        kept[at:at] = [word for word in other if word.name == name]
    return " ".join(word.text for word in kept)
