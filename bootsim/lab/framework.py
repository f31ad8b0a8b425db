"""The memory of a whole machine on one map: who asks, what is built for them, and where it all comes from.

    who asks --> address spaces --> mappings --> page tables, what pages belong to --> lists, node --> zones --> frames

Every number is read from the machine as it is now. A box or a row names the topic of the course that treats it; saved
with `links`, the picture leads there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bootsim.lab.drawing import Box, Drawing, Row
from bootsim.linux.fs.proc.task_mmu import show_map_vma
from bootsim.linux.mm.swapfile.on import swap_areas
from bootsim.page import PAGE_SHIFT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bootsim.linux import Kernel
    from bootsim.linux.mm.mmap.structs import Task, VmAreaStruct

_MOST = 8  # processes, mappings and areas that are shown
_COLUMNS = 7
_MODULES_MIB = 16  # modules and pkmap, below PAGE_OFFSET


def framework(k: Kernel) -> Drawing:
    """Return the map of a machine that has booted."""
    columns: list[list[Box]] = [[] for _ in range(_COLUMNS)]
    tasks = _processes(k)
    columns[0] += [_task(task) for task in tasks] + [_requests(), _tree(k)]
    columns[1] += [_mm(task) for task in tasks] + [_slab(k), _kernel_addresses(k), _memblock(k)]
    columns[2] += [_vmas(task) for task in tasks]
    columns[3] += [*_homes(tasks), *_page_tables(k, tasks)]
    columns[4] += [_lru(k), _pgdat(k), *_cma(k), *_swap(k), _tlb(k)]
    for zone in k.zones:
        if zone["present"]:
            columns[5].append(_zone(zone))
            columns[6] += [_lists(zone)]
    columns[6].append(_mem_map(k))
    return Drawing(f"The memory of a machine: {k.build.name}, {k.mm.totalram_pages} pages", columns)


def _more(items: list[Any], what: str) -> list[Row]:
    return [Row(f"... {len(items) - _MOST} more {what}")] if len(items) > _MOST else []


# ------------------------------------------------------------------ who asks

def _processes(k: Kernel) -> list[Task]:
    room: Any = k.processes
    return [] if room is None else [task for task in room.tasks.values() if task.mm is not None][:_MOST]


def _task(task: Task) -> Box:
    return Box(f"task {task.pid}", f"process {task.pid}, {task.comm}", [
        Row("mm", f"mm {task.pid}"),
        Row("fork(): copies tables, shares pages", topic=32),
        Row("load or store without entry: do_page_fault()", topic=33),
        Row("mmap(), munmap(): mappings", topic=36), Row("read() and write() of what is mapped", topic=35),
        Row("malloc(): brk() or mmap()", topic=42),
    ], topic=32)


def _requests() -> Box:
    return Box("kernel", "kernel and drivers", [
        Row("alloc_pages(gfp, order)", "pgdat", topic=7),
        Row("kmalloc(size, gfp), kmem_cache_alloc()", "slab", topic=14),
        Row("vmalloc(size), ioremap(pa), insmod", "vmap", topic=26),
        Row("kmap(page), kmap_atomic(page)", "vmap", topic=29),
        Row("cma_alloc(), for dma_alloc_coherent()", topic=8),
        Row("a driver's mmap() and fault()", topic=39),
        Row("compaction, kcompactd: larger blocks", topic=5),
    ], topic=1)


def _tree(k: Kernel) -> Box:
    banks = [f"{base:#x}+{size:#x}" for base, size in k.machine.banks]
    return Box("tree", "board and device tree", [Row(f"RAM {', '.join(banks[:_MOST])}", topic=2),
                                                 Row("memory, reserved-memory", "memblock", topic=12)], topic=9)


# ------------------------------------------------------------------ what is built for them

def _mm(task: Task) -> Box:
    mm: Any = task.mm
    return Box(f"mm {task.pid}", f"mm_struct of {task.pid}", [
        Row(f"pgd {mm.pgd_pa:#010x}", f"pgd {task.pid}"),
        Row(f"mmap, mm_rb: map_count {mm.map_count}", f"vmas {task.pid}"),
        Row(f"total_vm {mm.total_vm}, rss {sum(mm.rss)} pages", topic=40),
        Row(f"start_brk {mm.start_brk:#x}, brk {mm.brk:#x}", topic=42),
        Row(f"mmap_base {mm.mmap_base:#x}", topic=36),
    ], topic=32)


def _slab(k: Kernel) -> Box:
    caches = [] if k.mm.slab is None else list(k.mm.slab.slab_caches)
    names = [s.name for s in caches if not s.name.startswith("kmalloc")][-2:]
    return Box("slab", "slab_caches", [
        Row(f"{len(caches)} kmem_caches: {', '.join(['kmalloc-*', *names])}", topic=13),
        Row("slabs: pages of the buddy system", "pgdat"),
        Row("per-cpu freelists, partial slabs", topic=13),
    ], topic=13)


def _kernel_addresses(k: Kernel) -> Box:
    taken = ({(vm.addr, vm.addr + vm.size) for vm in k.mm.vmlist} if k.mm.vmap is None
             else {(start, end) for start, end in k.mm.vmap.areas.busy})
    windows = 0 if k.mm.kmap is None else sum(map(bool, k.mm.kmap.snapshot()["count"]))
    areas = [Row(f"{start:#010x}-{end:#010x}") for start, end in sorted(taken)[:_MOST]]
    return Box("vmap", "kernel addresses", [
        Row(f"linear mapping {k.build.config.PAGE_OFFSET:#x}-{k.mm.high_memory:#x}", topic=21),
        Row(f"vmap_area_root: {len(taken)} areas", topic=26), *areas, *_more([*taken], "areas"),
        Row(f"pkmap: {windows} windows", topic=29),
        Row("ioremap: entries of devices", topic=27), Row("fixmap", topic=30), Row("modules", topic=31),
        Row("their entries", "pgd 0", topic=17),
    ], topic=20)


def _memblock(k: Kernel) -> Box:
    memory, reserved = k.mm.memblock.memory.regions, k.mm.memblock.reserved.regions
    return Box("memblock", "memblock", [
        Row(f"memory: {len(memory)} ranges, {sum(r.size for r in memory):#x} bytes"),
        Row(f"reserved: {len(reserved)} ranges, {sum(r.size for r in reserved):#x} bytes"),
        Row("memblock_free_all()", "pgdat", topic=10), Row("free_initmem()", topic=11),
    ], topic=9)


# ------------------------------------------------------------------ mappings and what pages belong to

def _vmas(task: Task) -> Box:
    vmas = list(task.mm or ())
    rows = [Row(_words(task, vma), _home(vma)) for vma in vmas[:_MOST]]
    return Box(f"vmas {task.pid}", f"vm_area_structs of {task.pid}", [*rows, *_more(vmas, "mappings")], topic=41)


def _words(task: Task, vma: VmAreaStruct) -> str:
    span, rights, _, _, _, *name = show_map_vma(task, vma).split()
    return " ".join([span, rights, *name])


def _home(vma: VmAreaStruct) -> str:
    if vma.anon_vma is not None:
        return f"anon_vma {vma.anon_vma.root.id}"
    return "" if vma.vm_file is None else f"file {vma.vm_file.path}"


def _homes(tasks: list[Task]) -> Iterator[Box]:
    # the families of anon_vmas and the files that the shown mappings lead to
    seen = set()
    for vma in [vma for task in tasks for vma in list(task.mm or ())[:_MOST]]:
        key = _home(vma)
        if key in seen or not key:
            continue
        seen.add(key)
        if vma.anon_vma is not None:
            root = vma.anon_vma.root
            yield Box(key, "anon_vma", [Row(f"rb_root: {len(root.rb_root)} VMAs"), Row("pages", "lru", topic=40)],
                      topic=43)
        else:
            mapping = vma.vm_file.f_mapping
            yield Box(key, f"address_space of {vma.vm_file.path.rpartition('/')[2]}", [
                Row("i_pages: page cache", "lru", topic=38), Row(f"i_mmap: {len(mapping.i_mmap)} VMAs", topic=43)],
                topic=37)  # fmt: skip


def _page_tables(k: Kernel, tasks: list[Task]) -> Iterator[Box]:
    kernel_word = (k.build.config.PAGE_OFFSET >> 20) - _MODULES_MIB
    for pid, pgd_pa in [(task.pid, task.mm.pgd_pa) for task in tasks if task.mm] + [(0, k.mm.init_mm.pgd_pa)]:
        words = [k.machine.ram.read32(pgd_pa + 4 * i) for i in range(4096)]
        own = words[kernel_word if pid == 0 else 0 : None if pid == 0 else kernel_word]
        kinds = {kind: sum(word & 3 == bits for word in own) for kind, bits in (("tables", 1), ("sections", 2))}
        rows = [Row(", ".join(f"{count} {kind}" for kind, count in kinds.items()), topic=16),
                Row("PTE: frame and permissions", "mem_map", topic=23)]
        if pid:
            rows.append(Row("kernel part: a copy of init_mm's", "pgd 0", topic=34))
        whose = "init_mm, swapper_pg_dir" if pid == 0 else f"process {pid}"
        yield Box(f"pgd {pid}", f"first level of {whose}", rows, topic=17 if pid == 0 else 32)


# ------------------------------------------------------------------ lists, node, zones, frames

def _lru(k: Kernel) -> Box:
    lru = k.mm.pgdat.lru
    lists = {} if lru is None else lru.sizes()
    return Box("lru", "lruvec", [
        *[Row(f"{name} {pages}") for name, pages in lists.items()], Row("kswapd, direct reclaim: frees", "pgdat"),
        Row("try_to_unmap(): by reverse mapping", topic=43),
    ], topic=43)


def _tlb(k: Kernel) -> Box:
    counted = k.machine.main_tlb().statistics()
    return Box("tlb", "MMU and TLB of the boot processor", [
        Row(f"TTBR0 {k.cpus[0].cp15.ttbr0:#010x}", topic=15),
        Row(f"{len(k.machine.main_tlb())} entries, {counted['hits']} hits, {counted['misses']} misses", topic=19),
    ], topic=15)


def _pgdat(k: Kernel) -> Box:
    zones = [Row(f"zone {zone['name']}", f"zone {zone['name']}") for zone in k.zones if zone["present"]]
    return Box("pgdat", "pglist_data", [*zones, Row("node_mem_map", "mem_map")], topic=3)


def _cma(k: Kernel) -> Iterator[Box]:
    for area in k.mm.cma_areas[:_MOST]:
        zone = next((z["name"] for z in k.zones if z["start_pfn"] <= area.base_pfn < z["start_pfn"] + z["spanned"]), "")
        yield Box(f"cma {area.base_pfn}", f"cma {area.name}", [
            Row(f"{area.count} pages from {area.base_pfn:#x}", f"zone {zone}" if zone else ""),
            Row(f"taken: {sum(area.bitmap) << area.order_per_bit}")], topic=8)  # fmt: skip


def _swap(k: Kernel) -> Iterator[Box]:
    for area in swap_areas(k)[:_MOST] if k.processes is not None else ():
        yield Box(f"swap {area.path}", f"swap area {area.path}", [
            Row(f"{area.inuse_pages} of {area.pages} pages in use")], topic=43)  # fmt: skip


def _zone(zone: dict[str, Any]) -> Box:
    minimum, low, high = zone["watermark"]
    return Box(f"zone {zone['name']}", f"zone {zone['name']}", [
        Row(f"managed {zone['managed']}, free {zone['nr_free_pages']}", topic=3),
        Row(f"watermarks {minimum} {low} {high}"),
        Row("free_area[], pageset", f"lists {zone['name']}", topic=4),
    ], topic=22)


def _lists(zone: dict[str, Any]) -> Box:
    blocks = ", ".join(str(area["nr_free"]) for area in zone["free_area"])
    cached = ", ".join(str(pcp["count"]) for pcp in zone["pcp"])
    return Box(f"lists {zone['name']}", f"free pages of {zone['name']}", [
        Row(f"free_area[0..{len(zone['free_area']) - 1}]: {blocks}", topic=4),
        Row("free_list[] by migrate type", topic=5), Row(f"per-cpu lists: {cached}", topic=6),
    ], topic=4)


def _mem_map(k: Kernel) -> Box:
    at = k.phys_to_virt(k.mm.pgdat.mem_map_pa or 0)
    return Box("mem_map", f"struct page[] at {at:#010x}", [
        Row(f"{sum(zone['spanned'] for zone in k.zones)} frames of {1 << PAGE_SHIFT} bytes", topic=3),
        Row("empty_zero_page", topic=40), Row("high memory: without linear address", topic=28),
    ], topic=3)
