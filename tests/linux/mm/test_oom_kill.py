"""Whom the OOM killer chooses, what it says, and what is left then."""

import lzma
import random
import re
from pathlib import Path

import pytest

import bootsim
from bootsim.errors import KernelPanic
from bootsim.linux.kernel.fork.dup import copy_process, do_exit
from bootsim.linux.kernel.fork.init import processes
from bootsim.linux.kernel.signal import system_call
from bootsim.linux.mm.memory.access import access_user, do_page_fault
from bootsim.linux.mm.mlock import mlock
from bootsim.linux.mm.mmap.map import mmap_pgoff, munmap
from bootsim.linux.mm.mmap.structs import Task, VmOperationsStruct
from bootsim.linux.mm.oom_kill.kill import (
    LONG_MIN,
    OomControl,
    dump_tasks,
    oom_badness,
    out_of_memory,
    select_bad_process,
)
from bootsim.linux.mm.page_alloc import (
    __GFP_NORETRY,
    __GFP_NOWARN,
    __GFP_RETRY_MAYFAIL,
    GFP_KERNEL,
    GFP_NOFS,
    GFP_NOWAIT,
    check_buddy_invariants,
    drain_all_pages,
    zones_snapshot,
)
from bootsim.linux.mm.vmstat import all_vm_events

GOLDEN = Path(__file__).parents[2] / "golden"
INVOKED = re.compile(r"(\w+) invoked oom-killer: gfp_mask=(0x[0-9a-f]+)\(.*\), order=(\d+), oom_score_adj=(-?\d+)")
ROW = re.compile(r"\[ *(\d+)\] +(\d+) +(\d+) +(\d+) +(\d+) +(\d+) +(\d+) +(-?\d+) (\w+)$")
KILLED = re.compile(r"Out of memory.*: Killed process (\d+) \((\S+)\)")
MAP_ANONYMOUS, MAP_NORESERVE, MAP_POPULATE = 0x22, 0x4000, 0x8000
PAGE = 4096


@pytest.fixture
def k():
    return bootsim.boot("vexpress.dts", config="3G/1G", mem="48M", cmdline="norandmaps")


def said(k, start=0):
    return [record.text for record in k.log.records[start:] if record.kernel]


def task_of(k, pid=0, comm="sh", adj=0):
    """A process without a program: an address space with nothing in it."""
    room = processes(k)
    room.sysctl_overcommit_memory = 1
    room.last_pid = max(room.last_pid, 10)
    pid = pid or room.last_pid + 1
    room.last_pid = max(room.last_pid, pid)
    task = room.tasks[pid] = Task(room, pid, comm)
    task.oom_score_adj = adj
    task.mm = room.pages.new_mm(task, comm)
    task.mm.mmap_base, task.mm.topdown = 0xB6F00000, True
    return task


def hold(task, pages, flags=MAP_ANONYMOUS | MAP_NORESERVE):
    """Have a process write to so many new pages; where they are, None when it was killed for it."""
    with system_call(task):
        addr = mmap_pgoff(task, 0, pages * PAGE, 3, flags, -1, 0)
    assert addr > 0
    for i in range(pages):
        signal, _ = do_page_fault(task, task.processes.pages, addr + i * PAGE, True)
        if signal:
            assert signal == 9
            return None
    return addr


def hog(task):
    """Have a process write to ever more memory, until it is killed."""
    while hold(task, 64):
        pass


def everything_free(k):
    k.processes.pages.drain()
    drain_all_pages(k)
    return sum(area["nr_free"] << order for zone in zones_snapshot(k) for order, area in enumerate(zone["free_area"]))


# ------------------------------------------------------------------ the choice and the words, as a real kernel had them

def golden_reports():
    """(invoked, rows, lines, outcome) of every time that Debian's kernel ran out of memory."""
    lines = lzma.decompress((GOLDEN / "oom/armmp-virt-128.log.xz").read_bytes()).decode().splitlines()
    starts = [n for n, line in enumerate(lines) if INVOKED.match(line)]
    for start, end in zip(starts, [*starts[1:], len(lines)], strict=True):
        report = [line for line in lines[start:end] if not line.startswith(("MARK", "process"))]
        table = report.index("Tasks state (memory values in pages):")
        yield report[0], [ROW.match(line).groups() for line in report if ROW.match(line)], report[table:]


REPORTS = list(golden_reports())


@pytest.fixture(scope="module")
def debian():
    return bootsim.boot("vexpress.dts", config=str(GOLDEN / "builds/deb510armmp.yaml"), mem="128M",
                        cmdline="norandmaps")


def recorded_tasks(k, rows, lines):
    """The tasks of a report's table. What one has of each kind of page, the line of its death tells."""
    kinds = {int(pid): [int(n) // 4 for n in found] for line in lines
             for pid, *found in re.findall(r"process (\d+) .* anon-rss:(\d+)kB, file-rss:(\d+)kB, shmem-rss:(\d+)kB",
                                           line)}  # fmt: skip
    for pid, uid, tgid, total_vm, rss, pgtables, swapents, adj, comm in rows:
        task = task_of(k, int(pid), comm, int(adj))
        anon, file, shmem = kinds.get(int(pid), (int(rss), 0, 0))
        assert (anon + file + shmem, pid) == (int(rss), tgid)
        task.mm.total_vm, task.mm.pgtables_bytes, task.uid = int(total_vm), int(pgtables), int(uid)
        task.mm.rss = [file, anon, int(swapents), shmem]


@pytest.mark.golden
@pytest.mark.parametrize(("invoked", "rows", "lines"), REPORTS, ids=[str(n) for n in range(len(REPORTS))])
def test_it_kills_whom_a_real_kernel_killed_and_in_its_words(debian, invoked, rows, lines):
    k = debian.copy()
    comm, gfp_mask, order, adj = INVOKED.match(invoked).groups()
    recorded_tasks(k, rows, lines)
    tasks = k.processes.tasks
    current = next(task for task in reversed(tasks.values()) if task.comm == comm)
    if len([task for task in tasks.values() if task.comm == comm]) == 2:  # the second is the first's child by vfork()
        parent = next(task for task in tasks.values() if task.comm == comm)
        current.mm, current.ppid, current.vfork_done, parent.mm.mm_users = parent.mm, parent.pid, True, 2
    k.processes.sysctl_oom_kill_allocating_task = "oom_kill_allocating_task" in "".join(lines)
    current.mm.owner = k.processes.current = current
    start = len(k.log.records)
    oc = OomControl(int(gfp_mask, 16), int(order), 111256 // 4, current)
    if "no killable" in "".join(lines):
        with pytest.raises(KernelPanic, match="deadlocked"):
            out_of_memory(k, oc)
    else:
        assert out_of_memory(k, oc)
    found = said(k, start)
    assert int(adj) == current.oom_score_adj
    assert found[0] == invoked
    end = found.index(lines[-1])
    assert found[found.index(lines[0]):end + 1] == lines


@pytest.mark.golden
def test_scores_are_those_of_proc(debian):
    from bootsim.linux.fs.proc.base import proc_oom_score

    k = debian.copy()
    lines = lzma.decompress((GOLDEN / "oom/armmp-virt-128.log.xz").read_bytes()).decode().splitlines()
    recorded = {int(pid): int(score) for pid, score in (re.findall(r"\d+", ln) for ln in lines if "oom_score of" in ln)}
    recorded_tasks(k, REPORTS[0][1][:2], [])
    k.mm.totalram_pages = 111256 // 4
    task_of(k, 1)
    assert {task.pid: proc_oom_score(task) for task in k.processes.tasks.values()} == recorded


# ------------------------------------------------------------------ the choice

def test_of_equals_the_last_is_chosen_and_some_never(k):
    tasks = [task_of(k, adj=adj) for adj in (0, 0, -1000)] + [task_of(k, pid=1)]
    for task, pages in zip(tasks, (50, 50, 500, 900), strict=True):
        task.mm.rss = [0, pages, 0, 0]
    oc = OomControl(GFP_KERNEL, 0, 10000)
    select_bad_process(oc, k.processes.tasks.values())
    assert (oc.chosen, oc.chosen_points) == (tasks[1], 50)
    assert [oom_badness(task, 10000) for task in tasks[2:]] == [LONG_MIN] * 2
    tasks[0].mm.rss = [1, 20, 30, 4]  # file, anonymous, swap entries, shmem
    tasks[0].mm.pgtables_bytes, tasks[0].oom_score_adj = 3 * PAGE, -3
    assert oom_badness(tasks[0], 10999) == 55 + 3 - 30


def test_a_child_by_vfork_is_not_chosen_but_dies_with_its_parent(k):
    task_of(k, pid=1)
    parent = task_of(k, comm="parent")
    hold(parent, 100)
    child = copy_process(parent, True)
    child.oom_score_adj = 1000
    assert oom_badness(child, 10000) == LONG_MIN
    free = everything_free(k)
    hog(child)
    assert list(k.processes.tasks) == [1]
    assert k.processes.ended[parent.pid] == k.processes.ended[child.pid] == 9
    assert f"Killed process {parent.pid} (parent)" in "".join(said(k))
    assert everything_free(k) > free + 100


def test_init_pins_the_memory_of_its_child_by_vfork(k):
    init = task_of(k, pid=1, comm="init")
    child = copy_process(init, True)
    k.processes.sysctl_oom_kill_allocating_task = 1
    hog(child)
    assert f"oom killer {child.pid} (init) has mm pinned by 1 (init)" in said(k)
    assert list(k.processes.tasks) == [1]
    with pytest.raises(KernelPanic, match="deadlocked"):
        hog(init)


# ------------------------------------------------------------------ from a request to a death

def test_many_processes_on_a_small_machine(k):
    """Whoever dies had the most points in the table; in the end everything is free again."""
    task_of(k, pid=1)
    free = everything_free(k)
    tasks = [task_of(k, comm=f"task{i}", adj=(i * 37) % 120 - 40) for i in range(8)]
    total = k.mm.totalram_pages
    for turn in range(4000):
        task = tasks[turn * 7 % len(tasks)]
        if task.mm is None:
            task = tasks[turn * 7 % len(tasks)] = task_of(k, comm=f"late{turn}")
        hold(task, 16 + turn % 50)
        if len(k.processes.ended) > 20:
            break
    deaths, rows = [], []
    for line in said(k):
        if line.startswith("Tasks state"):
            rows = []
        if ROW.match(line):
            rows.append([int(n) for n in ROW.match(line).groups()[:-1]])
        if KILLED.match(line):
            points = {pid: rss + swap + tables // PAGE + adj * (total // 1000)
                      for pid, _, _, _, rss, tables, swap, adj in rows}  # fmt: skip
            most = max(points.values())
            deaths.append(int(KILLED.match(line)[1]))
            assert deaths[-1] == [pid for pid, found in points.items() if found == most][-1]
    assert len(deaths) > 20
    assert deaths == list(k.processes.ended)
    for task in tasks:
        if task.mm is not None:
            do_exit(task)
    assert everything_free(k) == free
    assert hold(task_of(k), 1000)


def test_another_one_dies_and_the_request_is_met(k):
    task_of(k, pid=1)
    fat, lean = task_of(k, comm="fat"), task_of(k, comm="lean")
    hold(fat, 6000)
    start = len(k.log.records)
    while fat.mm is not None:
        assert hold(lean, 64)
    lines = said(k, start)
    assert lines[0] == "lean invoked oom-killer: gfp_mask=0x100cca(GFP_HIGHUSER_MOVABLE), order=0, oom_score_adj=0"
    assert lines[1] == "Mem-Info:"
    assert re.fullmatch(rf"Out of memory: Killed process {fat.pid} \(fat\) total-vm:\d+kB, anon-rss:24000kB, "
                        r"file-rss:0kB, shmem-rss:0kB, UID:0 pgtables:\d+kB oom_score_adj:0", lines[-1])
    assert not any("allocation failure" in line or "reaped" in line for line in lines)
    assert lean.mm is not None
    assert hold(lean, 1000)


@pytest.mark.parametrize(("mem", "reserves"), [("64M", True), ("48M", False)])
def test_who_asks_and_is_chosen_uses_half_of_the_reserves_and_ends(mem, reserves):
    k = bootsim.boot("vexpress.dts", config="3G/1G", mem=mem, cmdline="norandmaps")
    task_of(k, pid=1)
    free, task = everything_free(k), task_of(k)
    hog(task)
    assert task.mm is None
    assert everything_free(k) == free
    lines = said(k)
    killed = next(n for n, line in enumerate(lines) if "Killed process" in line)
    (left, least), = (map(int, re.findall(r"free:(\d+)kB min:(\d+)kB", line)[0]) for line in lines[:killed]
                      if line.startswith("Normal free:"))
    assert (left > least // 2) == reserves  # stolen pageblocks have raised the watermark where they do not help
    assert any(line.startswith("sh: page allocation failure: order:0, mode:") for line in lines[killed:]) != reserves


@pytest.mark.parametrize("call", ["populate", "mlock", "fork", "write"])
def test_a_system_call_is_broken_off_cleanly(k, call):
    task_of(k, pid=1)
    free, task = everything_free(k), task_of(k)
    room = k.processes
    if call == "fork":
        addr = hold(task, 4000)
        assert addr
        for i in range(0, 2000, 256):  # tables of their own
            mmap_pgoff(task, 0x1000000 + i * PAGE, PAGE, 3, MAP_ANONYMOUS | 0x10, -1, 0)
        while not task.fatal_signal_pending:
            child = copy_process(task)
            if isinstance(child, int):
                break
            child.oom_score_adj = -1000
        assert task.fatal_signal_pending
    elif call == "write":
        addr = mmap_pgoff(task, 0, 60 << 20, 3, MAP_ANONYMOUS | MAP_NORESERVE, -1, 0)
        signal, _, at = access_user(task, room.pages, addr, 0, bytes(60 << 20))
        assert signal == 9
        assert addr < at < addr + (60 << 20)
    elif call == "mlock":
        addr = mmap_pgoff(task, 0, 60 << 20, 3, MAP_ANONYMOUS | MAP_NORESERVE, -1, 0)
        task.setrlimit(8, 0xFFFFFFFF)
        assert mlock(task, addr, 60 << 20) < 0
    else:
        assert mmap_pgoff(task, 0, 60 << 20, 3, MAP_ANONYMOUS | MAP_POPULATE, -1, 0) > 0
    if task.mm is not None:
        assert task.fatal_signal_pending
        do_exit(task, 9)
    for left in list(room.tasks.values()):
        if left.pid != 1:
            do_exit(left)
    assert everything_free(k) == free
    assert hold(task_of(k), 1000)


def test_the_kernel_itself_asks(k):
    from bootsim.linux.include.linux.gfp import alloc_page

    task_of(k, pid=1)
    task = task_of(k)
    hold(task, 1000)
    while task.pid in k.processes.tasks:
        assert alloc_page(k, GFP_KERNEL) is not None
    assert f"{k.cpus[0].comm} invoked oom-killer: gfp_mask=0xcc0(GFP_KERNEL), order=0, oom_score_adj=0" in said(k)


@pytest.mark.parametrize(("flags", "order"), [(GFP_NOFS, 0), (GFP_KERNEL | __GFP_RETRY_MAYFAIL, 0), (GFP_KERNEL, 4),
                                              (GFP_KERNEL | __GFP_NORETRY, 0), (GFP_NOWAIT, 0)])
def test_requests_for_which_nobody_dies(k, flags, order):
    from bootsim.linux.include.linux.gfp import alloc_pages

    task_of(k, pid=1)
    task = task_of(k)
    hold(task, 100)
    while alloc_pages(k, flags | __GFP_NOWARN, order) is not None:
        pass
    assert task.mm is not None
    assert not any("invoked" in line for line in said(k))
    told = any("without __GFP_FS nobody is killed" in record.text for record in k.log.records)
    assert told == (flags == GFP_NOFS)


# ------------------------------------------------------------------ variables

@pytest.mark.parametrize(("value", "kind"), [(1, "system-wide"), (2, "compulsory")])
def test_panic_on_oom(k, value, kind):
    task_of(k, pid=1)
    task = task_of(k)
    k.processes.sysctl_panic_on_oom = value
    with pytest.raises(KernelPanic, match="panic_on_oom"):
        hog(task)
    lines = said(k)
    assert f"Kernel panic - not syncing: Out of memory: {kind} panic_on_oom is enabled" in lines
    assert not any(line.startswith("oom-kill:") for line in lines)
    assert k.panicked is not None


def test_the_allocating_task_dies_if_that_is_wanted(k):
    task_of(k, pid=1)
    fat, lean, never = task_of(k), task_of(k), task_of(k, adj=-1000)
    hold(fat, 3000)
    k.processes.sysctl_oom_kill_allocating_task = 1
    hog(lean)
    assert f"Out of memory (oom_kill_allocating_task): Killed process {lean.pid} (sh)" in "".join(said(k))
    assert fat.mm is not None
    while fat.mm is not None:
        hold(never, 64)
    assert f"Out of memory: Killed process {fat.pid} (sh)" in "".join(said(k))


def test_the_table_can_be_left_out(k):
    task_of(k, pid=1)
    task = task_of(k)
    k.processes.sysctl_oom_dump_tasks = 0
    hog(task)
    lines = said(k)
    assert not any("Tasks state" in line for line in lines)
    assert any(line.startswith("oom-kill:constraint=CONSTRAINT_NONE,nodemask=(null),cpuset=/") for line in lines)


def test_nobody_is_left(k):
    init = task_of(k, pid=1)
    with pytest.raises(KernelPanic, match="System is deadlocked on memory"):
        hog(init)
    lines = said(k)
    at = lines.index("Out of memory and no killable processes...")
    assert lines[at - 1].startswith("[  pid  ]")  # init has no row
    assert lines[at + 1] == "Kernel panic - not syncing: System is deadlocked on memory"
    assert any("cause: nobody is left" in record.text for record in k.log.records)


def test_a_copied_machine_kills_its_own(k):
    task_of(k, pid=1)
    task = task_of(k)
    hold(task, 100)
    other = k.copy()
    hog(other.processes.tasks[task.pid])
    assert task.pid not in other.processes.tasks
    assert task.mm is not None
    assert k.processes.tasks[task.pid] is task
    assert not any("Killed" in line for line in said(k))
    hog(task)
    assert task.mm is None


def test_kernel_threads_have_no_row(k):
    room = processes(k)
    task_of(k, comm="shown")
    room.tasks[99] = Task(room, 99, "no memory")
    start = len(k.log.records)
    dump_tasks(k)
    assert [line.rpartition(" ")[2] for line in said(k, start)[2:]] == ["shown"]


# ------------------------------------------------------------------ in the midst of things

def test_a_driver_that_takes_memory_in_a_fault(k):
    """A fault handler asks on its own; the process whose fault it is stays whole until the fault is over."""
    from bootsim.linux.include.linux.gfp import __free_page, alloc_page

    task_of(k, pid=1)
    free, task = everything_free(k), task_of(k)
    taken, pages = [], k.processes.pages

    def fault(vma, _pgoff):
        while not task.fatal_signal_pending:
            taken.append(alloc_page(k, GFP_KERNEL))
        assert task.mm is vma.vm_mm
        return taken[0].pfn

    hold(task, 3000)
    addr = mmap_pgoff(task, 0, PAGE, 1, MAP_ANONYMOUS, -1, 0)
    vma = next(v for v in task.mm if addr in v)
    vma.vm_ops = VmOperationsStruct("driver_vm_ops", fault=fault)
    k.processes.current = None
    assert do_page_fault(task, pages, addr, False) == (9, 0)
    assert task.mm is None
    assert k.processes.current is None
    assert said(k)[-1].startswith("Out of memory: Killed process") or "allocation failure" in "".join(said(k))
    for page in filter(None, taken):
        __free_page(k, page)
    assert everything_free(k) == free


def test_a_process_in_the_kernel_waits_with_its_end(k):
    task_of(k, pid=1)
    fat, lean = task_of(k, comm="fat"), task_of(k, comm="lean")
    hold(fat, 6000)
    with system_call(fat):
        hog(lean)
        assert lean.mm is None
        assert f"oom_reaper: unable to reap pid:{fat.pid} (fat)" in said(k)
        assert fat.fatal_signal_pending
        assert fat.mm.mmap is not None
    assert fat.mm is None
    assert k.processes.ended[fat.pid] == 9


def test_a_fault_without_memory_that_kills_nobody(k):
    task_of(k, pid=1)
    task = task_of(k)
    k.processes.oom_killer = None
    hog(task)
    assert "Huh VM_FAULT_OOM leaked out to the #PF handler. Retrying PF" in said(k)
    assert task.mm is None


def test_kills_are_counted(k):
    task_of(k, pid=1)
    hog(task_of(k))
    hog(task_of(k))
    assert all_vm_events(k)["oom_kill"] == 2


def random_call(rng, room, task):
    what = rng.randrange(9)
    addrs = [vma.vm_start for vma in task.mm]
    addr = rng.choice(addrs) if addrs else 0
    if what < 3:
        mmap_pgoff(task, 0, rng.randrange(1, 900) * PAGE, 3, rng.choice([0x22, 0x21, 0x8022, 0x8021]), -1, 0)
    elif what < 6 and addr:
        for at in range(addr, addr + rng.randrange(1, 700) * PAGE, PAGE):
            if do_page_fault(task, room.pages, at, rng.random() < 0.8)[0]:
                break
    elif what == 6 and addr:
        munmap(task, addr, rng.randrange(1, 300) * PAGE)
    elif what == 7:
        child = copy_process(task, rng.random() < 0.2)
        if not isinstance(child, int):
            child.oom_score_adj = rng.choice([0, 0, 100, -100, -1000])
    elif what == 8 and addr:
        mlock(task, addr, rng.randrange(1, 200) * PAGE)


@pytest.mark.parametrize("seed", range(4))
def test_random_processes_under_pressure(k, seed):
    """Whatever they do, in the end every page is free again and the lists are whole."""
    rng = random.Random(seed)
    task_of(k, pid=1)
    room, free = k.processes, everything_free(k)
    for _ in range(700):
        tasks = [task for task in room.tasks.values() if task.pid != 1]
        try:
            if not tasks or (len(tasks) < 12 and rng.random() < 0.1):
                tasks = [task_of(k)]
            task = rng.choice(tasks)
            with system_call(task):
                random_call(rng, room, task)
            if rng.random() < 0.05 and task.mm is not None:
                do_exit(task)
        except KernelPanic:
            break
    assert "Killed process" in "".join(said(k))
    for task in list(room.tasks.values()):
        if task.pid != 1 and task.mm is not None:
            do_exit(task)
    assert everything_free(k) == free
    assert check_buddy_invariants(k.mm.pgdat) == []


# ------------------------------------------------------------------ the state of memory

def mem_info(lines):
    """The numbers of the last Mem-Info, of all memory, by name."""
    start = len(lines) - 1 - lines[::-1].index("Mem-Info:")
    return {name: int(count) for line in lines[start + 1:start + 7] for name, count in re.findall(r"(\w+):(\d+)", line)}


def test_mem_info_counts_the_pages_of_processes(k):
    task_of(k, pid=1)
    task = task_of(k)
    shared = hold(task, 40, MAP_ANONYMOUS & ~2 | 1)
    locked = hold(task, 70)
    with system_call(task):
        task.setrlimit(8, 0xFFFFFFFF)
        assert mlock(task, locked, 70 * PAGE) == 0
    assert shared
    hog(task)
    lines = said(k)
    end = next(n for n, line in enumerate(lines) if line.startswith("Out of memory"))
    found, row = mem_info(lines[:end]), next(ROW.match(line) for line in lines[:end] if ROW.match(line))
    rss, tables = int(row[5]), int(row[6])
    waiting = rss - found["inactive_anon"] - found["active_anon"] - found["unevictable"]
    assert 0 <= waiting <= 15  # on no list yet
    assert (found["shmem"], found["mapped"], found["pagetables"]) == (40, 40, tables // 2048)
    assert "40 total pagecache pages" in lines
    assert sum("active_anon:" in line for line in lines[:end]) >= 3
    free = re.search(r"free:(\d+) ", "".join(line + " " for line in lines[:end]))
    assert int(free[1]) == found["free"]


def test_slabs_are_listed_when_they_hold_more_than_processes(k):
    from bootsim.linux.include.linux.slab import kmalloc

    task_of(k, pid=1)
    task = task_of(k)
    hold(task, 50)
    while task.pid in k.processes.tasks:
        assert kmalloc(k, 2048, GFP_KERNEL)
    lines = said(k)
    at = lines.index("Unreclaimable slab info:")
    assert lines[at + 1] == "Name                      Used          Total"
    end = lines.index("Tasks state (memory values in pages):")
    rows = {line[:17].rstrip(): line[17:] for line in lines[at + 2:end]}
    used, total = map(int, re.fullmatch(r" +(\d+)KB +(\d+)KB", rows["kmalloc-2k"]).groups())
    assert used <= total
    assert total // 4 <= mem_info(lines)["slab_unreclaimable"] <= total // 4 + 1000


def shape(lines):
    """The lines of the first Mem-Info, without their numbers and the types of free blocks."""
    start, end = lines.index("Mem-Info:"), next(n for n, line in enumerate(lines) if line.endswith("cma reserved"))
    return [re.sub(r"\d+", "N", re.sub(r"N? \([UMEHCI]+\)|\? \w+$", "", line)) for line in lines[start:end + 1]]


@pytest.mark.golden
def test_mem_info_has_the_words_of_a_real_kernel(debian):
    k = debian.copy()
    lines = lzma.decompress((GOLDEN / "oom/armmp-virt-128.log.xz").read_bytes()).decode().splitlines()
    recorded_tasks(k, REPORTS[0][1], REPORTS[0][2])
    start = len(k.log.records)
    out_of_memory(k, OomControl(GFP_KERNEL, 0, 111256 // 4))
    assert shape(said(k, start)) == shape(lines)
