"""A text trace of a real system's memory traffic: `trace-cmd report`, or ftrace's own `trace` file, of kmem: events."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from bootsim.errors import InputError
from bootsim.escape import escaped
from bootsim.linux.mm import page_alloc
from bootsim.linux.mm.page_alloc import __GFP_BITS_MASK
from bootsim.reading import open_packed

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator

# " init-1  [000] ....  1.166238: mm_page_free: page=cefd2904 pfn=324217 order=0", with or without the column of marks,
# the thread group and "kmem:" before the name.
_LINE = re.compile(
    r"(?P<task>.*)-(?P<pid>\d+)\s+(?:\(\s*[-\d]+\)\s+)?\[(?P<cpu>\d{1,5})\]\s+(?:\S+\s+)?"
    r"(?P<time>\d{1,20}(?:\.\d+)?):\s+(?:kmem:)?(?P<name>\w+):\s+(?P<rest>.*)"
)
_LINE_BYTES = 1 << 16
_LOST = re.compile(r"CPU:\s*\d+ \[(?:LOST (\d+) )?EVENTS(?: DROPPED)?\]", re.IGNORECASE)
_FIELD = re.compile(r"(\w+)=(\S+)")
_NEEDED = {
    "mm_page_alloc": ("pfn", "order", "gfp_flags"),
    "mm_page_free": ("pfn", "order"),
    "kmalloc": ("call_site", "ptr", "bytes_alloc"),
    "kmalloc_node": ("call_site", "ptr", "bytes_alloc"),
    "kmem_cache_alloc": ("call_site", "ptr", "bytes_alloc"),
    "kmem_cache_alloc_node": ("call_site", "ptr", "bytes_alloc"),
    "kfree": ("ptr",),
    "kmem_cache_free": ("ptr",),
}
PAGES = ("mm_page_alloc", "mm_page_free")
NO_POINTER = ("(nil)", "(null)", "NULL")
HIDDEN = ("(____ptrval____)", "(ptrval)")  # %p, before the kernel has a secret number to hash addresses with
NO_PFN = ((1 << 32) - 1, (1 << 64) - 1)  # -1UL, as `trace-cmd report -R` has it
_FLAG = re.compile(r"[A-Za-z_]\w*")
_FLAGS = {name: value for name, value in vars(page_alloc).items() if name.startswith(("GFP_", "__GFP_"))} | {"none": 0}


class TraceEvent(NamedTuple):
    """One event: its line, "task-pid", cpu, seconds, name, and its fields as they are written."""

    line: int
    task: str
    cpu: int
    time: float
    name: str
    fields: dict[str, str]


class TextTrace:
    """The events of a file that the replay of a demand is about, in order; `-` is standard input.

    `others` counts events by name that are passed over, `lost` the places where the tracer lost events;
    `unknown_flags` has flags that Linux 5.10 has not, with the line of the first.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = path
        self.others: dict[str, int] = {}
        self.lost = 0
        self.unknown_flags: dict[str, int] = {}

    def __iter__(self) -> Iterator[TraceEvent]:
        """Yield the events. Raises InputError for a file that cannot be read, and for an event without its fields."""
        found = False
        for number, line in enumerate(self._lines(), 1):
            match = _LINE.match(line)
            if match is None:
                self.lost += 1 if _LOST.search(line) else 0
                continue
            name = match["name"]
            if name not in _NEEDED:
                self.others[name] = self.others.get(name, 0) + 1
                continue
            fields = dict(_FIELD.findall(match["rest"]))
            missing = [field for field in _NEEDED[name] if field not in fields]
            if missing:
                raise InputError(f"{self.path}:{number}: {name} without {', '.join(missing)}: {escaped(line.strip())}")
            found = True
            yield TraceEvent(number, f"{match['task'].strip()}-{match['pid']}", int(match["cpu"]), float(match["time"]),
                             name, fields)
        if not found:
            raise InputError(f"{self.path}: no event of kmem: in it, expected lines as `trace-cmd report` or ftrace's "
                             "trace file have them: task-pid [cpu] seconds: mm_page_alloc: page=... pfn=... order=...")

    def _lines(self) -> Iterator[str]:
        # a trace may be any number of lines, as long as its reader likes to wait; but a line is one
        with open_packed(self.path) as file:
            while line := file.readline(_LINE_BYTES + 1):
                if len(line) > _LINE_BYTES:
                    raise InputError(f"{self.path}: a line of more than {_LINE_BYTES >> 10} KiB, expected a trace")
                yield line.decode("utf-8", "replace")


def number(trace: TextTrace, event: TraceEvent, field: str) -> int:
    """Return a number as an event has it: decimal, or hexadecimal with 0x. Raises InputError, also below zero."""
    text = event.fields[field]
    try:
        found = int(text, 16 if text.lower().startswith("0x") else 10)
    except ValueError:
        found = -1
    if found < 0:
        raise InputError(f"{trace.path}:{event.line}: {event.name}: {field}={escaped(text)}, expected a "
                         "number")
    return found


def frame(trace: TextTrace, event: TraceEvent) -> int:
    """Return the first frame of an event's block, 0 for none: a field of all ones, too. Raises InputError."""
    pfn = number(trace, event, "pfn")
    return 0 if pfn in NO_PFN else pfn


def pointer(trace: TextTrace, event: TraceEvent) -> int | None:
    """Return the address of an object, 0 for none, None where the tracer did not write it. Raises InputError."""
    text = event.fields["ptr"]
    if text in HIDDEN:
        return None
    try:
        return 0 if text in NO_POINTER else int(text, 16)
    except ValueError:
        raise InputError(f"{trace.path}:{event.line}: {event.name}: ptr={escaped(text)}, expected an address") from None


def gfp_mask(trace: TextTrace, event: TraceEvent) -> int:
    """Return a request's mask out of the names the kernel writes, or out of a number alone.

    Flags that Linux 5.10 has not, by name or as the bits that a tracer had no name for, are left out, and kept in
    `trace.unknown_flags`. Raises InputError for what is no flag.
    """
    words = event.fields["gfp_flags"].split("|")
    mask = 0
    for word in words:
        if word in _FLAGS:
            mask |= _FLAGS[word]
        elif _FLAG.fullmatch(word):
            trace.unknown_flags.setdefault(word, event.line)
        else:
            mask |= _bits(trace, event, word, alone=len(words) == 1)
    return mask


def _bits(trace: TextTrace, event: TraceEvent, word: str, *, alone: bool) -> int:
    # a number alone is a whole mask; behind names it is what the tracer had no name for, and 5.10 has a name for all
    try:
        bits = int(word, 0)
    except ValueError:
        bits = -1
    if not 0 <= bits < 1 << 32:
        raise InputError(f"{trace.path}:{event.line}: gfp_flags={escaped(event.fields['gfp_flags'])}: "
                         f"{escaped(word)}, expected a flag's name, or a number of 32 bits")
    known = bits & __GFP_BITS_MASK if alone else 0
    if bits & ~known:
        trace.unknown_flags.setdefault(f"{bits & ~known:#x}", event.line)
    return known
