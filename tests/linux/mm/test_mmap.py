"""Mappings of a process: a slow model that keeps pages, and one thing at a time."""

import copy
import random
from itertools import pairwise

import pytest

import bootsim
from bootsim.linux.include.linux.fs import File, FileOperations, Inode
from bootsim.linux.kernel.fork.dup import copy_process, do_exit
from bootsim.linux.kernel.fork.init import new_task, processes
from bootsim.linux.mm import madvise, mlock, mprotect, mremap
from bootsim.linux.mm.interval_tree import vma_interval_tree_foreach
from bootsim.linux.mm.memory.access import do_page_fault
from bootsim.linux.mm.mmap import brk
from bootsim.linux.mm.mmap import map as mapping
from bootsim.linux.mm.mmap.structs import ProcessError, VmOperationsStruct
from bootsim.linux.mm.shmem import shmem_kernel_file_setup

P = 4096
RW, PRIVATE, SHARED, FIXED, ANON = 3, 2, 1, 0x10, 0x20
EPERM, EAGAIN, ENOMEM, EFAULT, EEXIST, EINVAL = 1, 11, 12, 14, 17, 22
SIGBUS, SIGSEGV = 7, 11
VM_LOCKED, VM_GROWSDOWN, VM_ACCOUNT = 0x2000, 0x100, 0x100000
RLIMIT_DATA, RLIMIT_STACK, RLIMIT_MEMLOCK, RLIMIT_AS = 2, 3, 8, 9


class Shmem(FileOperations):
    vm_ops = VmOperationsStruct("shmem_vm_ops")

    def mmap(self, file, vma):
        vma.vm_ops = self.vm_ops
        return 0

    def fsync(self, *_):
        return 0


BOOTED = []


def process(ram_pages=120000):
    """A process without mappings, whose kernel splits 3G/1G; the kernel must outlive it."""
    if not BOOTED:
        BOOTED.append(bootsim.boot("vexpress.dts", config="3G/1G", mem="256M", cmdline="norandmaps"))
    k = BOOTED[0].copy()
    k.mm.totalram_pages = ram_pages
    task = new_task(k)
    task.mm = processes(k).pages.new_mm(task, "test")
    task.mm.topdown, task.mm.mmap_base = True, 0xB7000000
    task.mm.end_data = task.mm.start_brk = task.mm.brk = 0x100000
    return k, task


def touch(task, addr, write):
    """Access a byte: 0, or the signal's number."""
    return do_page_fault(task, task.mm.pages, addr, write)[0]


@pytest.fixture
def task():
    k, task = process()
    yield task
    del k


def anonymous(task, addr, pages, prot=RW, flags=0):
    return mapping.mmap_pgoff(task, addr, pages * P, prot, PRIVATE | ANON | flags, -1, 0)


def ranges(task):
    return [(v.vm_start, v.vm_end) for v in task.mm]


def checked(mm):
    """The VMAs, once everything an address space keeps twice agrees: list, order, counts, trees of anon_vmas."""
    vmas = list(mm)
    assert len(vmas) == mm.map_count
    assert all(a.vm_end <= b.vm_start and a.vm_next is b and b.vm_prev is a for a, b in pairwise(vmas))
    assert mm.total_vm == sum(v.vm_end - v.vm_start for v in vmas) // P
    assert mm.locked_vm == sum(v.vm_end - v.vm_start for v in vmas if v.vm_flags & VM_LOCKED) // P
    assert mm.highest_vm_end == (vmas[-1].vm_end if vmas else 0)
    for vma in vmas:
        assert (vma.anon_vma is None) == (not vma.anon_vma_chain)
        for anon_vma in vma.anon_vma_chain:
            assert sum(v is vma for v in anon_vma.rb_root) == 1
            starts = [v.vm_pgoff for v in anon_vma.rb_root]
            assert starts == sorted(starts)
    return vmas


# ---------------------------------------------------------------- a slow model


class Model:
    """An address space as a dict of pages, each with the protection it has: slow and obvious."""

    def __init__(self):
        self.pages = {}

    def map(self, addr, size, prot):
        for page in range(addr, addr + size, P):
            self.pages[page] = prot

    def unmap(self, addr, size):
        for page in range(addr, addr + size, P):
            self.pages.pop(page, None)

    def room(self, size, top):
        """The highest free room of a size below `top`."""
        addr = top - size
        while addr >= 2 * P:
            taken = [p for p in range(addr, addr + size, P) if p in self.pages]
            if not taken:
                return addr
            addr = min(taken) - size
        return None


@pytest.mark.parametrize("seed", range(6))
def test_random_calls_against_a_dict_of_pages(task, seed):
    rnd, model, base = random.Random(seed), Model(), 0x40000000
    for _ in range(500):
        addr, size, prot = base + rnd.randrange(60) * P, rnd.randrange(1, 9) * P, rnd.choice((0, 1, 3, 5))
        kind = rnd.randrange(6)
        if kind == 0:
            want = model.room(size, task.mm.mmap_base)
            assert anonymous(task, 0, size // P, prot) == want
            model.map(want, size, prot)
        elif kind == 1:
            assert anonymous(task, addr, size // P, prot, FIXED) == addr
            model.map(addr, size, prot)
        elif kind == 2:
            assert mapping.munmap(task, addr, size) == 0
            model.unmap(addr, size)
        elif kind == 3:
            whole = all(page in model.pages for page in range(addr, addr + size, P))
            assert mprotect.mprotect(task, addr, size, prot) == (0 if whole else -ENOMEM)
            for page in range(addr, addr + size, P):
                if page not in model.pages:
                    break
                model.pages[page] = prot
        elif kind == 4:
            got = mremap.mremap(task, addr, size, size + P, 1)
            inside = next((v for v in task.mm if addr in v and addr + size <= v.vm_end), None)
            if got >= 0 and got != addr:
                model.map(got, size + P, model.pages[addr])
                model.unmap(addr, size)
            elif got == addr:
                model.map(addr, size + P, model.pages[addr])
            else:
                assert got == -EFAULT
                assert inside is None
        else:
            write = rnd.random() < 0.5
            allowed = addr in model.pages and model.pages[addr] & (2 if write else 7)
            assert touch(task, addr + 5, write) == (0 if allowed else SIGSEGV)
        mine = {page: v.vm_flags & 7 for v in checked(task.mm) for page in range(v.vm_start, v.vm_end, P)}
        assert mine == model.pages


# ---------------------------------------------------------------- one thing at a time


def test_mappings_are_made_from_below_the_stack_and_merge(task):
    first = anonymous(task, 0, 16)
    assert first == 0xB7000000 - 16 * P
    assert anonymous(task, 0, 4) == first - 4 * P
    assert ranges(task) == [(first - 4 * P, 0xB7000000)]


def test_without_room_below_the_base_mappings_go_above_it(task):
    anonymous(task, 2 * P, (0xB7000000 >> 12) - 2, flags=0x4000)
    assert anonymous(task, 0, 3) == 0xB7000000


def test_legacy_layout_searches_upwards(task):
    task.mm.topdown, task.mm.mmap_base = False, task.processes.task_unmapped_base
    assert anonymous(task, 0, 2) == 0x40000000
    assert anonymous(task, 0, 2, 1) == 0x40002000
    mapping.munmap(task, 0x40000000, P)
    assert anonymous(task, 0, 1, 5) == 0x40000000


def test_mprotect_cases_four_to_eight():
    cases = {  # protections of 3 * 4 pages, the range changed and what to; then what is there
        4: ([1, 3, None], (2, 4, 3), [(0, 2), (2, 8)]),
        5: ([3, 1, None], (4, 6, 3), [(0, 6), (6, 8)]),
        6: ([3, 1, 3], (4, 8, 3), [(0, 12)]),
        7: ([3, 1, 5], (4, 8, 3), [(0, 8), (8, 12)]),
        8: ([1, 5, 3], (4, 8, 3), [(0, 4), (4, 12)]),
    }
    for case, (prots, (start, end, to), want) in cases.items():
        _k, task = process()
        for i, prot in enumerate(prots):
            if prot is not None:
                anonymous(task, 0x40000000 + 4 * i * P, 4, prot, FIXED)
        for vma in task.mm:
            vma.vm_flags |= VM_ACCOUNT  # what was once writable stays accounted: only the protection differs
        assert mprotect.mprotect(task, 0x40000000 + start * P, (end - start) * P, to) == 0
        assert [((a - 0x40000000) // P, (b - 0x40000000) // P) for a, b in ranges(task)] == want, f"case {case}"


def test_parts_that_were_written_apart_do_not_merge(task):
    a = anonymous(task, 0x40000000, 4, flags=FIXED)
    anonymous(task, a + 8 * P, 4, flags=FIXED)
    touch(task, a, True)
    touch(task, a + 8 * P, True)
    assert anonymous(task, a + 4 * P, 4, flags=FIXED) == a + 4 * P
    assert ranges(task) == [(a, a + 8 * P), (a + 8 * P, a + 12 * P)]


def test_neighbours_written_one_after_the_other_share_their_anon_vma(task):
    a = anonymous(task, 0x40000000, 8, flags=FIXED)
    mprotect.mprotect(task, a, 4 * P, 1)
    touch(task, a + 4 * P, True)
    mprotect.mprotect(task, a, 4 * P, 5)
    mprotect.mprotect(task, a, 4 * P, 7)
    touch(task, a, True)
    assert mprotect.mprotect(task, a, 4 * P, RW) == 0
    assert ranges(task) == [(a, a + 8 * P)]


def test_a_moved_mapping_keeps_its_offset_once_it_was_written(task):
    untouched, written = anonymous(task, 0x40000000, 4, flags=FIXED), anonymous(task, 0x50000000, 4, flags=FIXED)
    touch(task, written, True)
    for old in (untouched, written):
        mremap.mremap(task, old, 4 * P, 4 * P, 3, old + 0x1000000)
    offsets = {v.vm_start: v.vm_pgoff for v in task.mm}
    assert offsets == {0x41000000: 0x41000, 0x51000000: 0x50000}


def test_the_stack_grows_to_its_limit_and_keeps_the_gap(task):
    top = anonymous(task, 0xBE000000, 4, flags=FIXED | 0x100)
    assert touch(task, top - 10 * P, False) == 0
    assert ranges(task)[0][0] == top - 10 * P
    anonymous(task, top - 300 * P, 4, flags=FIXED)
    assert touch(task, top - 60 * P, True) == SIGSEGV
    mprotect.mprotect(task, top - 300 * P, 4 * P, 0)
    assert touch(task, top - 60 * P, True) == 0, "what cannot be accessed does not count"
    task.setrlimit(RLIMIT_STACK, 70 * P)
    assert touch(task, top - 80 * P, True) == SIGSEGV
    assert checked(task.mm)[-1].vm_start == top - 60 * P


def test_the_stack_grows_even_where_the_access_is_refused(task):
    top = anonymous(task, 0xBE000000, 4, 1, FIXED | 0x100)
    assert touch(task, top - P, True) == SIGSEGV
    assert ranges(task) == [(top - P, top + 4 * P)]


def test_brk_moves_within_its_room(task):
    assert brk.brk(task, 0x100000 + 3 * P + 5) == 0x100000 + 3 * P + 5
    assert ranges(task) == [(0x100000, 0x104000)]
    assert brk.brk(task, 1) == 0x100000 + 3 * P + 5
    anonymous(task, 0x110000, 1, flags=FIXED)
    assert brk.brk(task, 0x110000 - P) == 0x110000 - P
    assert brk.brk(task, 0x110000) == 0x110000 - P, "a page stays free below a mapping"
    assert brk.brk(task, 0x100000) == 0x100000
    assert ranges(task) == [(0x110000, 0x111000)]


@pytest.mark.parametrize(
    ("args", "error"),
    [
        ((0, 0, RW, PRIVATE | ANON, -1, 0), EINVAL),
        ((0, 0xFFFFFFFF, RW, PRIVATE | ANON, -1, 0), ENOMEM),
        ((0, 0xC0000000, RW, PRIVATE | ANON, -1, 0), ENOMEM),
        ((0, P, RW, PRIVATE, 99, 0), 9),
        ((0, P, RW, ANON, -1, 0), EINVAL),
        ((0x1000, P, RW, PRIVATE | ANON | FIXED, -1, 0), EINVAL),
        ((0x40000001, P, RW, PRIVATE | ANON | FIXED, -1, 0), EINVAL),
        ((0xBF000000, P, RW, PRIVATE | ANON | FIXED, -1, 0), ENOMEM),
        ((0x40000000, P, RW, PRIVATE | ANON | 0x100000, -1, 0), EEXIST),
        ((0, P, RW, SHARED | ANON | 0x100, -1, 0), EINVAL),
        ((0, P, RW, PRIVATE | ANON | 0x40000, -1, 0), EINVAL),
        ((0, 2 * P, RW, PRIVATE, 3, 0xFFFFFFFF), 75),
        ((0, P, RW, SHARED, 4, 0), 13),
        ((0, P, RW, PRIVATE, 5, 0), 13),
        ((0x41000000, P, RW, 3 | 0x100000, 3, 0), 95),
        ((0, P, RW, PRIVATE, 6, 0), 19),
    ],
)
def test_what_mmap_refuses_changes_nothing(task, args, error):
    inode = Inode(10 * P)
    for fd, mode in ((3, 3), (4, 1), (5, 2)):
        task.files[fd] = File("/f", inode, Shmem(), mode)
    task.files[6] = File("/d", inode, FileOperations())
    anonymous(task, 0x40000000, 1, flags=FIXED)
    before = ranges(task), task.processes.vm_committed_as, [f.f_count for f in task.files.values()]
    assert mapping.mmap_pgoff(task, *args) == -error
    assert before == (ranges(task), task.processes.vm_committed_as, [f.f_count for f in task.files.values()])


def test_limits_of_size_data_and_locks(task):
    task.setrlimit(RLIMIT_AS, 20 * P)
    assert anonymous(task, 0, 21) == -ENOMEM
    a = anonymous(task, 0, 20)
    assert anonymous(task, a, 20, 1, FIXED) == a, "what is replaced does not count"
    task.setrlimit(RLIMIT_AS, 0xFFFFFFFF)
    task.setrlimit(RLIMIT_DATA, 5 * P)
    assert anonymous(task, 0, 6) == -ENOMEM
    assert any("exceed data ulimit" in r.text for r in task.processes.k.log.records)
    task.cap_effective = 0
    task.setrlimit(RLIMIT_MEMLOCK, 4 * P)
    assert mlock.mlock(task, a, 5 * P) == -ENOMEM
    assert mlock.mlock(task, a, 4 * P) == 0
    assert mlock.mlock(task, a, 4 * P) == 0, "what is locked already does not count"
    assert anonymous(task, 0, 1, 1, 0x2000) == -EAGAIN
    task.setrlimit(RLIMIT_MEMLOCK, 0)
    assert mlock.mlock(task, a, P) == -EPERM


def test_too_many_mappings(task):
    task.processes.sysctl_max_map_count = 10
    for i in range(11):
        anonymous(task, 0x40000000 + 4 * i * P, 3, flags=FIXED)
    assert anonymous(task, 0, 1, 1) == -ENOMEM
    assert mapping.munmap(task, 0x40001000, P) == -ENOMEM
    assert mapping.munmap(task, 0x40000000, P) == 0
    assert mprotect.mprotect(task, 0x40005000, P, 1) == -ENOMEM
    assert mremap.mremap(task, 0x40004000, P, 9 * P, 1) == -ENOMEM
    checked(task.mm)


def test_promises_are_kept_in_count(task):
    processes = task.processes
    a = anonymous(task, 0x40000000, 10, flags=FIXED)
    anonymous(task, 0x50000000, 10, 1, FIXED)
    assert processes.vm_committed_as == 10
    mprotect.mprotect(task, 0x50000000, 4 * P, RW)
    mremap.mremap(task, a + 2 * P, 3 * P, 5 * P, 1)
    assert processes.vm_committed_as == 16
    child = copy_process(task)
    assert processes.vm_committed_as == 32
    do_exit(child)
    mapping.munmap(task, 2 * P, 0xBE000000)
    assert (processes.vm_committed_as, task.mm.total_vm) == (0, 0)
    processes.sysctl_overcommit_memory = 2
    assert anonymous(task, 0, 60000) == -ENOMEM
    assert anonymous(task, 0, 59000) > 0


def test_fork_copies_what_it_should(task):
    a = anonymous(task, 0x40000000, 16, flags=FIXED)
    mapping.mmap_pgoff(task, 0x50000000, 4 * P, RW, SHARED | ANON | FIXED, -1, 0)
    touch(task, a, True)
    madvise.madvise(task, a, 2 * P, 10)  # DONTFORK
    madvise.madvise(task, a + 4 * P, 2 * P, 18)  # WIPEONFORK
    mlock.mlock(task, a + 8 * P, 2 * P)
    child = copy_process(task)
    vmas = checked(child.mm)
    assert a not in [v.vm_start for v in vmas]
    assert child.mm.locked_vm == 0
    assert not any(v.vm_flags & VM_LOCKED for v in vmas)
    wiped = next(v for v in vmas if v.vm_start == a + 4 * P)
    assert wiped.anon_vma is None
    parents, own = (next(v for v in t.mm if v.vm_start == a + 2 * P) for t in (task, child))
    assert own.anon_vma is not parents.anon_vma
    assert own.anon_vma_chain == [own.anon_vma, parents.anon_vma]
    assert own.anon_vma.root is parents.anon_vma
    at = parents.vm_pgoff
    assert vma_interval_tree_foreach(parents.anon_vma.rb_root, at, at) == [parents, own]
    shared = [v for t in (task, child) for v in t.mm if v.vm_start == 0x50000000]
    assert shared[0].vm_file.f_mapping.i_mmap == shared
    do_exit(child)
    assert vma_interval_tree_foreach(parents.anon_vma.rb_root, at, at) == [parents]
    assert [1] == list(task.processes.tasks)


def test_a_grandchild_takes_over_an_anon_vma_that_nobody_uses(task):
    a = anonymous(task, 0x40000000, 2, flags=FIXED)
    touch(task, a, True)
    child = copy_process(task)
    grandchild = copy_process(child)
    left = next(iter(child.mm)).anon_vma
    do_exit(child)
    assert next(iter(copy_process(grandchild).mm)).anon_vma is left


def test_vfork_shares_the_address_space(task):
    anonymous(task, 0x40000000, 2, flags=FIXED)
    child = copy_process(task, share_mm=True)
    mapping.munmap(child, 0x40000000, P)
    assert ranges(task) == [(0x40001000, 0x40002000)]
    do_exit(child)
    assert ranges(task) == [(0x40001000, 0x40002000)]
    with pytest.raises(ProcessError):
        mapping.munmap(child, 0x40000000, P)


def test_a_file_that_refuses_leaves_a_hole(task):
    class Device(FileOperations):
        def mmap(self, _file, _vma):
            return -EINVAL

    a = anonymous(task, 0x40000000, 8, flags=FIXED)
    task.files[3] = device = File("/dev/x", Inode(0, 0o020644), Device())
    assert mapping.mmap_pgoff(task, a + 2 * P, 4 * P, RW, SHARED | FIXED, 3, 0) == -EINVAL
    assert ranges(task) == [(a, a + 2 * P), (a + 6 * P, a + 8 * P)]
    assert (device.f_count, device.f_mapping.i_mmap, device.f_mapping.i_mmap_writable) == (1, [], 0)
    checked(task.mm)


def test_a_driver_is_told_of_every_copy_of_its_mapping(task):
    told = []
    ops = VmOperationsStruct("x_ops", open=lambda v: told.append(("open", v.vm_start, v.vm_end)),
                             close=lambda v: told.append(("close", v.vm_start, v.vm_end)))  # fmt: skip

    class Device(FileOperations):
        def mmap(self, _file, vma):
            vma.vm_ops = ops
            return 0

    task.files[3] = File("/dev/x", Inode(0, 0o020644), Device())
    a = mapping.mmap_pgoff(task, 0x40000000, 4 * P, RW, SHARED | FIXED, 3, 0)
    mapping.munmap(task, a + P, P)
    assert told == [("open", a + P, a + 4 * P), ("open", a + P, a + 2 * P), ("close", a + P, a + 2 * P)]
    assert task.files[3].f_count == 3
    do_exit(copy_process(task))
    assert task.files[3].f_count == 3
    assert [v.vm_start for v in task.files[3].f_mapping.i_mmap] == [a, a + 2 * P]


def test_beyond_the_end_of_a_file_there_is_sigbus(task):
    task.files[3] = shmem_kernel_file_setup(task.mm.pages, P + 1, filled=True)
    a = mapping.mmap_pgoff(task, 0, 4 * P, RW, PRIVATE, 3, 0)
    assert [touch(task, a + i * P, True) for i in range(4)] == [0, 0, SIGBUS, SIGBUS]
    assert mlock.mlock(task, a, 4 * P) == -ENOMEM
    assert next(iter(task.mm)).vm_flags & VM_LOCKED


def test_a_copied_machine_has_processes_of_its_own(task):
    a = anonymous(task, 0x40000000, 300, flags=FIXED)
    for i in range(0, 300, 2):
        mprotect.mprotect(task, a + i * P, P, 1)
        touch(task, a + i * P + P, True)
    child = copy_process(task)
    other = copy.deepcopy(task.processes)
    mapping.munmap(task, a, 100 * P)
    mine, theirs = other.tasks[1], other.tasks[child.pid]
    assert len(checked(mine.mm)) == len(checked(theirs.mm)) == 300
    for parent, copied in zip(mine.mm, theirs.mm, strict=True):
        assert parent.vm_mm is mine.mm
        assert parent.anon_vma is None or parent.anon_vma in copied.anon_vma_chain
    assert anonymous(mine, 0, 1) > 0
    assert len(checked(task.mm)) == 200
