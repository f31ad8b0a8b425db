"""A boot as text that is reviewed and kept in git: what was booted, and line by line what came of it.

    # bootsim golden boot, version 1
    [inputs]                 one `name: value` a line
    [log]                    the kernel's own lines, without time stamps
    [memblock]  [zones]  [cma]  [layout]
    [digest]                 of the whole boot, page tables and free lists included

A change of a boot changes the lines that say so, and no others: one region a line, no counters, no dates.
"""

from __future__ import annotations

import difflib
import json
import re
from typing import TYPE_CHECKING, Any, NamedTuple

from bootsim.errors import InputError
from bootsim.linux.mm.memblock import MEMBLOCK_NOMAP
from bootsim.page import PAGE_SHIFT
from bootsim.state.quantities import size_text

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from bootsim.linux import Kernel

HEADING = "# bootsim golden boot, version 1"
SUFFIX = ".boot.txt"
_SECTION = re.compile(r"\[(\w+)\]")
_LAYOUT = "bootsim: Virtual kernel memory layout:\n"


class Recorded(NamedTuple):
    """A recorded boot: its inputs as `dump` was given them, and all its lines."""

    inputs: dict[str, Any]
    lines: list[str]


def dump(k: Kernel, inputs: Mapping[str, Any], digest: str) -> str:
    """Return the text of a boot that ended, well or in a panic. `inputs` are plain values that `load` gives back."""
    sections = {
        "inputs": [f"{name}: {json.dumps(value)}" for name, value in inputs.items()],
        "log": [line for record in k.log.records if record.kernel for line in record.text.split("\n")],
        "memblock": [*_regions(k, "memory"), *_regions(k, "reserved")],
        "zones": list(_zones(k)) if hasattr(k.mm, "pgdat") else [],
        "cma": [_area(k, i) for i in range(len(k.mm.cma_areas))],
        "layout": _layout(k),
        "digest": [digest],
    }
    lines = [HEADING]
    for name, body in sections.items():
        lines += ["", f"[{name}]", *(_printable(line) for line in body)]
    return "\n".join(lines) + "\n"


def load(text: str, file: str) -> Recorded:
    """Read the text of a recorded boot; `file` is what errors call it. Raises InputError."""
    lines = text.removesuffix("\n").split("\n")
    if lines[0] != HEADING:
        raise InputError(f"{file}:1: found {lines[0][:60]!r}, expected {HEADING!r}")
    inputs: dict[str, Any] = {}
    section = ""
    for number, line in enumerate(lines, 1):
        if match := _SECTION.fullmatch(line):
            if section == "inputs":
                break
            section = match[1]
        elif section == "inputs" and line:
            name, colon, value = line.partition(": ")
            try:
                inputs[name] = json.loads(value)
            except (ValueError, RecursionError):
                colon = ""
            if not colon:
                raise InputError(f"{file}:{number}: found {line[:60]!r}, expected `name: value`")
    if "tree" not in inputs:
        raise InputError(f"{file}: no tree among its [inputs]")
    return Recorded(inputs, lines)


def differences(recorded: Recorded, now: str, file: str) -> list[str]:
    """The lines in which a boot differs from the recorded one, as a unified diff; none when it is the same."""
    ours = now.removesuffix("\n").split("\n")
    return list(difflib.unified_diff(recorded.lines, ours, f"{file} (recorded)", f"{file} (now)", lineterm=""))


def _printable(line: str) -> str:
    # a tree's strings may hold anything
    line = line.rstrip()
    return line if line.isprintable() else "".join(c if c.isprintable() else ascii(c)[1:-1] for c in line)


def _regions(k: Kernel, kind: str) -> Iterator[str]:
    for region in getattr(k.mm.memblock, kind).regions:
        if region.size:
            nomap = " nomap" if region.flags & MEMBLOCK_NOMAP else ""
            yield f"{kind:8} {_span(region.base, region.size)}{nomap}"


def _span(base: int, size: int) -> str:
    return f"{base:#010x}-{base + size - 1:#010x} {size_text(size)}"


def _zones(k: Kernel) -> Iterator[str]:
    for zone in k.zones:
        if not zone["spanned"]:
            continue
        base, size = zone["start_pfn"] << PAGE_SHIFT, zone["spanned"] << PAGE_SHIFT
        yield f"{zone['name']:8} {_span(base, size)}"
        for name in ("spanned", "present", "managed", "nr_free_pages"):
            yield f"{zone['name']:8} {name} {zone[name]}"
        blocks = [sum(len(blocks) for blocks in area["lists"]) for area in zone["free_area"]]
        yield f"{zone['name']:8} free blocks by order {' '.join(map(str, blocks))}"


def _area(k: Kernel, index: int) -> str:
    area = k.mm.cma_areas[index]
    default = " default" if area is k.mm.dma_contiguous_default_area else ""
    return f"{area.name} {_span(area.base_pfn << PAGE_SHIFT, area.count << PAGE_SHIFT)}{default}"


def _layout(k: Kernel) -> list[str]:
    # the table that ends the log of a boot (tell_layout() records it)
    table = next((r.text for r in reversed(k.log.records) if not r.kernel and r.text.startswith(_LAYOUT)), _LAYOUT)
    return [" ".join(line.split()) for line in table.removeprefix(_LAYOUT).split("\n") if line]
