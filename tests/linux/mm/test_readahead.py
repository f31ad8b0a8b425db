"""Which pages of a file are read before anybody asks for them (mm/readahead.c, mm/filemap.c)."""

import pytest

import bootsim
from bootsim.lab.session import Session
from bootsim.linux.mm.filemap.cache import PageCache
from bootsim.linux.mm.vmstat import all_vm_events
from bootsim.views import alive

PAGE, PAGES = 4096, 512
MADV_RANDOM, MADV_SEQUENTIAL = 1, 2
PG_READAHEAD = 1 << 18


@pytest.fixture(scope="module")
def booted():
    return bootsim.boot("vexpress.dts", config="3G/1G", mem="64M", cmdline="norandmaps")


@pytest.fixture
def cold(booted, tmp_path):
    """A process with a file of 512 pages, of which none is in memory: (machine, process, address, cache)."""
    lab = Session(booted.copy(), alive.text)
    lab.names()
    p = lab.process()
    (tmp_path / "data").write_bytes(bytes(PAGES * PAGE))
    fd = p.open(tmp_path / "data")
    mapping = p.task.files[fd].f_mapping
    mapping.page_cache = PageCache(lab.k.processes.pages, mapping, 0, False, bytes(PAGES * PAGE))
    return lab.k, p, p.mmap(0, PAGES * PAGE, 1, 2, fd), mapping.page_cache


def major(k):
    return all_vm_events(k)["pgmajfault"]


def test_a_fault_in_the_middle_reads_128_kib_around(cold):
    k, p, addr, cache = cold
    p.touch(addr + 256 * PAGE)
    assert len(cache) == 32
    before = major(k)
    p.touch(addr + 240 * PAGE)
    p.touch(addr + 263 * PAGE)
    assert major(k) == before
    assert len(cache) == 32
    p.touch(addr + 264 * PAGE)  # the mark, a quarter before the end: the next window is read
    assert major(k) == before
    assert len(cache) == 64
    p.touch(addr + 303 * PAGE)
    assert major(k) == before


def test_who_reads_in_turn_waits_for_the_disk_once(cold):
    k, p, addr, cache = cold
    before = major(k)
    for i in range(PAGES):
        p.touch(addr + i * PAGE)
    assert major(k) == before + 1
    assert len(cache) == PAGES


def test_a_fault_at_the_end_marks_a_page_before_it(cold):
    k, p, addr, cache = cold
    p.touch(addr + (PAGES - 4) * PAGE)  # the window begins 16 pages before, and ends with the file
    assert len(cache) == 20
    frames = {i: cache.frame(i) for i in range(PAGES - 20, PAGES)}
    assert [i for i, pfn in frames.items() if k.processes.pages.page(pfn)[0] & PG_READAHEAD] == [PAGES - 8]


@pytest.mark.parametrize(("advice", "pages"), [(MADV_RANDOM, 1), (MADV_SEQUENTIAL, 32)])
def test_advice(cold, advice, pages):
    _, p, addr, cache = cold
    assert p.madvise(addr, PAGES * PAGE, advice) == 0
    p.touch(addr + 64 * PAGE)
    assert len(cache) == pages


def test_who_misses_again_and_again_reads_single_pages(cold):
    _, p, addr, cache = cold
    file = next(vma.vm_file for vma in p.task.mm if vma.vm_start == addr)
    p.touch(addr)
    file.f_ra.mmap_miss = 100
    before = len(cache)
    p.touch(addr + 300 * PAGE)
    assert len(cache) == before + 1
