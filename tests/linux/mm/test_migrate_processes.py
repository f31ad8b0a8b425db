"""Pages of processes that compaction and contiguous areas move: nobody may see it."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import bootsim
from bootsim.lab.process import open_file
from bootsim.lab.session import Session
from bootsim.linux.kernel.fork.init import processes
from bootsim.linux.mm.compaction.api import compact_memory
from bootsim.linux.mm.page_alloc import (
    GFP_KERNEL,
    MIGRATE_CMA,
    alloc_contig_range,
    alloc_pages,
    check_buddy_invariants,
    nr_free_pages,
    page_info,
    set_page_count,
)
from bootsim.linux.mm.rmap.walk import rmap_walk
from bootsim.linux.mm.vmstat import all_vm_events
from bootsim.views import alive

PAGE = 4096
ANONYMOUS, SHARED, PRIVATE = 0x20, 1, 2
BASE, PAGES = 0x40000000, 24
FRAME = ~0xFFF
YOUNG_AND_DIRTY = 1 << 1 | 1 << 6


@pytest.fixture(scope="module")
def booted(tmp_path_factory):
    k = bootsim.boot("vexpress.dts", config="3G/1G", mem="64M", cmdline="norandmaps cma=24M")
    data = tmp_path_factory.mktemp("files") / "data"
    data.write_bytes(bytes(range(256)) * 16 * PAGES)
    return k, data


def session(booted):
    k, data = booted
    lab = Session(k.copy(), alive.text)
    lab.names()
    return lab, data


def view(k):
    """What every process sees: the bytes and rights of each page, and which of them are the same frame."""
    room, seen, frames = k.processes, {}, {}
    for task in room.tasks.values():
        for va, word, _, pfn in room.pages.entries(task.mm):
            content = k.machine.ram.read(word & FRAME, PAGE)
            group = frames.setdefault(word & FRAME, (task.pid, va))
            mapcount = None if pfn is None else room.pages.page(pfn)[1]
            seen[task.pid, va] = (content, word & ~FRAME & ~YOUNG_AND_DIRTY, group, mapcount)
        seen[task.pid] = list(task.mm.rss)
    return seen


def without_clean_pages_of_files(before, k):
    """What processes saw, but for pages of files that a contiguous area dropped: those are read again."""
    after = view(k)
    for key in set(before) - set(after):
        pid, va = key
        vma = next(vma for vma in k.processes.tasks[pid].mm if vma.vm_start <= va < vma.vm_end)
        assert vma.vm_file is not None
        content = before.pop(key)[0]
        cache = vma.vm_file.f_mapping.page_cache
        index = vma.vm_pgoff + (va - vma.vm_start) // PAGE
        on_disk = cache.content[index * PAGE : (index + 1) * PAGE]
        if va & ~0xFFFFFF not in (address(2 * PAGES), address(3 * PAGES)):  # nobody wrote it
            assert content == on_disk.ljust(PAGE, b"\0")
        before[pid][0] -= 1
    return before


def check_reverse_mapping(k):
    room = k.processes
    for task in room.tasks.values():
        for vma in task.mm:
            for va, _, pfn in room.pages.normal_pages(vma):
                assert (task.pid, va) in [(m.pid, m.va) for m in rmap_walk(room, pfn)]


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("write"), st.integers(0, 3), st.integers(0, 4 * PAGES - 1)),
        st.tuples(st.just("read"), st.integers(0, 3), st.integers(0, 4 * PAGES - 1)),
        st.tuples(st.just("fork"), st.integers(0, 3)),
        st.tuples(st.just("mlock"), st.integers(0, 3), st.integers(0, 4 * PAGES - 1)),
        st.tuples(st.just("munmap"), st.integers(0, 3), st.integers(0, 4 * PAGES - 1)),
        st.tuples(st.just("readonly"), st.integers(0, 3), st.integers(0, 4 * PAGES - 1)),
        st.just(("compact",)),
        st.just(("cma",)),
        st.just(("cpu",)),
    ),
    min_size=10, max_size=60,
)  # fmt: skip


def address(page):
    # four mappings of PAGES pages: anonymous, shared anonymous, a file's shared and its private pages
    return BASE + (page // PAGES << 24) + page % PAGES * PAGE


def start(lab, data):
    p = lab.process()
    for i, flags in enumerate((PRIVATE | ANONYMOUS, SHARED | ANONYMOUS, SHARED, PRIVATE)):
        fd = -1 if flags & ANONYMOUS else p.open(data, writable=True)
        assert p.mmap(BASE + (i << 24), PAGES * PAGE, 3, flags | 0x10, fd) == BASE + (i << 24)
    return p


def touched(booted):
    lab, data = session(booted)
    p = start(lab, data)
    for page in range(4 * PAGES):
        p.touch(address(page), write=True)
    return lab, p


def one_step(lab, programs, step):
    k = lab.k
    if step[0] == "cpu":
        k.mm.pgdat.cpu = 1 - k.mm.pgdat.cpu
        return
    if step[0] in ("compact", "cma"):
        before = view(k)
        if step[0] == "compact":
            compact_memory(k)
        else:
            page = lab.bare["cma_alloc"](lab.bare["cma_area"](), 1024, 0)
            before = without_clean_pages_of_files(before, k)
            assert view(k) == before
            if page is not None:
                lab.bare["cma_release"](lab.bare["cma_area"](), page, 1024)
        assert view(k) == before
        check_reverse_mapping(k)
        check_buddy_invariants(k.mm.pgdat)
        return
    p = programs[step[1] % len(programs)]
    if step[0] == "fork":
        if len(programs) < 4:
            programs.append(p.fork())
        return
    va = address(step[2])
    if step[0] == "mlock":
        p.mlock(va, PAGE)
    elif step[0] == "munmap":
        p.munmap(va, PAGE)
    elif step[0] == "readonly":
        p.mprotect(va, PAGE, 1)
    else:
        p.touch(va, write=step[0] == "write")


def unused(k):
    k.processes.pages.drain()
    return k.mm.pgdat.lru.sizes()


@pytest.mark.property
@settings(max_examples=25, deadline=None)
@given(STEPS, st.booleans())
def test_every_view_stays_what_it_is(booted, steps, lent):
    lab, data = session(booted)
    if lent:
        lend(lab.k)
    programs = [start(lab, data)]
    for step in steps:
        one_step(lab, programs, step)
    for p in programs:
        for page in range(4 * PAGES):  # still there, and still one's own to write where it was
            p.touch(address(page), write=True)
    one_step(lab, programs, ("compact",))
    for p in programs:
        p.exit()
    left = unused(lab.k)
    assert left["inactive_anon"] + left["active_anon"] + left["unevictable"] <= len(lab.k.processes.inodes) * PAGES
    check_buddy_invariants(lab.k.mm.pgdat)


def test_pages_do_move(booted):
    lab, p = touched(booted)
    lab.k.processes.pages.drain()
    before = {va: p.pfn(va) for va in map(address, range(4 * PAGES))}
    moved = compact_memory(lab.k)
    assert moved >= 2 * PAGES
    assert sum(p.pfn(va) != pfn for va, pfn in before.items()) <= moved
    assert lab.k.mm.pgdat.lru.sizes()["inactive_anon"] > 0


def lend(k):
    # the area lends movable pages while it has more than half of all that are free
    while 2 * 6144 <= nr_free_pages(k) + 512:
        assert alloc_pages(k, GFP_KERNEL, 9) is not None


def borrowing(booted):
    """A machine, a process whose pages lie in the contiguous area too, and the area."""
    lab, data = session(booted)
    lend(lab.k)
    p = start(lab, data)
    for page in range(4 * PAGES):
        p.touch(address(page), write=True)
    return lab, p, lab.bare["cma_area"]()


def test_a_contiguous_area_is_emptied_of_pages_that_processes_have(booted):
    lab, p, area = borrowing(booted)
    first, count = area.base_pfn + 64, 4096  # the pool for DMA has the first 64
    borrowed = [va for va in map(address, range(4 * PAGES)) if first <= p.pfn(va) < first + count]
    assert borrowed
    before = view(lab.k)
    assert lab.bare["cma_alloc"](area, count, 0) == first
    assert not any(first <= p.pfn(va) < first + count for va in borrowed)
    assert view(lab.k) == before


def test_a_page_that_somebody_holds_stays(booted):
    lab, data = session(booted)
    p = start(lab, data)
    p.touch(BASE, write=True)  # it waits in a vector of this processor, and has a reference for that
    pfn = p.pfn(BASE)
    lab.k.mm.pgdat.cpu = 1
    lab.bare["alloc_pages"](0xCC0, 9)
    assert p.pfn(BASE) == pfn


def test_a_page_that_was_held_stays_movable(booted):
    # __alloc_contig_migrate_range() tries five times, and puts back what did not move
    lab, p, area = borrowing(booted)
    pfn = next(pfn for pfn in map(p.pfn, map(address, range(4 * PAGES)))
               if area.base_pfn + 64 <= pfn and page_info(lab.k, pfn)["mapping"] & 1 == 0)  # of a file
    before = all_vm_events(lab.k)
    set_page_count(lab.k, pfn, page_info(lab.k, pfn)["refcount"] + 1)
    assert alloc_contig_range(lab.k, pfn, pfn + 1, MIGRATE_CMA) == -16
    assert all_vm_events(lab.k)["pgmigrate_fail"] - before["pgmigrate_fail"] == 5
    set_page_count(lab.k, pfn, page_info(lab.k, pfn)["refcount"] - 1)
    assert alloc_contig_range(lab.k, pfn, pfn + 1, MIGRATE_CMA) == 0


def test_reclaim_goes_before_the_oom_killer(booted):
    lab, data = session(booted)
    start(lab, data)  # init, which nobody kills
    p = start(lab, data)
    for page in range(2 * PAGES, 4 * PAGES):
        p.touch(address(page))
    pages = lab.k.mm.pgdat.node_present_pages
    addr = p.mmap(0, pages * PAGE, 3, PRIVATE | ANONYMOUS | 0x4000)
    for page in range(pages):
        if p.touch(addr + page * PAGE, write=True):
            break
    assert lab.k.processes.reclaimer.reclaimed >= PAGES  # of the file
    told = [record.text for record in lab.k.log.records]
    assert next(i for i, text in enumerate(told) if "pages reclaimed" in text) < next(
        i for i, text in enumerate(told) if "Out of memory" in text
    )


def test_a_copy_moves_its_own_pages(booted):
    lab, p = touched(booted)
    before = view(lab.k)
    other = lab.k.copy()
    assert compact_memory(other) >= 2 * PAGES
    assert view(other) == before == view(lab.k)
    assert all(lab.k.machine.ram.read(p.pfn(va) << 12, PAGE) == p.read(va, PAGE) for va in map(address, range(8)))


def test_files_that_nobody_has_mapped_move_too(booted):
    lab, data = session(booted)
    room = processes(lab.k)
    cache = open_file(room, data).f_mapping.page_cache
    frames = [cache.frame(i) for i in range(4)]
    content = [lab.k.machine.ram.read(pfn << 12, PAGE) for pfn in frames]
    compact_memory(lab.k)
    moved = [cache.frame(i) for i in range(4)]
    assert not set(moved) & set(frames)
    assert [lab.k.machine.ram.read(pfn << 12, PAGE) for pfn in moved] == content
