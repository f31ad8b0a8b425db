"""Two logs aligned by step: by the function that speaks and the form of its message, not by line number.

The form of a message is its text with every number and every word that the replay filled in taken out. Lines of one
form are one step with other numbers; a form that stands elsewhere in the other log has changed its place.
"""

from __future__ import annotations

import difflib
import re
from collections import Counter, defaultdict, deque
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

_NUMBER = re.compile(r"0x[0-9a-fA-F]+|\b[0-9a-f]{8}\b|\d+")
_TOKEN = re.compile(r"0x[0-9a-fA-F]+|\w+|\s+|.")
_ALIKE = 0.6

Kind = Literal["same", "changed", "moved", "removed", "added"]


class Line(NamedTuple):
    """One line of a log: who said it and at which stage (empty when nobody knows), the text, the numbers in it.

    `console` is False for a line that only dmesg shows: its level is not below the console's.
    """

    func: str
    stage: str
    text: str
    fields: Mapping[str, Any]
    kernel: bool
    console: bool = True


class Entry(NamedTuple):
    """A step of both logs, or of one. `moved` is a step that stands elsewhere; its text may have changed too.

    `after_a` and `after_b` are the lines that come before a step that moved, in either log.
    """

    kind: Kind
    a: Line | None
    b: Line | None
    after_a: Line | None = None
    after_b: Line | None = None

    @property
    def line(self) -> Line:
        """The line of whichever log has it, the second first."""
        line = self.b or self.a
        assert line is not None
        return line

    def merged(self) -> str:
        """The text, with what differs side by side: `Reserved 16 MiB at {0x9f000000 -> 0x8f000000}`."""
        if self.a is None or self.b is None:
            return self.line.text
        return beside(self.a.text, self.b.text)


class Step(NamedTuple):
    """What a log says at one step: the text, and after which form it stands where it has changed its place."""

    text: str
    moved: str = ""


def steps_against(reference: Sequence[Line], lines: Sequence[Line]) -> dict[str, Step]:
    """The steps of a log under names that the reference gives; those that the reference has not are marked +."""
    names = dict(zip(map(id, reference), _names(reference, ""), strict=True))
    entries = align(reference, lines)
    added = [entry.b for entry in entries if entry.a is None and entry.b is not None]
    names |= zip(map(id, added), _names(added, "+"), strict=True)
    found: dict[str, Step] = {}
    for entry in entries:
        if entry.b is not None:
            before = "first" if entry.after_b is None else template_of(entry.after_b.text)
            found[names[id(entry.a or entry.b)]] = Step(entry.b.text, before if entry.kind == "moved" else "")
    return found


def _names(lines: Sequence[Line], mark: str) -> Iterator[str]:
    # a name has no number in it that another boot could have otherwise, but its own among lines of one form
    counts: dict[str, int] = defaultdict(int)
    for line in lines:
        form = f"{mark}{line.func}: {template_of(line.text.strip(), line.fields)}"
        counts[form] += 1
        yield form if counts[form] == 1 else f"{form} #{counts[form]}"


def beside(a: str, b: str, change: Callable[[str, str], str] = "{} -> {}".format) -> str:
    """Two texts as one, what differs side by side in braces; texts of other forms stand whole, one after the other.

    A replacement holds a number for a number or words for words, never some of both. `change` writes one.
    """
    if a == b:
        return a
    parts = list(_parts(a, b))
    if all(one == other or _same_sort(one, other) for one, other in parts):
        return "".join(one if one == other else f"{{{change(one, other)}}}" for one, other in parts)
    return change(a.rstrip(), b.strip())


def _same_sort(one: str, other: str) -> bool:
    if not one.strip() or not other.strip():
        return False
    return bool(_NUMBER.fullmatch(one.strip())) == bool(_NUMBER.fullmatch(other.strip())) and (
        bool(_NUMBER.fullmatch(one.strip())) or not (_NUMBER.search(one) or _NUMBER.search(other)))



def template_of(text: str, fields: Mapping[str, Any] | None = None) -> str:
    """The form of a message: numbers become #, words filled in become $."""
    if fields:
        words = (value for value in fields.values() if isinstance(value, str) and len(value) > 1 and value != text)
        for word in sorted(words, key=len, reverse=True):
            text = text.replace(word, "$")
    return _NUMBER.sub("#", text)


def align(a: Sequence[Line], b: Sequence[Line]) -> list[Entry]:
    """Return the steps of two logs in order: those of `a` that `b` lacks stand where `a` has them."""
    keys_a, keys_b = _keys(a, b)
    found: list[tuple[int | None, int | None]] = []
    matcher = difflib.SequenceMatcher(a=keys_a, b=keys_b, autojunk=False)
    for tag, a0, a1, b0, b1 in matcher.get_opcodes():
        if tag == "equal":
            found += zip(range(a0, a1), range(b0, b1), strict=True)
        else:
            found += _replaced(a, b, range(a0, a1), range(b0, b1))
    return list(_with_moves(a, b, keys_a, keys_b, found))


# Functions count only when both logs know them.
def _keys(a: Sequence[Line], b: Sequence[Line]) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    named = any(line.func for line in a) and any(line.func for line in b)
    first, second = (
        [(line.func if named else "", template_of(line.text, line.fields if named else None)) for line in lines]
        for lines in (a, b)
    )
    return first, second


# Pair the lines of two stretches that share no form: a function's message that was reworded is still its message.
def _replaced(
    a: Sequence[Line], b: Sequence[Line], left: range, right: range
) -> Iterator[tuple[int | None, int | None]]:
    after = right.start
    for i in left:
        j = next((j for j in range(after, right.stop) if _alike(a[i], b[j])), None)
        if j is None:
            yield i, None
            continue
        yield from ((None, n) for n in range(after, j))
        yield i, j
        after = j + 1
    yield from ((None, n) for n in range(after, right.stop))


def _alike(a: Line, b: Line) -> bool:
    if a.func != b.func or a.kernel != b.kernel:
        return False
    one, other = template_of(a.text), template_of(b.text)
    matcher = difflib.SequenceMatcher(a=one, b=other, autojunk=False)
    return matcher.quick_ratio() >= _ALIKE and matcher.ratio() >= _ALIKE


def _with_moves(
    a: Sequence[Line], b: Sequence[Line], keys_a: Sequence[Any], keys_b: Sequence[Any],
    pairs: list[tuple[int | None, int | None]],
) -> Iterator[Entry]:  # fmt: skip
    spare: dict[Any, deque[int]] = defaultdict(deque)
    for i, j in pairs:
        if i is not None and j is None:
            spare[keys_a[i]].append(i)
    taken: set[int] = set()
    entries: list[tuple[int | None, Entry]] = []
    for i, j in pairs:
        if i is None and j is not None and spare.get(keys_b[j]):
            origin = spare[keys_b[j]].popleft()
            taken.add(origin)
            before = (a[origin - 1] if origin else None), (b[j - 1] if j else None)
            entries.append((None, Entry("moved", a[origin], b[j], *before)))
        else:
            one, other = (None if i is None else a[i]), (None if j is None else b[j])
            entries.append((i, Entry(_kind(one, other), one, other)))
    for i, entry in entries:
        if not (entry.kind == "removed" and i in taken):
            yield entry


def _kind(a: Line | None, b: Line | None) -> Kind:
    if a is None:
        return "added"
    if b is None:
        return "removed"
    return "same" if a.text == b.text else "changed"


def _parts(a: str, b: str) -> Iterator[tuple[str, str]]:
    # both texts cut where they agree; where they have one form, number by number
    one, other = _TOKEN.findall(a), _TOKEN.findall(b)
    if len(one) == len(other) and template_of(a) == template_of(b):
        yield from zip(one, other, strict=True)
        return
    matcher = difflib.SequenceMatcher(a=one, b=other, autojunk=False)
    for _, a0, a1, b0, b1 in matcher.get_opcodes():
        yield "".join(one[a0:a1]), "".join(other[b0:b1])


def common_start(a: Sequence[Line], b: Sequence[Line]) -> str:
    """The form of the line that two logs can be compared from, "" for the first: a full log buffer drops its oldest.

    Of what a log that lost its start still has, it is the first line that both logs have once.
    """
    lost = next((lines for lines in (a, b) if lost_start(lines)), None)
    if lost is None:
        return ""
    counts = [Counter(template_of(line.text) for line in lines) for lines in (a, b)]
    forms = (template_of(line.text) for line in lost)
    return next((form for form in forms if all(count[form] == 1 for count in counts)), "")


def from_start(lines: list[Line], form: str) -> list[Line]:
    """The lines from the first of that form on; all of them without a form, or without such a line."""
    return lines[next((n for n, line in enumerate(lines) if form and template_of(line.text) == form), 0) :]


def common_end(stopped: Sequence[Line], other: Sequence[Line]) -> str:
    """The form of the last line that both logs have once, of a boot that was stopped and another; "" for none."""
    counts = [Counter(template_of(line.text) for line in lines) for lines in (stopped, other)]
    forms = (template_of(line.text) for line in reversed(stopped))
    return next((form for form in forms if all(count[form] == 1 for count in counts)), "")


def up_to(lines: list[Line], form: str) -> list[Line]:
    """The lines up to the one of that form; all of them without a form, or without such a line."""
    return lines[: next((n + 1 for n, line in enumerate(lines) if form and template_of(line.text) == form), len(lines))]


def lost_start(lines: Sequence[Line]) -> bool:
    """Whether a captured log lost its oldest lines."""
    return bool(lines) and not lines[0].text.startswith("Booting Linux")
