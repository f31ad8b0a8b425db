"""Counters of events and of pages: what the kernel counts, where it counts it, and what a build shows of them."""

from pathlib import Path

import pytest

import bootsim
from bootsim.inputs.configfile import load_build
from bootsim.lab.session import Session
from bootsim.linux.include.linux.slab import kfree, kmalloc, kmem_cache_alloc, kmem_cache_create, krealloc
from bootsim.linux.mm import page_alloc as pa
from bootsim.linux.mm.compaction.api import compact_memory
from bootsim.linux.mm.migrate import page_holders
from bootsim.linux.mm.slab_common import SLAB_RECLAIM_ACCOUNT
from bootsim.linux.mm.vmalloc.alloc import vfree, vmalloc
from bootsim.linux.mm.vmstat import NOT_COUNTED, all_vm_events, node_page_state, zone_page_state
from bootsim.views import alive, meminfo
from bootsim.views.held import END, LiveState

GOLDEN = Path(__file__).parents[2] / "golden" / "proc"


@pytest.fixture
def k():
    machine = bootsim.boot("vexpress.dts", mem="1G")
    machine.mm.pgdat.gfp_allowed_mask = pa.__GFP_BITS_MASK
    return machine


def counted(k, action):
    """What an action added to which counters; its answer."""
    before = all_vm_events(k)
    answer = action()
    return {name: value - before[name] for name, value in all_vm_events(k).items() if value != before[name]}, answer


def test_the_boot_frees_its_pages_and_takes_few(k):
    events = all_vm_events(k)
    free = sum(area["nr_free"] << order for zone in k.zones for order, area in enumerate(zone["free_area"]))
    free += sum(pcp["count"] for zone in k.zones for pcp in zone["pcp"])
    contiguous = 64  # DMA's atomic pool is isolated out of the free lists, which is no allocation
    assert events["pgfree"] - events["pgalloc_normal"] - events["compact_isolated"] == free
    assert events["compact_isolated"] - contiguous == 1024 - contiguous


@pytest.mark.parametrize(("gfp", "zone"), [(pa.GFP_KERNEL, "normal"), (pa.GFP_HIGHUSER_MOVABLE, "high")])
@pytest.mark.parametrize("order", [0, 3])
def test_pages_are_counted_by_zone(k, gfp, zone, order):
    added, pfn = counted(k, lambda: pa.alloc_pages(k, gfp, order))
    assert added == {f"pgalloc_{zone}": 1 << order}
    assert counted(k, lambda: pa.__free_pages(k, pfn, order))[0] == {"pgfree": 1 << order}
    # Pages of a list that goes back to the zone were counted when they came to the list.
    assert counted(k, lambda: pa.drain_all_pages(k))[0] == {}


def test_free_pages_are_those_of_the_lists(k):
    for zone, state in zip(pa.zones_snapshot(k), zone_page_state(k), strict=True):
        listed = sum(area["nr_free"] << order for order, area in enumerate(zone["free_area"]))
        of_cma = sum(len(area["lists"][pa.MIGRATE_CMA]) << order for order, area in enumerate(zone["free_area"]))
        assert state["nr_free_pages"] == pytest.approx(listed, abs=125)  # what the processor has not added yet
        assert state["nr_free_cma"] == pytest.approx(of_cma, abs=125)


def test_a_page_counts_in_its_zone_alone(k):
    before = zone_page_state(k)
    for mask in (pa.GFP_KERNEL, pa.GFP_HIGHUSER):
        page_holders(k).hold(pa.alloc_pages(k, mask, 0))  # as a page of a file, on an LRU list
    added = [now["nr_zone_inactive_file"] - zone["nr_zone_inactive_file"]
             for now, zone in zip(zone_page_state(k), before, strict=True)]
    assert added == [1, 1, 0]


def scattered(k):
    """Memory full of movable pages, of which every fourth stays and is held."""
    holders, taken = page_holders(k), []
    while (pfn := pa.alloc_pages(k, pa.GFP_HIGHUSER_MOVABLE | pa.__GFP_NOWARN | pa.__GFP_NORETRY, 0)) is not None:
        taken.append(pfn)
    for i, pfn in enumerate(taken):
        if i % 4:
            pa.__free_pages(k, pfn, 0)
        else:
            holders.hold(pfn)
    pa.drain_all_pages(k)


def test_compaction_counts_what_it_looks_at_and_moves(k):
    scattered(k)
    added, moved = counted(k, lambda: compact_memory(k))
    assert added["pgmigrate_success"] == moved > 1000
    # Every page that moves is taken, and so is the one that it goes to; what was taken and not needed went back.
    assert added["compact_isolated"] >= 2 * moved
    assert added["compact_migrate_scanned"] >= moved
    assert added["compact_free_scanned"] >= moved
    assert "compact_stall" not in added  # nobody waited for it
    assert not any(name.startswith("compact_daemon") for name in added)


def test_who_waits_for_compaction_is_counted_with_what_it_got(k):
    scattered(k)
    flags = pa.GFP_HIGHUSER_MOVABLE | pa.__GFP_NOWARN
    total = {}
    for _ in range(20):
        added, _ = counted(k, lambda: pa.alloc_pages(k, flags, 9))
        for name, value in added.items():
            total[name] = total.get(name, 0) + value
    assert total["compact_stall"] == total.get("compact_success", 0) + total.get("compact_fail", 0) > 0
    assert total["compact_success"] > 0


def test_direct_reclaim_is_counted_by_the_zone_of_the_request(k):
    while pa.alloc_pages(k, pa.GFP_KERNEL | pa.__GFP_NOWARN | pa.__GFP_NORETRY, 0) is not None:
        pass
    added, pfn = counted(k, lambda: pa.alloc_pages(k, pa.GFP_KERNEL | pa.__GFP_NOWARN | pa.__GFP_NORETRY, 0))
    assert pfn is None
    assert added.get("allocstall_normal", 0) == 1
    assert not any(name.startswith("pgalloc") for name in added)


def test_a_copy_counts_on_by_itself(k):
    pa.alloc_pages(k, pa.GFP_KERNEL, 0)
    other = k.copy()
    assert all_vm_events(other) == all_vm_events(k)
    pa.alloc_pages(other, pa.GFP_KERNEL, 0)
    assert all_vm_events(other)["pgalloc_normal"] == all_vm_events(k)["pgalloc_normal"] + 1


def test_a_build_shows_what_it_has():
    build = load_build("3G/1G")

    def names(**config):
        k = bootsim.prepare("vexpress.dts", build.replace(config=build.config.replace(**config)), mem="128M")
        bootsim.run(k)
        return list(all_vm_events(k))

    assert names(VM_EVENT_COUNTERS=False) == []
    everything = names()
    of_pages = {name for name in NOT_COUNTED if name.startswith(("nr_", "workingset_"))}
    assert set(NOT_COUNTED) - set(everything) - of_pages == {"vmacache_find_calls", "vmacache_find_hits"}
    without = names(COMPACTION=False)
    assert [n for n in everything if n not in without] == [n for n in everything if n.startswith("compact_")]
    assert not any("high" in n and "wmark" not in n for n in names(HIGHMEM=False))
    assert names(ZONE_DMA=True)[4] == "pgalloc_dma"
    assert not any("balloon" in n or "swap_ra" in n for n in names(MEMORY_BALLOON=False, SWAP=False))
    assert names(MEMORY_BALLOON=True, BALLOON_COMPACTION=True, DEBUG_VM_VMACACHE=True)[-7:] == [
        "balloon_inflate", "balloon_deflate", "balloon_migrate", "vmacache_find_calls", "vmacache_find_hits",
        "swap_ra", "swap_ra_hit"]


def test_a_contiguous_range_moves_pages_out_and_takes_them(k):
    area, holders = k.mm.dma_contiguous_default_area, page_holders(k)
    first, taken = area.base_pfn + 256, []
    while (pfn := pa.alloc_pages(k, pa.GFP_HIGHUSER_MOVABLE | pa.__GFP_NOWARN | pa.__GFP_NORETRY, 0)) is not None:
        taken.append(pfn)
    held = [pfn for pfn in taken if first <= pfn < first + 64]
    for pfn in taken:
        if pfn in range(first, first + 64):
            holders.hold(pfn)
        else:
            pa.__free_pages(k, pfn, 0)
    assert len(held) > 32
    before = holders.moved
    added, error = counted(k, lambda: pa.alloc_contig_range(k, first, first + 64, pa.MIGRATE_CMA))
    moved = holders.moved - before
    assert not error
    assert added["pgmigrate_success"] == moved == len(held)
    assert added["compact_isolated"] >= moved + 64
    assert "pgmigrate_fail" not in added


# ------------------------------------------------------------------ pages

PAGE = 4096
READ, WRITE, SHARED, PRIVATE, ANONYMOUS = 1, 2, 1, 2, 0x20


def pages_added(k, action):
    """What an action added to which counters of pages, of the node and of all zones together."""
    def now():
        return node_page_state(k) | {name: sum(zone[name] for zone in zone_page_state(k))
                                     for name in zone_page_state(k)[0]}
    before = now()
    action()
    pa.drain_all_pages(k)
    return {name: value - before[name] for name, value in now().items() if value != before[name]}


@pytest.fixture
def lab(k):
    session = Session(k, alive.text)
    session.names()
    return session


def touched(p, addr, pages, write=True):
    for i in range(pages):
        if write:
            p.write(addr + i * PAGE)
        else:
            p.read(addr + i * PAGE)
    return addr


@pytest.mark.parametrize("allocator", ["SLUB", "SLAB", "SLOB"])
def test_slabs_and_large_blocks_of_kmalloc_are_the_allocators(allocator):
    build = load_build("3G/1G")
    config = build.config.replace(SLUB=False, SLAB=False, SLOB=False, SLAB_FREELIST_RANDOM=False)
    machine = bootsim.prepare("vexpress.dts", build.replace(config=config.replace(**{allocator: True})), mem="128M")
    bootsim.run(machine)
    start = node_page_state(machine)
    assert start["nr_slab_unreclaimable"] >= sum(pages for _, pages, _ in machine.mm.slab.slabs())
    cache = kmem_cache_create(machine, "inodes", 1000, 0, SLAB_RECLAIM_ACCOUNT)
    added = pages_added(machine, lambda: [kmem_cache_alloc(machine, cache, pa.GFP_KERNEL) for _ in range(400)])
    kind = "nr_slab_unreclaimable" if allocator == "SLOB" else "nr_slab_reclaimable"
    assert 100 <= added[kind] <= 134
    large = []
    added = pages_added(machine, lambda: large.append(kmalloc(machine, 100 << 10)))
    assert added["nr_slab_unreclaimable"] == 32
    if allocator == "SLAB":  # has caches of every size that kmalloc() may give
        return
    other = machine.copy()
    assert pages_added(other, lambda: kfree(other, large[0]))["nr_slab_unreclaimable"] == -32
    added = pages_added(machine, lambda: large.append(krealloc(machine, large[0], 200 << 10, pa.GFP_KERNEL)))
    assert added["nr_slab_unreclaimable"] == 32


def test_pages_of_a_process_by_kind(lab, k, tmp_path):
    data = tmp_path / "data"
    data.write_bytes(b"d" * 64 * PAGE)
    p = lab.names()["process"]()
    fd = p.open(data, writable=True)
    drain = k.processes.pages.drain
    drain()

    def anonymous():
        touched(p, p.mmap(length=40 * PAGE, prot=READ | WRITE, flags=PRIVATE | ANONYMOUS), 40)
        drain()

    added = pages_added(k, anonymous)
    assert (added["nr_anon_pages"], added["nr_inactive_anon"], added["nr_zone_inactive_anon"]) == (40, 40, 40)
    assert "nr_file_pages" not in added

    def file():
        at = p.mmap(length=64 * PAGE, prot=READ | WRITE, flags=SHARED, fd=fd)
        touched(p, at, 64, write=False)
        touched(p, at, 10)
        drain()

    added = pages_added(k, file)
    assert (added["nr_file_pages"], added["nr_mapped"], added["nr_dirty"]) == (64, 64, 10)
    assert added["nr_zone_write_pending"] == 10
    assert "nr_shmem" not in added
    assert "nr_anon_pages" not in added

    added = pages_added(k, lambda: touched(p, p.mmap(length=8 * PAGE, prot=READ | WRITE, flags=SHARED | ANONYMOUS), 8))
    assert (added["nr_shmem"], added["nr_file_pages"], added["nr_mapped"]) == (8, 8, 8)
    assert "nr_dirty" not in added  # tmpfs is not written back


@pytest.mark.parametrize("highpte", [True, False])
def test_second_level_tables_count_where_they_lie(highpte):
    build = load_build("3G/1G")
    lab = Session(bootsim.boot("vexpress.dts", build.replace(config=build.config.replace(HIGHPTE=highpte)), mem="1G"),
                  alive.text)
    p = lab.names()["process"]()
    before = zone_page_state(lab.k)
    at = p.mmap(length=3 << 21, prot=READ | WRITE, flags=PRIVATE | ANONYMOUS)
    for i in range(3):
        p.write(at + (i << 21))
    added = [now["nr_page_table_pages"] - zone["nr_page_table_pages"]
             for now, zone in zip(zone_page_state(lab.k), before, strict=True)]
    assert added == ([0, 3, 0] if highpte else [3, 0, 0])  # Normal, HighMem, Movable; a page of tables maps 2 MiB


def test_pages_of_two_processes_count_once(lab, k):
    p = lab.names()["process"]()
    addr = touched(p, p.mmap(length=40 * PAGE, prot=READ | WRITE, flags=PRIVATE | ANONYMOUS), 40)
    children = []
    assert "nr_anon_pages" not in pages_added(k, lambda: children.append(p.fork()))
    assert pages_added(k, lambda: touched(children[0], addr, 5))["nr_anon_pages"] == 5


def test_meminfo_adds_them_up(lab, k):
    p = lab.names()["process"]()

    def shown():
        return meminfo.data(LiveState(k, END))

    before = shown()
    touched(p, p.mmap(length=40 * PAGE, prot=READ | WRITE, flags=PRIVATE | ANONYMOUS), 40)
    touched(p, p.mmap(length=8 * PAGE, prot=READ | WRITE, flags=SHARED | ANONYMOUS), 8)
    k.processes.pages.drain()
    vmalloc(k, 30 * PAGE)
    after = shown()
    added = {label: (after[label] - before[label]) // 4 for label in after if after[label] != before[label]}
    assert (added["AnonPages"], added["Shmem"], added["Mapped"], added["Cached"]) == (40, 8, 8, 8)
    assert added["Committed_AS"] == 48
    assert added["VmallocUsed"] == 30
    assert after["Active"] + after["Inactive"] == sum(node_page_state(k)[f"nr_{name}"] * 4 for name in (
        "active_anon", "inactive_anon", "active_file", "inactive_file"))
    assert after["Slab"] == after["SReclaimable"] + after["SUnreclaim"] > 0


def test_vmalloc_takes_off_what_it_gives_back(k):
    addr = vmalloc(k, 30 * PAGE)
    used = meminfo.data(LiveState(k, END))["VmallocUsed"]
    vfree(k, addr)
    assert used - meminfo.data(LiveState(k, END))["VmallocUsed"] == 30 * 4


# ------------------------------------------------------------------ a real kernel's counters

COUNTED = ("nr_zone_inactive_anon", "nr_zone_unevictable", "nr_mlock", "nr_page_table_pages", "nr_inactive_anon",
           "nr_active_anon", "nr_unevictable", "nr_anon_pages", "nr_mapped", "nr_file_pages", "nr_dirty",
           "nr_writeback", "nr_shmem")
OWN_PAGES = {"nr_anon_pages": 6, "nr_inactive_anon": 7, "nr_zone_inactive_anon": 7, "nr_active_anon": 1,
             "nr_page_table_pages": 1}  # of the program's own stack and data, which its child copies


def counters(lab, k):
    """What each step of tests/golden/proc/counters.c changes here."""
    p, found = lab.names()["process"](), {}

    def now():
        p.mlockall(1 | 4)  # MCL_CURRENT, MCL_ONFAULT
        p.munlockall()
        k.processes.pages.drain()
        zones = zone_page_state(k)
        node = node_page_state(k) | {name: sum(zone[name] for zone in zones) for name in zones[0]}
        return {name: node[name] for name in COUNTED}

    def told(what):
        after = now()
        found[what] = {name: after[name] - before[name] for name in COUNTED}
        before.update(now())

    before = now()
    a = touched(p, p.mmap(0x20000000, 300 * PAGE, flags=PRIVATE | ANONYMOUS | 0x10), 300)
    told("anonymous 300")
    s = touched(p, p.mmap(0x24000000, 50 * PAGE, flags=SHARED | ANONYMOUS | 0x10), 50)
    told("shared 50")
    p.mlock(a, 30 * PAGE)
    now()
    told("mlock 30 and back")
    child = p.fork()
    for i in range(0, 40, 2):
        child.write(a + i * PAGE)
    told("fork, child writes 20")
    p.munmap(a, 100 * PAGE)
    told("munmap 100")
    p.madvise(s, 50 * PAGE, 4)
    told("dontneed shared")
    child.exit()
    told("child exits")
    p.munmap(s, 50 * PAGE)
    told("munmap shared")
    p.munmap(a + 100 * PAGE, 200 * PAGE)
    told("munmap rest")
    return found


def test_counters_move_as_a_real_kernels_did(lab, k):
    here = counters(lab, k)
    lines = (GOLDEN / "counters-armmp").read_text().splitlines()
    assert [line.partition(":")[0] for line in lines] == list(here)
    for line in lines:
        what, _, changes = line.partition(":")
        real = dict.fromkeys(COUNTED, 0) | {name: int(value) for name, value in
                                            (change.split("=") for change in changes.split())}
        off = {name: (here[what][name], real[name]) for name in COUNTED
               if abs(here[what][name] - real[name]) > OWN_PAGES.get(name, 0)}
        assert not off, f"{what}: {off}"
