"""Pages of tmpfs in a swap area; pages sent there on advice, and brought back by swapoff()."""

import pytest

import bootsim
from bootsim.linux.include.linux.mman import MADV_PAGEOUT, MADV_REMOVE, MADV_WILLNEED
from bootsim.linux.mm.page_alloc import GFP_HIGHUSER, alloc_pages
from bootsim.linux.mm.page_alloc import __free_pages as free_pages
from bootsim.linux.mm.swapfile.on import swapspace

from .conftest import (
    DIRTY,
    DIRTY_PAGE,
    PAGE,
    SHARED_ANONYMOUS,
    SWAPCACHE,
    anonymous,
    content,
    ended,
    events,
    rss,
    start,
    swap_out,
    used,
    word,
)


@pytest.fixture(scope="module")
def booted():
    return bootsim.boot("vexpress.dts", config="3G/1G", mem="64M", cmdline="norandmaps cma=0", smp=1)


# -------------------------------------------------------------------- tmpfs, shared anonymous memory


def shared(booted, pages=16):
    """As start(), with a shared mapping of so many pages; its file's page cache, too."""
    lab, p, _ = start(booted, 1)
    addr = p.mmap(0, pages * PAGE, 3, SHARED_ANONYMOUS)
    for i in range(pages):
        p.write(addr + i * PAGE, content(i))
    cache = next(vma for vma in p.task.mm if vma.vm_start == addr).vm_file.f_mapping.page_cache
    return lab, p, addr, cache


def test_shared_memory_goes_to_a_slot_and_comes_back(booted):
    lab, p, addr, cache = shared(booted)
    assert p.madvise(addr, 16 * PAGE, MADV_PAGEOUT) == 0
    assert (len(cache), cache.swap_usage(0, 16), cache.swap_usage(4, 6)) == (0, 16, 2)
    assert p.task.mm.rss[3] == 0
    assert rss(p)["swap"] == 0
    assert word(lab, p, addr) == 0
    assert sorted(used(lab).values()) == [0xBF] * 16
    before = events(lab)
    assert p.read(addr + 3 * PAGE, 8) == content(3)
    got = events(lab, before)
    assert (got["pgmajfault"], got["pswpin"]) == (1, 7)  # slots 1 to 7
    assert (len(cache), cache.swap_usage(0, 16)) == (1, 15)
    assert len(used(lab)) == 15  # one that is in its file has no slot
    assert lab.k.processes.pages.page(p.pfn(addr + 3 * PAGE))[0] & (DIRTY_PAGE | SWAPCACHE) == DIRTY_PAGE
    child = p.fork()
    child.write(addr + 5 * PAGE, b"changed")
    assert p.read(addr + 5 * PAGE, 8) == b"changed" + content(5)[7:]
    assert [child.read(addr + i * PAGE, 8) for i in (0, 15)] == [content(0), content(15)]
    ended(lab)


def test_a_file_that_goes_gives_its_slots_back(booted):
    lab, p, addr, cache = shared(booted)
    p.madvise(addr, 16 * PAGE, MADV_PAGEOUT)
    p.read(addr)
    assert swapspace(lab.k).shmem_swaplist == [cache]
    p.munmap(addr, 16 * PAGE)
    assert used(lab) == {}
    assert swapspace(lab.k).shmem_swaplist == []
    ended(lab)


def test_a_hole_gives_its_slots_back(booted):
    lab, p, addr, cache = shared(booted)
    p.madvise(addr, 16 * PAGE, MADV_PAGEOUT)
    assert p.madvise(addr + 4 * PAGE, 8 * PAGE, MADV_REMOVE) == 0
    assert len(used(lab)) == cache.swap_usage(0, 16) == 8
    assert p.read(addr + 5 * PAGE, 8) == bytes(8)
    assert p.read(addr + 12 * PAGE, 8) == content(12)
    cache.truncate(2 * PAGE)
    assert len(used(lab)) == cache.swap_usage(0, 16) == 2
    ended(lab)


def test_swapoff_reads_files_back(booted):
    lab, p, addr, cache = shared(booted, 40)
    p.madvise(addr, 40 * PAGE, MADV_PAGEOUT)
    assert lab.swapoff("/dev/vda2") == 0
    assert (len(cache), cache.swap_usage(0, 40), swapspace(lab.k).shmem_swaplist) == (40, 0, [])
    assert [p.read(addr + i * PAGE, 8) for i in range(40)] == [content(i) for i in range(40)]
    ended(lab)


def test_advice_reads_shared_pages_into_the_swap_cache_and_the_one_behind(booted):
    lab, p, addr, _ = shared(booted)
    p.madvise(addr, 16 * PAGE, MADV_PAGEOUT)
    before = events(lab)
    assert p.madvise(addr, 3 * PAGE, MADV_WILLNEED) == 0
    assert events(lab, before)["pswpin"] == swapspace(lab.k).nrpages == 4
    assert p.read(addr + 2 * PAGE, 8) == content(2)
    assert "pgmajfault" not in events(lab, before)
    ended(lab)


def test_smaps_counts_what_the_file_has_in_slots(booted):
    _, p, addr, _ = shared(booted)
    p.madvise(addr, 3 * PAGE, MADV_PAGEOUT)
    smap = str(p.smaps).split(f"{addr:08x}-")[1].split("VmFlags")[0].splitlines()
    assert [line.split() for line in smap if line[:4] == "Swap"] == [["Swap:", "12", "kB"], ["SwapPss:", "0", "kB"]]
    assert [line.split() for line in smap if line[:4] == "Rss:"] == [["Rss:", "52", "kB"]]


# -------------------------------------------------------------------- MADV_PAGEOUT


def test_pageout_leaves_what_others_map(booted):
    lab, p, addr = start(booted, 4)
    child = p.fork()
    child.write(addr, b"own")
    assert child.madvise(addr, 4 * PAGE, MADV_PAGEOUT) == 0
    assert rss(child)["swap"] == 1
    assert rss(p)["swap"] == 0
    assert used(lab) == {(0, 1): 1}
    assert child.read(addr, 3) == b"own"
    child.exit()
    assert p.madvise(addr, 4 * PAGE, MADV_PAGEOUT) == 0
    assert rss(p)["swap"] == 4
    assert [p.read(addr + i * PAGE, 8) for i in range(4)] == [content(i) for i in range(4)]
    ended(lab)


def test_a_clean_page_in_the_swap_cache_is_not_written_again(booted):
    lab, p, addr = start(booted, 1)
    p.madvise(addr, PAGE, MADV_PAGEOUT)
    slot = word(lab, p, addr)
    p.read(addr)
    before = events(lab)
    assert p.madvise(addr, PAGE, MADV_PAGEOUT) == 0
    assert word(lab, p, addr) == slot
    assert "pswpout" not in events(lab, before)
    assert p.read(addr, 8) == content(0)
    ended(lab)


def test_clean_pages_of_files_go_on_advice_and_come_back_on_advice(booted, tmp_path):
    lab, p, _ = start(booted, 1)
    (tmp_path / "file").write_bytes(b"".join(content(i).ljust(PAGE) for i in range(400)))
    addr = p.mmap(0, 400 * PAGE, 1, 2, p.open(tmp_path / "file"))
    for i in range(400):
        p.read(addr + i * PAGE)
    assert p.madvise(addr, 400 * PAGE, MADV_PAGEOUT) == 0
    assert p.task.mm.rss[0] == 0
    assert p.madvise(addr, 400 * PAGE, MADV_WILLNEED) == 0
    before = events(lab)
    for i in range(320):  # as much as a disk reads at once: 1280 KiB
        assert p.read(addr + i * PAGE, 8) == content(i)
    assert "pgmajfault" not in events(lab, before)
    assert p.read(addr + 320 * PAGE, 8) == content(320)
    assert events(lab, before)["pgmajfault"] == 1


# -------------------------------------------------------------------- swapoff()


def test_swapoff_brings_everything_back(booted):
    lab, p, addr = start(booted, 20)
    child = p.fork()
    swap_out(lab, p, *(addr + i * PAGE for i in range(10)))
    child.write(addr + 12 * PAGE, b"child")
    swap_out(lab, child, addr + 12 * PAGE)
    p.read(addr)  # some are in the swap cache now
    before = {q.pid: rss(q) for q in (p, child)}
    assert lab.swapoff("/dev/vda2") == 0
    for q in (p, child):
        assert rss(q) == {"anon": before[q.pid]["anon"] + before[q.pid]["swap"], "swap": 0}
        assert [q.read(addr + i * PAGE, 8) for i in range(12)] == [content(i) for i in range(12)]
    assert p.pfn(addr + PAGE) == child.pfn(addr + PAGE)
    assert not word(lab, p, addr + PAGE) & DIRTY
    assert child.read(addr + 12 * PAGE, 5) == b"child"
    assert swapspace(lab.k).mmlist == []
    assert lab.swapon("1M", "/dev/vda2") == 0
    swap_out(lab, p, addr)
    assert p.read(addr, 8) == content(0)
    ended(lab)


def test_swapoff_of_one_area_leaves_the_other(booted):
    lab, p, addr = start(booted, 8)
    swap_out(lab, p, *(addr + i * PAGE for i in range(4)))
    assert lab.swapon("1M", priority=5) == 0
    swap_out(lab, p, *(addr + i * PAGE for i in range(4, 8)))
    assert {kind for kind, _ in used(lab)} == {0, 1}
    assert lab.swapoff("/dev/vda2") == 0
    assert rss(p)["swap"] == 4
    assert {kind for kind, _ in used(lab)} == {1}
    assert swapspace(lab.k).mmlist == [p.task.mm]
    assert [p.read(addr + i * PAGE, 8) for i in range(8)] == [content(i) for i in range(8)]
    ended(lab)


def test_swapoff_frees_what_only_the_swap_cache_has(booted):
    lab, p, addr = start(booted, 1)
    swap_out(lab, p, addr)
    p.read(addr)
    p.write(addr, b"copied")
    before = anonymous(lab)
    assert lab.swapoff("/dev/vda2") == 0
    assert anonymous(lab) == before - 1


def test_swapoff_without_memory_leaves_the_area_in_use(booted):
    lab, p, addr = start(booted, 40)
    swap_out(lab, p, *(addr + i * PAGE for i in range(40)))
    held, killer = [], lab.k.processes.oom_killer
    killer.swapoff = True  # nobody is killed while memory is taken
    while (page := alloc_pages(lab.k, GFP_HIGHUSER, 0)) is not None:
        held.append(page)
    killer.swapoff = False
    free_pages(lab.k, held.pop(), 0)
    assert repr(lab.swapoff("/dev/vda2")) == "-ENOMEM"
    assert "/dev/vda2" in str(lab.cat("/proc/swaps"))
    for page in held:
        free_pages(lab.k, page, 0)
    assert [p.read(addr + i * PAGE, 8) for i in range(40)] == [content(i) for i in range(40)]
    swap_out(lab, p, addr)
    assert lab.swapoff("/dev/vda2") == 0
