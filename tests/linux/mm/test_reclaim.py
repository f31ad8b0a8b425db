"""Reclaim: pages of files and of processes make way, and nobody sees a difference but the time (mm/vmscan.c)."""

import json
import random
import struct
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import bootsim
from bootsim.lab.session import Session
from bootsim.linux.mm.compaction.api import compact_memory
from bootsim.linux.mm.memory.access import access_user
from bootsim.linux.mm.page_alloc import (
    __GFP_KSWAPD_RECLAIM,
    __GFP_MEMALLOC,
    __GFP_NOMEMALLOC,
    __GFP_NORETRY,
    __GFP_NOWARN,
    __GFP_RECLAIM,
    GFP_HIGHUSER_MOVABLE,
    GFP_KERNEL,
    alloc_pages,
    check_buddy_invariants,
    nr_free_pages,
    zones_snapshot,
)
from bootsim.linux.mm.vmstat import all_vm_events, node_page_state
from bootsim.views import alive

GOLDEN = Path(__file__).parents[2] / "golden"
PAGE = 4096
PAGES = 1024  # of the file
READ, WRITE, EXEC = 1, 2, 4
SHARED, PRIVATE, ANONYMOUS = 1, 2, 0x20


@pytest.fixture(scope="module")
def booted(tmp_path_factory):
    k = bootsim.boot("vexpress.dts", config="3G/1G", mem="64M", cmdline="norandmaps cma=0")
    data = tmp_path_factory.mktemp("files") / "data"
    data.write_bytes(b"".join(struct.pack("<I", i) * 1024 for i in range(PAGES)))
    return k, data


@pytest.fixture
def lab(booted):
    return machine(booted, 600)


def machine(booted, left):
    """A machine with so many pages more than kswapd wants to see free, whose first process is there."""
    k = booted[0].copy()
    session = Session(k, alive.text)
    session.names()
    session.process()
    quiet = GFP_KERNEL | __GFP_NOWARN | __GFP_NORETRY
    enough = high(k) + left
    while nr_free_pages(k) > enough:
        assert alloc_pages(k, quiet, 0) is not None
    return session


def high(k):
    lines = alive.text(k, "/proc/zoneinfo")[0].splitlines()
    return sum(int(line.split()[1]) for line in lines if line.split()[0] == "high")


def mapped(session, data, prot, flags):
    p = session.process()
    fd = -1 if flags & ANONYMOUS else p.open(data, writable=True)
    return p, p.mmap(0, PAGES * PAGE, prot, flags, fd)


def lines(k, text):
    return [record for record in k.log.records if text in record.text]


def test_clean_pages_of_files_make_way_and_are_read_again(lab, booted):
    p, addr = mapped(lab, booted[1], READ, PRIVATE)
    cached = node_page_state(lab.k)["nr_file_pages"]
    for _ in range(2):
        for i in range(PAGES):
            assert p.read(addr + i * PAGE, 4) == struct.pack("<I", i)
    assert sum(record.fields["pages"] for record in lines(lab.k, "kswapd runs")) > 400
    assert p.task.mm.rss[0] < 700 < PAGES  # the rest is not in memory
    events = all_vm_events(lab.k)
    reclaimed = lab.k.processes.reclaimer.reclaimed
    assert events["pgsteal_kswapd"] + events["pgsteal_direct"] == events["pgsteal_file"] == reclaimed
    assert events["pgscan_file"] >= events["pgsteal_file"]
    node = node_page_state(lab.k)  # what came into the cache is there or was reclaimed; what came again refaulted
    assert node["workingset_refault_file"] == node["nr_file_pages"] - cached + reclaimed - PAGES > 0
    assert not lines(lab.k, "oom")
    assert check_buddy_invariants(lab.k.mm.pgdat) == []


def test_a_request_without_reserves_needs_no_more_than_others_once_pages_were_reclaimed(lab, booted):
    # __gfp_pfmemalloc_flags() of __GFP_NOMEMALLOC is 0, and what gfp_to_alloc_flags() said, the least watermark, holds
    p, addr = mapped(lab, booted[1], READ, PRIVATE)
    for i in range(PAGES):
        p.read(addr + i * PAGE)
    least, low, _ = zones_snapshot(lab.k)[0]["watermark"]
    while zones_snapshot(lab.k)[0]["nr_free_pages"] > least - 20:
        assert alloc_pages(lab.k, GFP_HIGHUSER_MOVABLE & ~__GFP_RECLAIM | __GFP_MEMALLOC, 0) is not None
    before = all_vm_events(lab.k)
    mask = GFP_HIGHUSER_MOVABLE & ~__GFP_KSWAPD_RECLAIM | __GFP_NOMEMALLOC
    assert alloc_pages(lab.k, mask, 0) is not None
    added = {name: count - before[name] for name, count in all_vm_events(lab.k).items()}
    assert least < zones_snapshot(lab.k)[0]["nr_free_pages"] < low
    assert sum(count for name, count in added.items() if name.startswith("allocstall")) == 1


def test_what_was_written_through_a_shared_mapping_is_on_the_disk(lab, booted):
    p, addr = mapped(lab, booted[1], READ | WRITE, SHARED)
    for i in range(PAGES):
        p.write(addr + i * PAGE + 8, struct.pack("<I", ~i & 0xFFFFFFFF))
    assert lines(lab.k, "flusher threads write")
    q, again = mapped(lab, booted[1], READ, PRIVATE)
    for who, at in ((p, addr), (q, again)):
        for i in range(PAGES):
            assert who.read(at + i * PAGE, 12) == struct.pack("<III", i, i, ~i & 0xFFFFFFFF)


def test_private_copies_stay_without_swap(lab, booted):
    p, addr = mapped(lab, booted[1], READ | WRITE, PRIVATE)
    for i in range(300):
        p.write(addr + i * PAGE, b"mine")
    for i in range(300, PAGES):
        p.read(addr + i * PAGE, 4)
    for i in range(300):
        assert p.read(addr + i * PAGE, 8) == b"mine" + struct.pack("<I", i)
    assert p.task.mm.rss[1] >= 300


def test_code_that_runs_stays_longer_than_data_read_once(lab, booted):
    p, code = mapped(lab, booted[1], READ | EXEC, PRIVATE)
    p.touch(code)
    q, addr = mapped(lab, booted[1], READ, PRIVATE)
    for i in range(64, PAGES):
        p.touch(code)
        q.read(addr + i * PAGE, 4)
    assert p.pfn(code) is not None


def test_locked_pages_stay(lab, booted):
    p, addr = mapped(lab, booted[1], READ, PRIVATE)
    assert p.mlock(addr, 64 * PAGE) == 0
    before = [p.pfn(addr + i * PAGE) for i in range(64)]
    q, other = mapped(lab, booted[1], READ, PRIVATE)
    for i in range(PAGES):
        q.read(other + i * PAGE, 4)
    assert [p.pfn(addr + i * PAGE) for i in range(64)] == before
    assert lab.k.mm.pgdat.lru.sizes()["unevictable"] >= 64


def test_a_copy_reclaims_its_own_pages(lab, booted):
    p, addr = mapped(lab, booted[1], READ, PRIVATE)
    for i in range(PAGES // 2):
        p.read(addr + i * PAGE, 4)
    before, reclaimed = p.task.mm.rss[0], lab.k.processes.reclaimer.reclaimed
    other = lab.k.copy()
    room = other.processes
    task = room.tasks[p.pid]
    for i in range(PAGES):
        assert access_user(task, room.pages, addr + i * PAGE, 4) == struct.pack("<I", i)
    assert room.reclaimer.reclaimed > reclaimed == lab.k.processes.reclaimer.reclaimed
    assert p.task.mm.rss[0] == before


def test_memory_that_a_process_can_do_without_goes_first(lab):
    p, addr = mapped(lab, None, READ | WRITE, PRIVATE | ANONYMOUS)
    for i in range(200):
        p.write(addr + i * PAGE, b"free")
    for i in range(100, 200):
        p.write(addr + i * PAGE, b"kept")
    p.madvise(addr, 100 * PAGE, 8)  # MADV_FREE
    p.write(addr, b"anew")
    for i in range(200, 650):
        p.touch(addr + i * PAGE, write=True)
    assert p.read(addr, 4) == b"anew"
    assert p.read(addr + PAGE, 4) == bytes(4)  # gone
    assert all(p.read(addr + i * PAGE, 4) == b"kept" for i in range(100, 200))
    assert all_vm_events(lab.k)["pglazyfreed"] > 50


def test_a_write_that_has_to_wait_for_memory_is_tried_again(lab, booted):
    p, addr = mapped(lab, booted[1], READ | WRITE, PRIVATE)
    q, other = mapped(lab, booted[1], READ, SHARED)
    p.read(addr, 4)
    fd = p.open(booted[1])
    for i in range(100, 600):  # in memory, and mapped by nobody: what reclaim finds next
        p.pread(fd, 4, i * PAGE)
    while alloc_pages(lab.k, __GFP_MEMALLOC | __GFP_NOWARN, 0) is not None:  # and nobody is woken
        pass
    before = all_vm_events(lab.k)
    p.write(addr, b"mine")  # reclaim makes the entry old, for which the copy was to be made
    after = all_vm_events(lab.k)
    assert after["pgsteal_direct"] > before["pgsteal_direct"]
    assert after["pgfault"] == before["pgfault"] + 2
    assert p.read(addr, 4) == b"mine"
    assert q.read(other, 4) == bytes(4)


# -------------------------------------------------------------------- beside a real kernel

def counted(k, before):
    """What happened since: the counters of /proc/vmstat, with the work of kswapd and of requests together."""
    now = all_vm_events(k)
    found = {name: now[name] - before.get(name, 0) for name in now}
    return {**found, "pgsteal": found["pgsteal_anon"]}


def real(later, sooner):
    counts = json.loads((GOLDEN / "reclaim" / "vmstat.json").read_text())
    found = {name: counts[later][name] - counts[sooner][name] for name in counts[later]}
    return {**found, "pgsteal": found["pgsteal_kswapd"] + found["pgsteal_direct"]}


def near(mine, theirs, share):
    return abs(mine - theirs) <= share * theirs


def test_a_real_kernel_reclaims_and_swaps_as_much():
    """The program of tests/golden/reclaim. A real disk takes its time and kswapd runs beside: the counts are near."""
    pages = 26000
    free = json.loads((GOLDEN / "reclaim" / "vmstat.json").read_text())["start"]["nr_free_pages"]
    k = bootsim.boot("vexpress.dts", config="3G/1G", mem="96M", cmdline="norandmaps cma=0", smp=1)
    lab = Session(k, alive.text)
    lab.names()
    lab.process()  # init
    assert lab.swapon("200M") == 0
    p = lab.process()
    addr = p.mmap(0, pages * PAGE, READ | WRITE, PRIVATE | ANONYMOUS)
    while nr_free_pages(k) > free:
        assert alloc_pages(k, GFP_KERNEL, 0) is not None
    for i in range(pages):
        p.write(addr + i * PAGE, struct.pack("<I", i))
    written = all_vm_events(k)
    for i in range(pages):
        assert p.read(addr + i * PAGE, 4) == struct.pack("<I", i)
    mine, theirs = counted(k, written), real("read", "written")
    for name, share in (("pswpin", 0.01), ("pgmajfault", 0.06), ("pgsteal", 0.1), ("swap_ra", 0.01)):
        assert near(mine[name], theirs[name], share), name
    read, x = all_vm_events(k), 1
    for _ in range(pages):
        x = (x * 1103515245 + 12345) % (1 << 32)
        i = (x >> 8) % pages
        assert p.read(addr + i * PAGE, 4) == struct.pack("<I", i)
    mine, theirs = counted(k, read), real("random", "read")
    for name, share in (("pswpin", 0.1), ("pgmajfault", 0.1), ("pgsteal", 0.1), ("pgrefill", 0.2)):
        assert near(mine[name], theirs[name], share), name


# -------------------------------------------------------------------- nobody sees a difference

WINDOW = 100  # pages of each mapping
BASE = 0x40000000
ACCESS = st.tuples(st.sampled_from(["write", "read", "write", "mlock", "munlock"]), st.integers(0, 3),
                   st.integers(0, 4 * WINDOW - 1))  # fmt: skip
STEPS = st.lists(
    st.one_of(ACCESS, ACCESS, ACCESS, st.tuples(st.sampled_from(["fork", "exit"]), st.integers(0, 3), st.just(0)),
              st.tuples(st.sampled_from(["drop", "cpu", "compact", "sweep"]), st.integers(0, 3), st.just(0))),
    min_size=20, max_size=120,
)  # fmt: skip


class Program:
    """A process with four mappings, anonymous and of a file, private and shared, and what it must see in each page."""

    def __init__(self, process, private):
        self.process, self.private = process, private

    def cell(self, page, shared):
        return (shared, page) if page // WINDOW in (1, 2) else (self.private, page)


def where(page):
    return BASE + (page // WINDOW << 24) + page % WINDOW * PAGE


def first_program(lab, data):
    p = lab.process()
    for i, flags in enumerate((PRIVATE | ANONYMOUS, SHARED | ANONYMOUS, SHARED, PRIVATE)):
        fd = -1 if flags & ANONYMOUS else p.open(data, writable=True)
        assert p.mmap(BASE + (i << 24), WINDOW * PAGE, READ | WRITE, flags | 0x10, fd) == BASE + (i << 24)
    return Program(p, {})


def expected(program, page, shared):
    cells, at = program.cell(page, shared)
    if at in cells:
        return cells[at]
    kind = page // WINDOW
    if kind < 2:
        return bytes(8)
    on_disk = struct.pack("<I", page % WINDOW) * 2
    return shared.get(2 * WINDOW + page % WINDOW, on_disk)


def step(lab, programs, shared, what, who, page, token):
    program = programs[who % len(programs)]
    p = program.process
    if what == "write":
        p.write(where(page), struct.pack("<Q", token))
        cells, at = program.cell(page, shared)
        cells[at] = struct.pack("<Q", token)
    elif what == "read":
        assert p.read(where(page), 8) == expected(program, page, shared), (what, who, page)
    elif what == "fork" and len(programs) < 4:
        programs.append(Program(p.fork(), dict(program.private)))
    elif what == "exit" and len(programs) > 1:
        p.exit()
        programs.remove(program)
    elif what in ("mlock", "munlock"):
        if what == "mlock" and page // WINDOW == 3:  # which copies a private page at once
            program.private[page] = expected(program, page, shared)
        assert getattr(p, what)(where(page), PAGE) == 0
    elif what == "drop":
        assert p.munlock(BASE, WINDOW * PAGE) == p.madvise(BASE, WINDOW * PAGE, 4) == 0  # MADV_DONTNEED
        for at in range(WINDOW):
            program.private.pop(at, None)
    elif what == "cpu":
        lab.k.mm.pgdat.cpu = 1 - lab.k.mm.pgdat.cpu
    elif what == "compact":
        compact_memory(lab.k)
    elif what == "sweep":
        for at in range(4 * WINDOW):
            assert p.read(where(at), 8) == expected(program, at, shared), at


@pytest.mark.parametrize("seed", range(3))
def test_long_programs_read_what_they_wrote(booted, seed):
    # Among other things, a page that a write is about to copy may be taken or looked at while memory is made for it.
    rng = random.Random(seed)
    kinds = ["write"] * 30 + ["read"] * 30 + ["fork", "exit", "drop", "cpu", "compact"]
    run(booted, [(rng.choice(kinds), rng.randrange(4), rng.randrange(4 * WINDOW)) for _ in range(4000)], 200)


@pytest.mark.property
@settings(max_examples=15, deadline=None)
@given(STEPS)
def test_every_program_reads_what_it_wrote(booted, steps):
    run(booted, steps, -40)


def run(booted, steps, left):
    lab = machine(booted, left)
    assert lab.swapon("8M") == 0
    programs, shared = [first_program(lab, booted[1])], {}
    for token, (what, who, page) in enumerate(steps, 1):
        step(lab, programs, shared, what, who, page, token)
    for who in range(len(programs)):
        step(lab, programs, shared, "sweep", who, 0, 0)
    room = lab.k.processes
    assert room.reclaimer.reclaimed > 0
    for program in programs:
        program.process.exit()
    assert check_buddy_invariants(lab.k.mm.pgdat) == []
    lab.k.processes.pages.drain()
    left = lab.k.mm.pgdat.lru.sizes()
    assert left["inactive_anon"] + left["active_anon"] + left["unevictable"] <= len(room.tasks) * 8
