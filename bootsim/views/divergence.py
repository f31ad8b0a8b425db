"""Where a replay first left its recording, in lines: the state before that record."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator


def lines(found: dict[str, Any]) -> Iterator[str]:
    """Tell of the record, of where both answers lay, and of the lists, cache or addresses that they came from."""
    at = found["state_at"]
    before = "it" if at == found["record"] else f"record {at}, where that compaction begins"
    yield f"record {found['record']} is {found['asked']}; the state before {before}:"
    for page in found["pages"]:
        pfn = "" if page["pfn"] is None else f" page {page['pfn']:#x}"
        yield f"  {page['whose']:>8}:{pfn} {page['where']}"
        if "pageblock" in page:
            block = page["pageblock"]
            yield (f"            pageblock {block['first_pfn']:#x}: {block['migratetype']}, {block['free']} of "
                   f"{block['pages']} pages on free lists")
    for one in found.get("objects", ()):
        yield f"  {one['whose']:>8}: object {one['va']:#x}: {one['where']}"
    if found.get("cache"):
        yield from _cache(found["cache"])
    for name, pages in found.get("slob", {}).items():
        shown = " ".join(f"{page['pfn']:#x}({page['units']})" for page in pages)
        yield f"  SLOB's {name} pages, with their free units: {shown or 'none'}"
    for one in found.get("addresses", ()):
        near = " ".join(f"{area['start']:#x}-{area['end']:#x} {area['state']}" for area in one["near"])
        yield f"  beside {one['va']:#x}: {near}"
    for zone in found["zones"]:
        yield from _zone(zone)


def _cache(cache: dict[str, Any]) -> Iterator[str]:
    yield f"  cache {cache['name']}: objects of {cache['object_size']} bytes, {cache['size']} apart"
    for cpu, state in enumerate(cache["cpu"]):
        yield f"    cpu {cpu}: {_plain(state)}"
    yield f"    node: {_plain(cache['node'])}"


def _plain(value: Any) -> str:
    # as JSON, but addresses and frames in hexadecimal, without quotes
    if isinstance(value, dict):
        return f"({', '.join(f'{name} {_plain(part)}' for name, part in value.items())})"
    if isinstance(value, list):
        return f"[{' '.join(map(_plain, value))}]"
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:#x}" if value > 0xFFFF else str(value)
    return value if isinstance(value, str) else json.dumps(value)


def _zone(zone: dict[str, Any]) -> Iterator[str]:
    yield (f"  zone {zone['name']}: {zone['nr_free_pages']} pages free, watermarks "
           f"{' '.join(map(str, zone['watermark']))}")
    for cpu, pcp in enumerate(zone["pcp"]):
        if not pcp["count"]:
            continue
        yield f"    cpu {cpu}: {pcp['count']} pages, high {pcp['high']}, batch {pcp['batch']}"
        yield from (f"      {_list(one)}" for one in pcp["lists"])
    yield from (f"    order {one['order']:>2}: {_list(one)}" for one in zone["free_area"])


def _list(one: dict[str, Any]) -> str:
    more = " ..." if one["count"] > len(one["first"]) else ""
    return f"{one['migratetype']} {one['count']}: {' '.join(f'{pfn:#x}' for pfn in one['first'])}{more}"
