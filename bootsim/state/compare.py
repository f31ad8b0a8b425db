"""How far a replayed boot agrees with a real one, row by row: log lines, memblock, page-table words, zones, free lists.

A row compares one list of things in order and counts how many agree. Text that depends on the compiled code (callers in
memblock=debug lines) or on the run (timestamps) does not count.
"""

from __future__ import annotations

import difflib
import re
import struct
from typing import TYPE_CHECKING, Any, NamedTuple

from bootsim.state.directory import LogOnly, StateDirectory

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_STAMP = re.compile(r"^(<\d+>)?\[(?:\s*\d+\.\d+|\w{3} \w{3} [ \d]\d [\d:]{8} \d{4})\](\[\s*[TC]\d+\])?\s*")
_CALLER = re.compile(r"^(memblock_\w+: .*) \S+$")
_SMP = re.compile(r"SMP: Total of (\d{1,4}) processors activated")
_EARLY_FREE = re.compile(r"^(printk: early log buf free: ).*")
_TRACE = re.compile(r"Modules linked in:|CPU: \d+ PID: ")
# KERN_DEBUG: what dmesg shows and a console, whose lines a replay keeps, leaves out
_DEBUG = re.compile(r"On node \d+ totalpages: |\w+ zone: \d+ pages\b|pcpu-alloc: |cma: \w+\((?:limit|size) ")
_LATE = ("SLUB: ", "Freeing unused kernel ", "Freeing initrd memory")
_LIMITS = ("lowmem_limit", "high_memory", "max_low_pfn", "min_low_pfn", "max_pfn")
_ZONE_NUMBERS = ("name", "start_pfn", "spanned", "present", "managed", "nr_free_pages")
_AREA = ("name", "base_pfn", "count", "order_per_bit")


class Row(NamedTuple):
    """One thing compared: how many of `total` parts agree, and a line for every part that does not."""

    name: str
    matched: int
    total: int
    differences: tuple[str, ...]

    @property
    def ok(self) -> bool:
        """Whether all parts agree."""
        return self.matched == self.total


def compare(real: StateDirectory | LogOnly, replay: StateDirectory) -> Iterator[Row]:
    """Yield a row for everything that `real` shows, in the boot's order. Raises InputError for broken directories."""
    theirs, ours = log_lines(real.log), log_lines(replay.log)
    if theirs and not theirs[0].startswith("Booting Linux"):
        ours = ours[-len(theirs) :]  # a real log that overflowed has lost its oldest lines
    if isinstance(real, LogOnly) and not any(map(_DEBUG.match, ours)):
        theirs = [line for line in theirs if not _DEBUG.match(line)]
    yield _in_order("dmesg lines", theirs, ours)
    for stage, fields in real.stages.items():
        mine = replay.stages.get(stage, {})
        if "memblock" in fields:
            yield from _memblock(stage, fields, mine)
        if "tables" in fields and not stage.startswith("free_initmem") and isinstance(real, StateDirectory):
            yield from _tables(stage, real, replay if "tables" in mine else None)
        if stage in ("memblock_free_all", "mem_init"):
            yield from _zones(stage, fields, mine)
    for stage in ("cma_init_reserved_areas", "free_initmem"):
        if stage in real.stages:
            gained = _gained(real.stages, stage), _gained(replay.stages, stage)
            yield _in_order(f"{stage} managed pages gained", *gained)
    if "areas" in real.stages.get("cma_init_reserved_areas", {}):
        yield _in_order(
            "cma areas",
            *(
                [tuple(a[key] for key in _AREA) for a in d.stages.get("cma_init_reserved_areas", {}).get("areas", [])]
                for d in (real, replay)
            ),
        )


def hints(real: StateDirectory | LogOnly, replay: StateDirectory) -> Iterator[str]:
    """Yield what may lie behind differences everywhere: the two are swapped, or were given different processors."""
    if replay.captured and isinstance(real, StateDirectory) and not real.captured:
        yield f"{real.path} was replayed and {replay.path} is of a real boot: the real one comes first"
        return
    theirs, ours = _processors(real), _processors(replay)
    if theirs is not None and ours is not None and theirs != ours:
        yield f"{real.path} has {theirs} processors and {replay.path} has {ours}: replay with --smp {theirs}"


def _processors(boot: StateDirectory | LogOnly) -> int | None:
    told = boot.meta.get("smp") if isinstance(boot, StateDirectory) else None
    said = _SMP.search(boot.log)
    return told if told is not None else int(said[1]) if said else None


def log_lines(text: str) -> list[str]:
    """The lines of a console or dmesg log that a replay speaks: up to "Memory:", then the late lines on memory."""
    lines = [_plain(line) for line in text.splitlines()]
    first = next((i for i, line in enumerate(lines) if line.startswith("Booting Linux")), 0)
    lines = [line for line in _without_traces(lines[first:]) if line and not line.startswith("** ")]
    end = next((i + 1 for i, line in enumerate(lines) if line.startswith("Memory: ")), len(lines))
    return lines[:end] + [line for line in lines[end:] if line.startswith(_LATE)]


def _without_traces(lines: list[str]) -> Iterator[str]:
    # of a warning's report only the message counts: the rest is code addresses, registers and versions
    part = "log"
    for line in lines:
        if line.startswith("------------[ cut here ]"):
            part = "head"
        elif part == "head" and line.startswith("WARNING: "):
            part = "message"
        elif part == "message" and _TRACE.match(line):
            part = "trace"
        elif part == "trace" and line.startswith("---[ end trace "):
            part = "log"
        elif part != "trace":
            yield line


def _plain(line: str) -> str:
    line = _STAMP.sub("", line)
    line = _CALLER.sub(r"\1", line)
    return _EARLY_FREE.sub(r"\1N", line).strip()


def _in_order(name: str, real: Sequence[Any], mine: Sequence[Any]) -> Row:
    a, b = [str(x) for x in real], [str(x) for x in mine]
    if a == b:
        return Row(name, len(a), len(a), ())
    matcher = difflib.SequenceMatcher(a=a, b=b, autojunk=False)
    differences = []
    for tag, a0, a1, b0, b1 in matcher.get_opcodes():
        if tag != "equal":
            differences += [f"- {line}" for line in a[a0:a1]] + [f"+ {line}" for line in b[b0:b1]]
    matched = sum(block.size for block in matcher.get_matching_blocks())
    return Row(name, matched, max(len(a), len(b)), tuple(differences))


def _memblock(stage: str, real: dict[str, Any], mine: dict[str, Any]) -> Iterator[Row]:
    theirs, ours = real["memblock"], mine.get("memblock", {})
    for kind in ("memory", "reserved"):
        yield _in_order(
            f"{stage} memblock.{kind}",
            *([" ".join(f"{x:#x}" for x in region) for region in side.get(kind, [])] for side in (theirs, ours)),
        )
    keys = [key for key in _LIMITS if key in real]
    yield _in_order(
        f"{stage} limits",
        [f"current_limit={theirs['current_limit']:#x}"] + [f"{key}={real[key]:#x}" for key in keys],
        [f"current_limit={ours.get('current_limit', -1):#x}"] + [f"{key}={mine.get(key, -1):#x}" for key in keys],
    )


def _tables(stage: str, real: StateDirectory, replay: StateDirectory | None) -> Iterator[Row]:
    l1, l2 = real.tables(stage)
    my_l1, my_l2 = replay.tables(stage) if replay is not None else (bytes(len(l1)), {})
    yield _words(f"{stage} L1 live descriptors", [("L1", l1, my_l1)])
    empty = bytes(4096)
    yield _words(
        f"{stage} L2 live words",
        [(f"L2 {pa:#010x}", l2.get(pa, empty), my_l2.get(pa, empty)) for pa in sorted(l2.keys() | my_l2.keys())],
    )


def _words(name: str, tables: list[tuple[str, bytes, bytes]]) -> Row:
    matched = total = 0
    differences = []
    for where, theirs, ours in tables:
        n = len(theirs) // 4
        for i, (a, b) in enumerate(zip(struct.unpack(f"<{n}I", theirs), struct.unpack(f"<{n}I", ours), strict=True)):
            if not a and not b:
                continue
            total += 1
            matched += a == b
            if a != b:
                differences.append(f"{where}[{i:#x}]: real {a:#010x}, replayed {b:#010x}")
    return Row(name, matched, total, tuple(differences))


def _live(fields: dict[str, Any]) -> list[dict[str, Any]]:
    return [zone for zone in fields.get("zones", []) if zone["spanned"]]


def _zones(stage: str, real: dict[str, Any], mine: dict[str, Any]) -> Iterator[Row]:
    yield _in_order(
        f"{stage} zone numbers",
        *(
            [f"{zone['name']}.{key}={zone[key]}" for zone in _live(side) for key in _ZONE_NUMBERS]
            for side in (real, mine)
        ),
    )
    ours = {zone["name"]: zone for zone in _live(mine)}
    matched = total = 0
    differences = []
    for zone in _live(real):
        for order, area in enumerate(zone["free_area"]):
            for kind, theirs in enumerate(area["lists"]):
                my = _free_list(ours.get(zone["name"]), order, kind)
                size = max(len(theirs), len(my))
                good = sum(a == b for a, b in zip(theirs, my, strict=False))
                matched, total = matched + good, total + size
                if good != size:
                    differences.append(
                        f"{zone['name']} order {order} type {kind}: real {theirs[:6]} ({len(theirs)}), "
                        f"replayed {my[:6]} ({len(my)})"
                    )
    yield Row(f"{stage} free-list blocks, in list order", matched, total, tuple(differences))
    yield _in_order(f"{stage} totalram_pages", [real["totalram_pages"]], [mine.get("totalram_pages")])


def _free_list(zone: dict[str, Any] | None, order: int, kind: int) -> list[int]:
    areas = zone["free_area"] if zone else []
    lists = areas[order]["lists"] if order < len(areas) else []
    return lists[kind] if kind < len(lists) else []


def _gained(stages: dict[str, dict[str, Any]], stage: str) -> list[tuple[str, int]]:
    before = {zone["name"]: zone["managed"] for zone in _live(stages.get(stage + ":entry", {}))}
    return sorted(
        (zone["name"], zone["managed"] - before[zone["name"]])
        for zone in _live(stages.get(stage, {}))
        if zone["name"] in before
    )
