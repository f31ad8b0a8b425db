"""Pages in a swap area: what meets their entries in page tables, and the fault that brings them back."""

import pytest

import bootsim
from bootsim.lab.session import Session
from bootsim.linux.include.linux.mman import MADV_DONTNEED, MADV_FREE, MADV_WILLNEED
from bootsim.linux.kernel.fork.init import processes
from bootsim.linux.mm.compaction.api import compact_memory
from bootsim.linux.mm.page_alloc import GFP_HIGHUSER, alloc_pages
from bootsim.linux.mm.swapfile import api
from bootsim.linux.mm.swapfile.on import swapspace
from bootsim.views import alive

from .conftest import (
    CACHE,
    DIRTY,
    DIRTY_PAGE,
    PAGE,
    PRESENT,
    PRIVATE_ANONYMOUS,
    RDONLY,
    SWAPCACHE,
    anonymous,
    content,
    ended,
    events,
    rss,
    slot_of,
    start,
    swap_out,
    used,
    word,
)


@pytest.fixture(scope="module")
def booted():
    return bootsim.boot("vexpress.dts", config="3G/1G", mem="64M", cmdline="norandmaps cma=0", smp=1)


# -------------------------------------------------------------------- the fault


def test_a_page_comes_back_for_a_read_and_stays_in_the_swap_cache(booted):
    lab, p, addr = start(booted, 1)
    before = rss(p)
    swap_out(lab, p, addr)
    assert rss(p) == {"anon": before["anon"] - 1, "swap": 1}
    assert p.pfn(addr) is None
    assert used(lab) == {(0, 1): 1}
    counted = events(lab)
    assert p.read(addr, 8) == content(0)
    got = events(lab, counted)
    assert (got["pgfault"], got["pgmajfault"], got["pswpin"]) == (1, 1, 1)
    assert rss(p) == before
    assert word(lab, p, addr) & (PRESENT | RDONLY | DIRTY) == PRESENT | RDONLY
    assert used(lab) == {(0, 1): CACHE}  # nobody's entry, and the cache's: it can leave again without a write
    ended(lab)


def test_a_write_takes_the_page_out_of_the_swap_cache(booted):
    lab, p, addr = start(booted, 1)
    swap_out(lab, p, addr)
    p.write(addr + 100, b"more")
    assert p.read(addr, 8) == content(0)
    assert p.read(addr + 100, 4) == b"more"
    assert word(lab, p, addr) & (PRESENT | RDONLY | DIRTY) == PRESENT | DIRTY
    assert used(lab) == {}
    assert lab.k.processes.pages.page(p.pfn(addr))[0] & (SWAPCACHE | DIRTY_PAGE) == DIRTY_PAGE
    ended(lab)


def test_a_write_after_a_read_copies_for_the_cache_has_a_reference(booted):
    # page_count(page) != 1 in do_wp_page(): the copy is the process's, the page stays with the slot
    lab, p, addr = start(booted, 1)
    swap_out(lab, p, addr)
    p.read(addr)
    pfn = p.pfn(addr)
    p.write(addr, b"x")
    assert p.pfn(addr) != pfn
    assert lab.k.processes.pages.page(pfn)[0] & SWAPCACHE
    assert p.read(addr, 8) == b"x" + content(0)[1:]
    assert rss(p)["swap"] == 0
    assert used(lab) == {(0, 1): CACHE}


def test_two_processes_have_one_page_and_one_slot(booted):
    lab, p, addr = start(booted, 1)
    child = p.fork()
    swap_out(lab, p, addr)
    assert used(lab) == {(0, 1): 2}
    assert rss(p)["swap"] == rss(child)["swap"] == 1
    before = events(lab)
    child.write(addr, b"child")
    assert p.read(addr, 8) == content(0)
    assert child.read(addr, 8) == b"child" + content(0)[5:]
    assert events(lab, before)["pgmajfault"] == 1  # the second one finds the page in the swap cache
    assert used(lab) == {(0, 1): CACHE}
    ended(lab)


def test_a_child_gets_entries_too(booted):
    lab, p, addr = start(booted, 4)
    swap_out(lab, p, addr, addr + PAGE)
    before = rss(p)
    child = p.fork()
    assert rss(child) == rss(p) == before
    assert used(lab) == {(0, 1): 2, (0, 2): 2}
    assert lab.k.processes.swapspace.mmlist == [p.task.mm, child.task.mm]
    p.exit()
    assert used(lab) == {(0, 1): 1, (0, 2): 1}
    assert [child.read(addr + i * PAGE, 8) for i in range(4)] == [content(i) for i in range(4)]
    ended(lab)


def test_more_children_than_a_byte_counts(booted):
    lab, p, addr = start(booted, 1)
    swap_out(lab, p, addr)
    children = [p.fork() for _ in range(70)]
    assert api.swp_swapcount(swapspace(lab.k), slot_of(lab, p, addr)) == 71
    for child in children:
        assert child.read(addr, 8) == content(0)
        child.exit()
    assert p.read(addr, 8) == content(0)
    ended(lab)


def test_without_memory_for_the_page_the_process_is_killed(booted):
    lab, _p, _addr = start(booted, 1)
    lab.process()  # the first one would be init
    q = lab.process()
    there = q.mmap(0, PAGE, 3, PRIVATE_ANONYMOUS)
    q.write(there, b"gone")
    swap_out(lab, q, there)
    slot = slot_of(lab, q, there)
    held = []
    while (page := alloc_pages(lab.k, GFP_HIGHUSER, 0)) is not None:
        held.append(page)
    assert q.touch(there) == "SIGKILL"
    assert api.swp_swapcount(swapspace(lab.k), slot) == 0


# -------------------------------------------------------------------- readahead


def cached(lab, p, addr, pages):
    """Which of a process's pages are in memory though its entries say swap."""
    space = swapspace(lab.k)
    return [i for i in range(pages)
            if not word(lab, p, addr + i * PAGE) & PRESENT and (0, slot_of(lab, p, addr + i * PAGE)) in in_cache(space)]


def in_cache(space):
    return {(si.type, i) for si in space.swap_info for i, byte in enumerate(si.swap_map()) if byte & CACHE}


def test_a_disk_is_read_in_aligned_blocks_of_slots(booted):
    lab, p, addr = start(booted, 32)
    swap_out(lab, p, *(addr + i * PAGE for i in range(32)))  # page i in slot i + 1
    before = events(lab)
    p.read(addr + 9 * PAGE)  # slot 10, four hits to begin with: 8 slots, 8 to 15
    assert cached(lab, p, addr, 32) == [7, 8, 10, 11, 12, 13, 14]
    got = events(lab, before)
    assert (got["pswpin"], got["swap_ra"], got["pgmajfault"]) == (8, 7, 1)
    p.read(addr + 10 * PAGE)
    assert events(lab, before)["swap_ra_hit"] == 1
    assert events(lab, before)["pgmajfault"] == 1
    p.read(addr + 20 * PAGE)  # slot 21: one hit since: 3 -> 4 slots, 20 to 23
    assert cached(lab, p, addr, 32) == [7, 8, 11, 12, 13, 14, 19, 21, 22]
    p.read(addr + 30 * PAGE)  # slot 31: no hit, not next to the last one: 1, but not less than half of 4: 2
    assert cached(lab, p, addr, 32) == [7, 8, 11, 12, 13, 14, 19, 21, 22, 29]
    for i in range(32):
        assert p.read(addr + i * PAGE, 8) == content(i)
    ended(lab)


def test_what_has_no_seeks_is_read_by_addresses(booted):
    lab, p, addr = start(booted, 32, ssd=True)
    swap_out(lab, p, *(addr + i * PAGE for i in reversed(range(32))))
    p.read(addr + 10 * PAGE)  # neither before nor behind page 0, four hits: 8 pages from 3 before it on
    assert cached(lab, p, addr, 32) == [7, 8, 9, 11, 12, 13, 14]
    before = events(lab)
    p.read(addr + 11 * PAGE)
    assert events(lab, before) == {"pgfault": 1, "swap_ra_hit": 1}
    p.read(addr + 20 * PAGE)  # one hit: 4 pages from 1 before it
    assert cached(lab, p, addr, 32) == [7, 8, 9, 12, 13, 14, 19, 21, 22]
    p.read(addr + 31 * PAGE)  # half of 4; the mapping ends here
    assert cached(lab, p, addr, 32) == [7, 8, 9, 12, 13, 14, 19, 21, 22]
    for i in range(32):
        assert p.read(addr + i * PAGE, 8) == content(i)
    ended(lab)


@pytest.mark.parametrize("ssd", [False, True])
def test_page_cluster_0_reads_one_page(booted, ssd):
    lab, p, addr = start(booted, 8, ssd=ssd)
    assert lab.sysctl("vm.page-cluster") == 3
    lab.sysctl("vm.page-cluster", 0)
    swap_out(lab, p, *(addr + i * PAGE for i in range(8)))
    p.read(addr + 4 * PAGE)
    assert cached(lab, p, addr, 8) == []


def test_small_machines_read_fewer_pages_around(booted):
    k = bootsim.boot("vexpress.dts", config="3G/1G", mem="20M", cmdline="norandmaps", smp=1)
    assert processes(k).page_cluster == 2


def test_slots_of_others_are_read_too_and_empty_ones_are_not(booted):
    lab, p, addr = start(booted, 8)
    q = lab.process()
    there = q.mmap(0, PAGE, 3, PRIVATE_ANONYMOUS)
    q.write(there, b"other")
    swap_out(lab, p, addr, addr + PAGE)
    swap_out(lab, q, there)
    p.munmap(addr + PAGE, PAGE)
    p.read(addr)
    assert in_cache(swapspace(lab.k)) == {(0, 1), (0, 3)}
    assert q.read(there, 5) == b"other"
    ended(lab)


# -------------------------------------------------------------------- what else meets an entry


def test_unmapping_gives_slots_back(booted):
    lab, p, addr = start(booted, 8)
    swap_out(lab, p, *(addr + i * PAGE for i in range(8)))
    p.munmap(addr, 3 * PAGE)
    assert rss(p)["swap"] == 5
    assert len(used(lab)) == 5
    p.madvise(addr + 3 * PAGE, 2 * PAGE, MADV_DONTNEED)
    assert rss(p)["swap"] == 3
    assert len(used(lab)) == 3
    assert p.read(addr + 3 * PAGE, 8) == bytes(8)
    ended(lab)


def test_a_page_in_the_cache_goes_with_its_last_entry(booted):
    lab, p, addr = start(booted, 8)
    before = anonymous(lab)
    swap_out(lab, p, *(addr + i * PAGE for i in range(8)))
    assert anonymous(lab) == before - 8
    p.read(addr + 4 * PAGE)  # slots 1 to 7: 6 in the cache alone, one mapped
    assert anonymous(lab) == before - 1
    p.munmap(addr, 8 * PAGE)
    assert used(lab) == {}
    assert swapspace(lab.k).nrpages == 0
    assert anonymous(lab) == before - 8
    ended(lab)


def test_protection_passes_over_entries(booted):
    lab, p, addr = start(booted, 2)
    swap_out(lab, p, addr)
    before = word(lab, p, addr)
    assert p.mprotect(addr, 2 * PAGE, 1) == 0
    assert word(lab, p, addr) == before
    assert p.touch(addr, write=True) == "SIGSEGV"
    assert p.read(addr, 8) == content(0)
    assert p.mprotect(addr, 2 * PAGE, 3) == 0
    p.write(addr, b"w")
    ended(lab)


def test_entries_move_with_their_mapping(booted):
    lab, p, addr = start(booted, 4)
    swap_out(lab, p, addr, addr + 2 * PAGE)
    entry = word(lab, p, addr)
    p.mmap(addr + 4 * PAGE, PAGE, 0, PRIVATE_ANONYMOUS | 0x10)  # nothing can grow there
    to = p.mremap(addr, 4 * PAGE, 4096 * PAGE, 1)
    assert to != addr
    assert word(lab, p, to) == entry
    assert word(lab, p, addr) == 0
    assert [p.read(to + i * PAGE, 8) for i in range(4)] == [content(i) for i in range(4)]
    ended(lab)


def test_mlock_brings_pages_back(booted):
    lab, p, addr = start(booted, 4)
    swap_out(lab, p, *(addr + i * PAGE for i in range(4)))
    assert p.mlock(addr, 4 * PAGE) == 0
    assert rss(p)["swap"] == 0
    assert used(lab) == {}
    assert all(p.pfn(addr + i * PAGE) for i in range(4))
    assert p.munlock(addr, 4 * PAGE) == 0
    ended(lab)


def test_mlock_on_fault_leaves_them_there(booted):
    lab, p, addr = start(booted, 2)
    swap_out(lab, p, addr, addr + PAGE)
    assert p.mlock2(addr, 2 * PAGE, 1) == 0
    assert rss(p)["swap"] == 2
    assert p.read(addr, 8) == content(0)
    assert used(lab) == {(0, 2): 1 | CACHE}
    assert p.munlock(addr, 2 * PAGE) == 0
    ended(lab)


def test_advice(booted):
    lab, p, addr = start(booted, 4)
    swap_out(lab, p, addr, addr + PAGE)
    assert p.madvise(addr, PAGE, MADV_WILLNEED) == 0
    assert cached(lab, p, addr, 4) == [0]
    before = events(lab)
    assert p.read(addr, 8) == content(0)
    assert "pgmajfault" not in events(lab, before)
    assert p.madvise(addr, 4 * PAGE, MADV_FREE) == 0  # what is in a slot goes at once, what is in memory is clean
    assert used(lab) == {}
    assert rss(p)["swap"] == 0
    assert p.read(addr + PAGE, 8) == bytes(8)
    assert p.read(addr, 8) == content(0)
    assert not word(lab, p, addr) & DIRTY
    ended(lab)


def test_private_copies_beyond_the_end_of_a_file_stay_in_their_slots(booted, tmp_path):
    # unmap_mapping_range() leaves swap entries
    lab, p, _ = start(booted, 1)
    file = tmp_path / "file"
    file.write_bytes(bytes(4 * PAGE))
    fd = p.open(file, writable=True)
    addr = p.mmap(0, 4 * PAGE, 3, 2, fd)
    for i in range(4):
        p.write(addr + i * PAGE, content(i))
    swap_out(lab, p, addr + 3 * PAGE)
    inode = p.task.files[fd].f_inode
    lab.k.processes.pages.unmap_mapping_range(inode.i_mapping, 2 * PAGE)
    assert word(lab, p, addr + 2 * PAGE) == 0
    assert word(lab, p, addr + 3 * PAGE)
    assert p.read(addr + 3 * PAGE, 8) == content(3)


def test_pages_in_the_swap_cache_move(booted):
    lab, p, addr = start(booted, 64)
    swap_out(lab, p, *(addr + i * PAGE for i in range(64)))
    for i in range(0, 64, 3):
        p.read(addr + i * PAGE)
    p.munmap(addr + 10 * PAGE, 2 * PAGE)
    lab.k.processes.pages.drain()
    frames = {p.pfn(addr + i * PAGE) for i in range(64)}
    slots = used(lab)
    compact_memory(lab.k)
    assert {p.pfn(addr + i * PAGE) for i in range(64)} != frames
    assert used(lab) == slots
    for i in (*range(10), *range(12, 64)):
        assert p.read(addr + i * PAGE, 8) == content(i)
    ended(lab)


# -------------------------------------------------------------------- what people see


def test_proc_tells_of_swap(booted):
    lab, p, addr = start(booted, 4)
    q = p.fork()
    swap_out(lab, p, addr)
    q.write(addr + PAGE, b"own")
    swap_out(lab, p, addr + PAGE)
    lines = dict(line.split(":") for line in str(p.status).splitlines())
    assert lines["VmSwap"].split() == ["8", "kB"]
    smap = str(p.smaps).split(f"{addr:08x}-")[1].split("VmFlags")[0].splitlines()
    assert [line.split() for line in smap if line.startswith("Swap")] == [["Swap:", "8", "kB"], ["SwapPss:", "6", "kB"]]
    assert p.pagemap(addr) == 1 << 62 | 1 << 5 | 0  # slot 1 of area 0
    assert p.pagemap(addr + PAGE) == 1 << 62 | 2 << 5


def test_vtop_tells_the_slot(booted):
    lab, p, addr = start(booted, 2)
    swap_out(lab, p, addr, addr + PAGE)
    text = str(p.vtop(addr + PAGE))
    assert "(not mapped)" in text
    lines = text.splitlines()
    at = next(i for i, line in enumerate(lines) if "SWAP" in line)
    assert lines[at].split() == ["PTE", "SWAP", "OFFSET"]
    assert lines[at + 1].split() == ["100", "/dev/vda2", "2"]


def test_pictures_tell_the_slot(booted):
    lab, p, addr = start(booted, 1)
    child = p.fork()
    swap_out(lab, p, addr)
    lab.switch_to(p)
    table = [row.text for column in lab.picture(int(addr)).columns for box in column for row in box.rows]
    assert any(text.endswith("slot 1 of swap area 0") for text in table)
    p.read(addr)
    rows = [row.text for column in lab.picture(lab.k.page(p.pfn(addr))).columns for box in column for row in box.rows]
    assert [row.partition(", ")[2] for row in rows if row.startswith("entry of")] == [
        "this page", "slot 1 of swap area 0"]
    assert child.read(addr, 8) == content(0)


def test_a_copy_of_the_machine_reads_its_own_slots(booted):
    lab, p, addr = start(booted, 8)
    swap_out(lab, p, *(addr + i * PAGE for i in range(8)))
    p.read(addr)
    other = Session(lab.k.copy(), alive.text)
    other.names()
    there = other.ps()[0]
    there.write(addr + PAGE, b"changed")
    assert p.read(addr + PAGE, 8) == content(1)
    assert [there.read(addr + i * PAGE, 8) for i in (0, 7)] == [content(0), content(7)]
    ended(lab)
    ended(other)
