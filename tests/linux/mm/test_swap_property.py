"""Random programs whose pages go to swap areas and come back: every process reads what it wrote, nothing is lost."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import bootsim
from bootsim.lab.session import Session
from bootsim.linux.include.linux.mman import MADV_DONTNEED, MADV_FREE, MADV_PAGEOUT, MADV_WILLNEED
from bootsim.linux.mm.compaction.api import compact_memory
from bootsim.linux.mm.page_alloc import (
    __GFP_NORETRY,
    __GFP_NOWARN,
    GFP_HIGHUSER_MOVABLE,
    alloc_pages,
    check_buddy_invariants,
    nr_free_pages,
)
from bootsim.linux.mm.page_alloc import __free_pages as free_pages
from bootsim.linux.mm.swapfile import api
from bootsim.linux.mm.swapfile.on import swapspace
from bootsim.views import alive

PAGE = 4096
PAGES = 10  # of each of three mappings: anonymous, shared anonymous, private ones of a file
BASE, ELSEWHERE = 0x40000000, 0x50000000
PRESENT = 1
QUIET = GFP_HIGHUSER_MOVABLE | __GFP_NORETRY | __GFP_NOWARN
AREAS = (("/dev/vda2", False), ("/dev/vda3", True))


@pytest.fixture(scope="module")
def booted(tmp_path_factory):
    k = bootsim.boot("vexpress.dts", config="3G/1G", mem="64M", cmdline="norandmaps cma=0")
    lines = [line.split() for line in alive.text(k, "/proc/zoneinfo")[0].splitlines()]
    high = sum(int(words[1]) for words in lines if words[0] == "high")
    while nr_free_pages(k) > high + 2000:
        alloc_pages(k, QUIET, 0)
    file = tmp_path_factory.mktemp("files") / "file"
    file.write_bytes(b"file" * (PAGES * PAGE // 4))
    return k, file


class Program:
    """A process, and what it should find in each of its pages, by number: bytes, None where nothing is mapped."""

    def __init__(self, p, at, private, shared, writable):
        self.p, self.at, self.private, self.shared, self.writable = p, at, private, shared, writable

    def expected(self, page):
        return self.shared.get(page) if PAGES <= page < 2 * PAGES and page in self.at else self.private.get(page)

    def fork(self):
        return Program(self.p.fork(), dict(self.at), dict(self.private), self.shared, set(self.writable))


def first_program(lab, file):
    p = lab.process()
    fd = p.open(file)
    for i, (flags, which) in enumerate(((0x22, -1), (0x21, -1), (2, fd))):
        assert p.mmap(BASE + (i << 24), PAGES * PAGE, 3, flags | 0x10, which) == BASE + (i << 24)
    at = {page: BASE + (page // PAGES << 24) + page % PAGES * PAGE for page in range(3 * PAGES)}
    private = {page: bytes(4) if page < PAGES else b"file" for page in at if not PAGES <= page < 2 * PAGES}
    return Program(p, at, private, {page: bytes(4) for page in range(PAGES, 2 * PAGES)}, set(at))


WHO, PAGE_NUMBER = st.integers(0, 3), st.integers(0, 3 * PAGES - 1)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("write"), WHO, PAGE_NUMBER, st.binary(min_size=4, max_size=4)),
        st.tuples(st.sampled_from(["read", "out", "out", "out", "all out", "unmap", "protect", "move", "dontneed",
                                   "free", "willneed", "mlock"]), WHO, PAGE_NUMBER),
        st.tuples(st.sampled_from(["fork", "exit", "press", "press", "compact", "off", "cpu"]), WHO),
    ),
    min_size=10, max_size=70,
)  # fmt: skip


class History:
    """A machine with two swap areas, and programs on it."""

    def __init__(self, booted):
        self.lab = Session(booted[0].copy(), alive.text)
        self.lab.names()
        for path, ssd in AREAS:
            assert self.lab.swapon("400K", path, ssd=ssd) == 0
        self.programs = [first_program(self.lab, booted[1])]
        self.moved = 0

    def step(self, what, who, page=None, data=None):
        program = self.programs[who % len(self.programs)]
        if page is None:
            getattr(self, what)(program, who)
        elif page in program.at:
            getattr(self, what.replace(" ", "_"))(program, page, program.at[page], data)

    def write(self, program, page, va, data):
        if page not in program.writable:
            assert program.p.touch(va, write=True) == "SIGSEGV"
            return
        program.p.write(va, data)
        (program.shared if PAGES <= page < 2 * PAGES else program.private)[page] = data

    def read(self, program, page, va, _data):
        assert program.p.read(va, 4) == program.expected(page)

    def out(self, program, _page, va, _data):
        program.p.madvise(va, PAGE, MADV_PAGEOUT)

    def all_out(self, program, _page, _va, _data):
        for va in program.at.values():
            program.p.madvise(va, PAGE, MADV_PAGEOUT)

    def unmap(self, program, page, va, _data):
        assert program.p.munmap(va, PAGE) == 0
        del program.at[page]

    def protect(self, program, page, va, _data):
        program.writable ^= {page}
        assert program.p.mprotect(va, PAGE, 3 if page in program.writable else 1) == 0

    def move(self, program, page, va, _data):
        self.moved += 1
        program.at[page] = program.p.mremap(va, PAGE, PAGE, 3, ELSEWHERE + self.moved * 3 * PAGE)
        assert program.at[page] > 0

    def dontneed(self, program, page, va, _data):
        if program.p.madvise(va, PAGE, MADV_DONTNEED) == 0 and not PAGES <= page < 2 * PAGES:
            program.private[page] = bytes(4) if page < PAGES else b"file"

    def free(self, program, page, va, _data):
        if program.p.madvise(va, PAGE, MADV_FREE) == 0:
            program.private[page] = program.p.read(va, 4)
            if page in program.writable:
                program.p.write(va, program.private[page])

    def willneed(self, program, _page, va, _data):
        program.p.madvise(va, PAGE, MADV_WILLNEED)

    def mlock(self, program, _page, va, _data):
        assert program.p.mlock(va, PAGE) == 0
        assert program.p.pfn(va) is not None
        program.p.munlock(va, PAGE)

    def fork(self, program, _who):
        if len(self.programs) < 4:
            self.programs.append(program.fork())

    def exit(self, program, _who):
        if len(self.programs) > 1:
            self.programs.remove(program)
            program.p.exit()

    def press(self, _program, _who):
        taken = []
        while (page := alloc_pages(self.lab.k, QUIET, 0)) is not None:
            taken.append(page)
        for page in taken:
            free_pages(self.lab.k, page, 0)

    def compact(self, _program, _who):
        compact_memory(self.lab.k)

    def cpu(self, _program, who):
        self.lab.k.mm.pgdat.cpu = who & 1

    def off(self, _program, who):
        path, ssd = AREAS[who & 1]
        assert self.lab.swapoff(path) == 0
        assert self.lab.swapon("400K", path, ssd=ssd) == 0

    def check(self):
        """Counts agree with the tables, and every program finds what it should."""
        space, users = swapspace(self.lab.k), {}
        pages = self.lab.k.processes.pages
        for program in self.programs:
            mm = program.p.task.mm
            entries = [linux for _, linux, _, _ in pages.entries(mm)]
            assert mm.rss[2] == sum(not linux & PRESENT for linux in entries)
            anon = [pfn for vma in mm for _, _, pfn in pages.normal_pages(vma) if pages.page(pfn)[3] & 1]
            assert mm.rss[1] == len(anon)
            for linux in entries:
                if not linux & PRESENT:
                    entry = api.pte_to_swp_entry(linux)
                    users[entry] = users.get(entry, 0) + 1
        for si in space.swap_info:
            for offset, byte in enumerate(si.swap_map() if si.pages else ()):
                if byte & 0xBF not in (0, 0x3F, 0xBF):
                    assert users.pop(api.swp_entry(si.type, offset)) == byte & 0x3F
        assert users == {}
        for program in self.programs:
            for page, va in program.at.items():
                assert program.p.read(va, 4) == program.expected(page)

    def end(self):
        """When all have ended and the areas are off, no page is left."""
        for program in self.programs:
            program.p.exit()
        for path, _ in AREAS:
            assert self.lab.swapoff(path) == 0
        self.lab.k.processes.pages.drain()
        sizes = self.lab.k.mm.pgdat.lru.sizes()
        assert sizes["inactive_anon"] + sizes["active_anon"] + sizes["unevictable"] == 0
        check_buddy_invariants(self.lab.k.mm.pgdat)


@pytest.mark.property
@settings(max_examples=40, deadline=None)
@given(STEPS)
def test_every_process_reads_what_it_wrote(booted, steps):
    history = History(booted)
    for step in steps:
        history.step(*step)
    history.check()
    history.end()
