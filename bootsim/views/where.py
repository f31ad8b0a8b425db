"""Where RAM went, as text of one boot or of two side by side, and as plain values."""

from __future__ import annotations

from pathlib import PurePath
from typing import TYPE_CHECKING, Any

from bootsim.state.where import GROUPS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from bootsim.state.where import Range, Row, Sum, Table

_SMALL = 4096  # rows of no more than this are told together
_OWNER = 44
_WIDTH = 120


def size_text(size_bytes: int) -> str:
    """A size with one decimal where it needs one: 7.6 MiB, 24 KiB, 96 B."""
    for shift, unit in ((20, "MiB"), (10, "KiB")):
        if abs(size_bytes) >= 1 << shift:
            whole = size_bytes % (1 << shift) == 0
            return f"{size_bytes >> shift} {unit}" if whole else f"{size_bytes / (1 << shift):.1f} {unit}"
    return f"{size_bytes} B"


def decided_by(row: Row) -> str:
    """The input that made an owner's memory what it is, short: "board.dts:41 reg", "cma=", "--dtb-addr"."""
    kind, _, rest = row.root.partition(":")
    if kind == "dtb":
        path, _, prop = rest.rpartition(":")
        file, colon, line = row.place.rpartition(":")
        place = f"{PurePath(file).name}:{line}" if colon else row.place or path
        return f"{place} {prop}"
    if kind == "cmdline":
        return f"{rest}="
    return f"--{rest}" if kind == "option" else row.root


def data(table: Table) -> dict[str, Any]:
    """Return a table as values that JSON can hold."""
    return {
        "stage": table.stage,
        "ram": [list(bounds) for bounds in table.ram],
        "size": table.size,
        "rows": [_values(row) for row in table.rows],
        "memory_line": [{"name": each.name, "table": each.table, "line": each.line, "agrees": each.agrees}
                        for each in table.sums],
        "holes": [list(bounds) for bounds in table.holes],
        "absent": [list(bounds) for bounds in table.absent],
        "uncounted_cma": table.uncounted_cma,
    }  # fmt: skip


def _values(row: Row) -> dict[str, Any]:
    file, colon, line = row.place.rpartition(":")
    known = bool(colon) and line.isdigit()
    return {**row._asdict(), "ranges": [list(bounds) for bounds in row.ranges],
            "file": file if known else row.place or None, "line": int(line) if known else None}  # fmt: skip


def groups(table: Table) -> Iterator[tuple[str, int, list[Row]]]:
    """Yield the groups that hold something: name, size, and their rows, the largest first."""
    for group in GROUPS:
        rows = [row for row in table.rows if row.group == group]
        if rows:
            yield group, sum(row.size for row in rows), rows


def lines(table: Table, *, everything: bool = False) -> Iterator[str]:
    """Yield the table of one boot. Rows of at most a page are told together unless `everything` is wanted."""
    yield f"{'size':>11} {'share':>6}  {'owner':<{_OWNER}} {'since':<26} decided by"
    for group, size, rows in groups(table):
        yield f"{size_text(size):>11} {share(size, table.size):>6}  {GROUPS[group]}"
        large, small = _parted(rows, everything)
        for row in large:
            owner = f"{_cut(row.owner, _OWNER - 2):<{_OWNER - 2}} {row.since:<26}"
            yield _cut(f"{size_text(row.size):>11} {'':6}    {owner} {decided_by(row)}".rstrip(), _WIDTH)
        if small:
            yield f"{size_text(sum(row.size for row in small)):>11} {'':6}    {len(small)} of at most a page"
    yield f"{size_text(table.size):>11} {'100%':>6}  all RAM: {', '.join(map(span, table.ram))}"
    yield from notes(table)


def share(size: int, whole: int) -> str:
    """A part of the whole in percent."""
    return f"{100 * size / whole:.1f}%" if whole else ""


def span(bounds: Range) -> str:
    """A range with its last byte."""
    return f"{bounds[0]:#010x}-{bounds[1] - 1:#010x}"


def _parted(rows: Sequence[Row], everything: bool) -> tuple[list[Row], list[Row]]:
    small = [row for row in rows if row.size <= _SMALL]
    if everything or len(small) < 2:
        return list(rows), []
    return [row for row in rows if row.size > _SMALL], small


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else f"{text[: width - 3]}..."


def notes(table: Table) -> Iterator[str]:
    """Yield what stands below the table: holes, memory that is no RAM, and the kernel's own figures."""
    if table.holes:
        yield f"Between the banks, no RAM: {', '.join(map(span, table.holes))}"
    if table.absent:
        yield f"Linux takes for memory what is no RAM: {', '.join(map(span, table.absent))}"
    if table.uncounted_cma:
        outside = size_text(table.uncounted_cma)
        yield f"{outside} of CMA areas lie outside memory or on one another; the kernel counts them all the same"
    said = [each for each in table.sums if each.line is not None]
    if not said:
        yield 'The kernel has not said its "Memory:" line yet.'
        return
    figures = {each.name: f"{(each.line or 0) >> 10}K" for each in said}
    parts = " + ".join(f"{figures[name]} {name}" for name in ("available", "reserved", "cma-reserved"))
    high = f" ({figures['highmem']} highmem)" if figures.get("highmem", "0K") != "0K" else ""
    agrees = "agrees" if all(each.agrees for each in said) else "; ".join(map(_differs, said))
    yield f'"Memory:" line: {parts} = {figures["memory"]}{high}: {agrees}'


def _differs(each: Sum) -> str:
    return f"{each.name} is {each.table / 1024:g}K here" if not each.agrees else f"{each.name} agrees"


def lines_of_two(names: Sequence[str], tables: Sequence[Table], *, everything: bool = False) -> Iterator[str]:
    """Yield the tables of two boots, row beside row."""
    left, right = tables
    for letter, name, table in zip("AB", names, tables, strict=True):
        yield f"{letter}  {name}, {table.stage}"
    yield f"  {'owner':<{_OWNER}} {'A':>12} {'B':>12} {'B - A':>12}  decided by"
    for group in GROUPS:
        mine, theirs = ({row.owner: row for row in table.rows if row.group == group} for table in tables)
        if not mine and not theirs:
            continue
        yield _of_two(GROUPS[group], _total(mine.values()), _total(theirs.values()), "")
        small: list[tuple[int, int]] = []
        for owner in dict.fromkeys((*mine, *theirs)):
            a, b = (side[owner].size if owner in side else 0 for side in (mine, theirs))
            if max(a, b) <= _SMALL and not everything:
                small.append((a, b))
            else:
                yield _of_two(f"  {owner}", a, b, decided_by(theirs.get(owner) or mine[owner]))
        if small:
            yield _of_two(f"  {len(small)} of at most a page", sum(a for a, _ in small), sum(b for _, b in small), "")
    yield _of_two("all RAM", left.size, right.size, "")
    for letter, table in zip("AB", tables, strict=True):
        yield from (f"{letter}  {note}" for note in notes(table))


def _total(rows: Any) -> int:
    return sum(row.size for row in rows)


def _of_two(owner: str, a: int, b: int, why: str) -> str:
    shown = [size_text(size) if size else "" for size in (a, b)]
    change = f"{'+' if b > a else ''}{size_text(b - a)}" if a != b else ""
    line = f"  {_cut(owner, _OWNER):<{_OWNER}} {shown[0]:>12} {shown[1]:>12} {change:>12}  {why}"
    return _cut(line.rstrip(), _WIDTH)
