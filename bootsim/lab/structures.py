"""How the live structures of a machine point to each other: node, zone, free_area, page; kmem_cache, cpu, node, slab.

Every number is read from the machine as it is now. Lists are shown from their heads on, a few links long.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bootsim.errors import InputError
from bootsim.lab.drawing import Box, Drawing, Row
from bootsim.linux.include.linux.mm_types import migratetype_names

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from bootsim.linux import Kernel

_LINKS = 4  # of a list


def node(k: Kernel, zone_name: str | None = None) -> Drawing:
    """Return the node with its zones, their per-cpu lists and free lists; or one zone. Raises InputError."""
    zones = [zone for zone in k.zones if zone["present"]]
    if zone_name is not None:
        zones = [zone for zone in zones if zone["name"] == zone_name]
        if not zones:
            raise InputError(f"no zone {zone_name!r} with pages; there are "
                             f"{', '.join(zone['name'] for zone in k.zones if zone['present'])}")
    columns: list[list[Box]] = [[], [], [], []]
    columns[0].append(_pgdat(k, {zone["name"] for zone in zones}))
    for zone in zones:
        _add_zone(zone, columns)
    return Drawing(f"Page allocator: {', '.join(zone['name'] for zone in zones)}", columns)


def _pgdat(k: Kernel, shown: set[str]) -> Box:
    rows = [Row(f"node_zones[{i}] {zone['name']}{'' if zone['present'] else ', no pages'}",
                zone["name"] if zone["name"] in shown else "") for i, zone in enumerate(k.zones)]  # fmt: skip
    present = sum(zone["present"] for zone in k.zones)
    return Box("pgdat", "struct pglist_data contig_page_data", [*rows, Row(f"node_present_pages {present}")])


def _add_zone(zone: dict[str, Any], columns: list[list[Box]]) -> None:
    name, areas = zone["name"], zone["free_area"]
    types = migratetype_names(len(areas[0]["lists"]))
    minimum, low, high = zone["watermark"]
    columns[1].append(Box(name, f"struct zone {name}", [
        Row(f"zone_start_pfn {zone['start_pfn']:#x}"),
        Row(f"managed_pages {zone['managed']}"),
        Row(f"vm_stat[NR_FREE_PAGES] {zone['nr_free_pages']}"),
        Row(f"_watermark[] {minimum} {low} {high}"),
        *[Row(f"pageset, cpu {cpu}", f"{name} cpu {cpu}") for cpu in range(len(zone["pcp"]))],
        *[Row(f"free_area[{order}]", f"{name} {order}" if area["nr_free"] else "") for order, area in enumerate(areas)],
    ]))
    for cpu, pcp in enumerate(zone["pcp"]):
        rows = [Row(f"count {pcp['count']}, high {pcp['high']}, batch {pcp['batch']}")]
        title = f"per_cpu_pages, {name}, cpu {cpu}"
        columns[2].append(_list_box(f"{name} cpu {cpu}", title, types, pcp["lists"], columns, rows))
    for order, area in enumerate(areas):
        if area["nr_free"]:
            rows = [Row(f"nr_free {area['nr_free']}")]
            title = f"free_area[{order}] of {name}"
            columns[2].append(_list_box(f"{name} {order}", title, types, area["lists"], columns, rows))


def _list_box(key: str, title: str, types: Sequence[str], lists: list[list[int]], columns: list[list[Box]],
              rows: list[Row]) -> Box:  # fmt: skip
    # a box with a row for each list that is not empty, and the lists' pages in the next column
    for name, pfns in zip(types, lists, strict=False):
        if pfns:
            at = f"{key} {name}"
            rows.append(Row(f"list {name}", at))
            pages = [Row(_chain(pfns, lambda pfn: f"pfn {pfn:#x}"))]
            columns[3].append(Box(at, f"struct page, {len(pfns)} of {name}", pages))
    return Box(key, title, rows)


def _chain(items: Sequence[Any], word: Callable[[Any], str]) -> str:
    more = [f"... {len(items) - _LINKS} more"] if len(items) > _LINKS else []
    return " -> ".join([*map(word, items[:_LINKS]), *more])


# ------------------------------------------------------------------ slabs

def cache(k: Kernel, name: str) -> Drawing:
    """Return a slab cache with its processors' and its node's slabs; of SLOB its three lists. Raises InputError."""
    allocator = k.mm.slab
    if allocator is None:
        raise InputError("no slab allocator yet")
    state: Any = allocator.snapshot()
    if isinstance(state, dict):
        return _slob(state["lists"])
    s = next((one for one in allocator.slab_caches if name in (one.name, *one.aliases)), None)
    row = None if s is None else next((row for row in state if row["addr"] == s.va), None)
    if row is None:
        raise InputError(f"no cache {name!r}; there are: {', '.join(one.name for one in allocator.slab_caches)}")
    columns: list[list[Box]] = [[], [], []]
    (_slab_cache if "slabs_partial" in row["node"] else _slub_cache)(row, columns)
    return Drawing(f"Slab cache {row['name']}", columns)


def _slub_cache(row: dict[str, Any], columns: list[list[Box]]) -> None:
    oo = row["oo"]
    cpus = range(len(row["cpu"]))
    columns[0].append(Box("cache", f"struct kmem_cache {row['name']}", [
        Row(f"at {row['addr']:#x}"), Row(f"object_size {row['object_size']}, size {row['size']}"),
        Row(f"oo: order {oo >> 16}, {oo & 0xFFFF} objects"), Row(f"min_partial {row['min_partial']}"),
        *[Row(f"cpu_slab, cpu {cpu}", f"cpu {cpu}") for cpu in cpus], Row("node[0]", "node"),
    ]))
    for cpu in cpus:
        state = row["cpu"][cpu]
        here = [] if state["page"] is None else [state["page"]]
        partial = state.get("partial", [])
        columns[1].append(Box(f"cpu {cpu}", f"kmem_cache_cpu, cpu {cpu}", [
            Row(f"freelist {_objects(state['freelist'])}"),
            Row("page" if here else "page NULL", _slabs(f"cpu {cpu} page", here, columns)),
            Row(f"partial {len(partial)}", _slabs(f"cpu {cpu} partial", partial, columns)),
        ]))
    node_ = row["node"]
    columns[1].append(Box("node", "kmem_cache_node", [
        *[Row(f"{key} {node_[key]}") for key in ("nr_slabs", "total_objects") if key in node_],
        Row(f"nr_partial {node_['nr_partial']}, partial", _slabs("node partial", node_["partial"], columns)),
    ]))


def _slab_cache(row: dict[str, Any], columns: list[list[Box]]) -> None:
    cpus = range(len(row["cpu"]))
    columns[0].append(Box("cache", f"struct kmem_cache {row['name']}", [
        Row(f"at {row['addr']:#x}"), Row(f"object_size {row['object_size']}, size {row['size']}"),
        Row(f"gfporder {row['gfporder']}, num {row['num']}"),
        *[Row(f"cpu_cache, cpu {cpu}", f"cpu {cpu}") for cpu in cpus], Row("node[0]", "node"),
    ]))
    for cpu in cpus:
        columns[1].append(_array(f"cpu {cpu}", f"array_cache, cpu {cpu}", row["cpu"][cpu]))
    node_ = row["node"]
    shared = node_["shared"]
    columns[1].append(Box("node", "kmem_cache_node", [
        Row(f"free_objects {node_['free_objects']}, free_limit {node_['free_limit']}"),
        Row("shared" if shared else "shared NULL", "shared" if shared else ""),
        *[Row(f"{which} {len(node_[which])}", _slabs(which, node_[which], columns))
          for which in ("slabs_partial", "slabs_full", "slabs_free")],
    ]))
    if shared:
        columns[1].append(_array("shared", "array_cache, shared", shared))


def _array(key: str, title: str, state: dict[str, Any]) -> Box:
    newest = list(reversed(state["entries"][:state["avail"]]))
    batch = _count(state["batchcount"])
    return Box(key, title, [Row(f"avail {state['avail']}, limit {state['limit']}, batchcount {batch}"),
                            Row(f"entry[], newest first: {_objects(newest)}")])


def _slabs(key: str, slabs: list[dict[str, Any]], columns: list[list[Box]]) -> str:
    return _linked(key, "slab, struct page", "slabs", slabs, _of_slab, columns[-1])


def _linked(key: str, title: str, plural: str, pages: list[dict[str, Any]],
            rows_of: Callable[[dict[str, Any]], Iterator[Row]], column: list[Box]) -> str:
    # boxes of a list's first pages, each pointing to the next; the first one's key
    last = min(len(pages), _LINKS)
    for i, page in enumerate(pages[:last]):
        rows = [*rows_of(page)]
        if i + 1 < last:
            rows.append(Row("next", f"{key} {i + 1}"))
        elif len(pages) > last:
            rows.append(Row(f"next: {len(pages) - last} more {plural}"))
        column.append(Box(f"{key} {i}", f"{title} of pfn {page['pfn']:#x}", rows))
    return f"{key} 0" if last else ""


def _of_slab(slab: dict[str, Any]) -> Iterator[Row]:
    if "active" in slab:  # SLAB
        free = slab.get("free_indices", [])
        yield Row(f"s_mem {slab['s_mem']:#x}, active {slab['active']}")
        yield Row(f"freelist, free objects by number: {_chain(free, str) or 'none'}")
    else:
        yield Row(f"inuse {slab['inuse']} of {slab['objects']}, frozen {slab['frozen']}")
        yield Row(f"freelist {_objects(slab['freelist'])}")


def _count(number: int) -> str:
    return f"{number:#x}" if number >> 16 else str(number)  # the shared array has 0xbaadf00d there


def _objects(vas: Sequence[int]) -> str:
    return _chain(vas, lambda va: f"{va:#x}") or "NULL"


def _slob(lists: dict[str, list[dict[str, Any]]]) -> Drawing:
    columns: list[list[Box]] = [[], []]
    for name, pages in lists.items():
        key = f"free_slob_{name}"
        first = _linked(key, "struct page", "pages", pages, _of_slob_page, columns[1])
        columns[0].append(Box(key, f"list_head {key}", [Row(f"{len(pages)} pages", first)]))
    return Drawing("SLOB: three lists of pages", columns)


def _of_slob_page(page: dict[str, Any]) -> Iterator[Row]:
    blocks = _chain(page["blocks"], lambda block: f"{block[0]:#x}+{block[1]}")
    yield Row(f"units {page['units']} free")
    yield Row(f"freelist, offset+bytes: {blocks or 'none'}")
