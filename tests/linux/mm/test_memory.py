"""Pages of processes: which are made, shared, copied and given back."""

import random

import pytest

import bootsim
from bootsim.linux.kernel.fork.dup import copy_process, do_exit
from bootsim.linux.kernel.fork.init import new_task, processes
from bootsim.linux.mm import madvise, mlock, mprotect, mremap
from bootsim.linux.mm.filemap import disk_file, disk_inode
from bootsim.linux.mm.memory.access import access_user, do_page_fault
from bootsim.linux.mm.mmap.map import mmap_pgoff, munmap

P = 4096
RW, PRIVATE, SHARED, FIXED, ANON = 3, 2, 1, 0x10, 0x20
YOUNG, DIRTY, RDONLY = 1 << 1, 1 << 6, 1 << 7
HW_NG, HW_APX = 1 << 11, 1 << 9


class Machine:
    """A booted kernel with one process that has no mappings."""

    def __init__(self):
        self.k = bootsim.boot("vexpress.dts", config="3G/1G", mem="256M", cmdline="norandmaps")
        self.pages = processes(self.k).pages
        self.task = new_task(self.k)
        self.task.mm = self.pages.new_mm(self.task, "test")
        self.task.mm.topdown, self.task.mm.mmap_base = True, 0xB7000000

    def anon(self, pages, addr=0, prot=RW, flags=PRIVATE, task=None):
        return mmap_pgoff(task or self.task, addr, pages * P, prot, flags | ANON | (FIXED if addr else 0), -1, 0)

    def read(self, addr, task=None):
        return access_user(task or self.task, self.pages, addr, 1)

    def write(self, addr, value, task=None):
        return access_user(task or self.task, self.pages, addr, 1, bytes([value]))

    def entry(self, addr, task=None):
        found = {va: (linux, hw, pfn) for va, linux, hw, pfn in self.pages.entries((task or self.task).mm)}
        return found.get(addr)

    def frame(self, addr, task=None):
        return self.entry(addr, task)[0] >> 12

    def page(self, addr, task=None):
        return dict(zip(("flags", "mapcount", "refcount", "mapping", "index"),
                        self.pages.page(self.frame(addr, task)), strict=True))  # fmt: skip

    def free(self):
        self.pages.drain()
        return sum(z["nr_free_pages"] + sum(p["count"] for p in z["pcp"]) for z in self.k.zones)


@pytest.fixture
def m():
    return Machine()


def test_a_read_maps_the_zero_page_and_a_write_a_page_of_its_own(m):
    a = m.anon(2)
    assert m.read(a) == b"\0"
    assert m.frame(a) == m.pages.zero_page()
    linux, hw, _ = m.entry(a)
    assert (linux & RDONLY, hw & HW_APX, hw & HW_NG) == (RDONLY, HW_APX, HW_NG)
    m.write(a, 7)
    assert m.frame(a) != m.pages.zero_page()
    assert m.read(a) == b"\7"
    assert not m.entry(a)[0] & RDONLY
    assert m.page(a)["mapcount"] == 1
    assert m.task.mm.rss == [0, 1, 0, 0]


def test_what_the_hardware_walks_is_what_linux_wrote(m):
    a = m.anon(1)
    m.write(a + 5, 9)
    cp15 = m.k.cpus[0].cp15
    assert m.k.machine.ram.read(m.frame(a) * P + 5, 1) == b"\x09"
    table = m.k.machine.ram.read32(m.task.mm.pgd_pa + 4 * (a >> 20))
    hw = m.k.machine.ram.read32((table & ~0x3FF) + 4 * (a >> 12 & 255))
    assert hw >> 12 == m.frame(a)
    assert cp15 is m.k.cpus[0].cp15


def test_fork_shares_and_the_first_writer_copies(m):
    a = m.anon(1)
    m.write(a, 1)
    m.pages.drain()
    child = copy_process(m.task)
    assert m.frame(a) == m.frame(a, child)
    assert m.page(a)["mapcount"] == 2
    assert m.entry(a)[0] & RDONLY
    assert not m.entry(a, child)[0] & YOUNG
    m.write(a, 2, child)
    m.pages.drain()
    assert (m.read(a), m.read(a, child)) == (b"\1", b"\2")
    frame = m.frame(a)
    m.write(a, 3)
    assert m.frame(a) == frame, "the last who has a page keeps it"


def test_a_page_that_waits_in_a_vector_is_copied_not_kept(m):
    a = m.anon(1)
    m.write(a, 1)
    child = copy_process(m.task)
    do_exit(child)
    frame = m.frame(a)
    m.pages.drain()
    m.write(a, 2)
    assert m.frame(a) == frame
    b = m.anon(1)
    m.write(b, 1)
    mprotect.mprotect(m.task, b, P, 1)
    mprotect.mprotect(m.task, b, P, RW)
    frame = m.frame(b)
    m.write(b, 2)
    assert m.frame(b) != frame
    assert m.read(b) == b"\2"


def test_shared_memory_stays_shared(m):
    a = m.anon(2, flags=SHARED)
    m.write(a, 5)
    child = copy_process(m.task)
    assert m.entry(a, child) is None, "the child's entry comes with its first access"
    assert m.read(a, child) == b"\5"
    m.write(a + P, 6, child)
    assert m.read(a + P) == b"\6"


def test_a_file_in_all_four_ways(m):
    file = disk_file(m.pages, "/f", disk_inode(m.pages, bytes(range(200)) * 100), writable=True)
    m.task.files[3] = file
    size = len(file.f_inode.content)
    shared = mmap_pgoff(m.task, 0, 5 * P, RW, SHARED, 3, 0)
    private = mmap_pgoff(m.task, 0, 5 * P, RW, PRIVATE, 3, 0)
    assert m.read(private + 300) == bytes([100])
    assert m.entry(private + 4 * P) is not None, "the pages around came with it"
    assert m.read(shared + 300) == bytes([100])
    assert m.entry(shared)[0] & RDONLY, "the first write must be heard of"
    m.write(shared, 77)
    assert m.read(private) == b"\x4d"
    m.write(private, 88)
    assert (m.read(shared), m.read(private)) == (b"\x4d", b"\x58")
    assert m.page(private)["mapping"] & 1
    file.f_op.fsync(file, 0, size, 0)
    assert m.entry(shared)[0] & (RDONLY | DIRTY) == RDONLY
    assert access_user(m.task, m.pages, shared + 5 * P, 1) == (11, 1, shared + 5 * P)


def test_signals_have_the_kernels_codes(m):
    a = m.anon(1, prot=1)
    assert do_page_fault(m.task, m.pages, a, True) == (11, 2)
    assert do_page_fault(m.task, m.pages, 0x1000, False) == (11, 1)
    assert do_page_fault(m.task, m.pages, 0xC0008000, False) == (11, 1)
    m.task.files[3] = disk_file(m.pages, "/f", disk_inode(m.pages, b"x"))
    b = mmap_pgoff(m.task, 0, 2 * P, 1, PRIVATE, 3, 0)
    assert do_page_fault(m.task, m.pages, b + P, False) == (7, 2)


def test_advice_locks_and_moves(m):
    a = m.anon(4)
    for i in range(4):
        m.write(a + i * P, i + 1)
    madvise.madvise(m.task, a, P, 4)
    assert (m.read(a), m.read(a + P)) == (b"\0", b"\2")
    m.pages.drain()
    madvise.madvise(m.task, a + P, P, 8)
    assert not m.entry(a + P)[0] & (YOUNG | DIRTY)
    to = mremap.mremap(m.task, a, 4 * P, 6 * P, 3, 0x40000000)
    assert [m.read(to + i * P) for i in range(6)] == [b"\0", b"\2", b"\3", b"\4", b"\0", b"\0"]
    assert m.entry(a + P) is None
    mlock.mlock(m.task, to, 6 * P)
    assert m.frame(to + 5 * P) != m.pages.zero_page()


def test_everything_is_given_back(m):
    before = m.free()
    a = m.anon(700)
    for i in range(0, 700, 3):
        m.write(a + i * P, 1)
    mmap_pgoff(m.task, 0x40000000, 600 * P, RW, PRIVATE | ANON | FIXED | 0x8000, -1, 0)
    child = copy_process(m.task)
    for i in range(0, 700, 6):
        m.write(a + i * P, 2, child)
    assert m.free() < before - 900
    do_exit(child)
    munmap(m.task, 2 * P, 0xBE000000)
    assert m.task.mm.rss == [0, 0, 0, 0]
    assert m.task.mm.pgtables_bytes == 0
    assert m.free() == before


@pytest.mark.parametrize("seed", range(4))
def test_contents_are_those_of_a_dict_of_bytes(m, seed):
    """Parent and children read what was written, through forks, moves, protections and advice."""
    rnd, base = random.Random(seed), 0x40000000
    alive = [(m.task, {})]
    for step in range(600):
        task, model = rnd.choice(alive)
        page = base + rnd.randrange(40) * P
        kind = rnd.randrange(12)
        if kind < 4:
            value = step % 250 + 1
            got = m.write(page, value, task)
            assert isinstance(got, bytes) == (page in model)
            if page in model:
                model[page] = value
        elif kind < 7:
            got = m.read(page, task)
            assert got == bytes([model[page]]) if page in model else got == (11, 1, page)
        elif kind < 9:
            m.anon(3, page, task=task)
            model.update({page + i * P: 0 for i in range(3)})
        elif kind == 9:
            munmap(task, page, 2 * P)
            for i in range(2):
                model.pop(page + i * P, None)
        elif kind == 10 and len(alive) < 5:
            alive.append((copy_process(task), dict(model)))
        elif len(alive) > 1 and rnd.random() < 0.5:
            alive.remove((task, model))
            do_exit(task)
        else:
            madvise.madvise(task, page, P, 4)
            if page in model:
                model[page] = 0
    for task, model in alive:
        assert all(m.read(page, task) == bytes([value]) for page, value in model.items())


def test_a_copied_machine_has_pages_of_its_own(m):
    a = m.anon(3)
    m.write(a, 1)
    other = m.k.copy()
    m.write(a, 2)
    task = other.processes.tasks[m.task.pid]
    assert access_user(task, other.processes.pages, a, 1) == b"\1"
    access_user(task, other.processes.pages, a + P, 1, b"\5")
    assert m.read(a + P) == b"\0"


def test_a_hole_in_a_file_is_seen_by_all_but_private_copies(m):
    file = m.task.files[3] = disk_file(m.pages, "/f", disk_inode(m.pages, b"x" * 4 * P), writable=True)
    shared = mmap_pgoff(m.task, 0, 4 * P, RW, SHARED, 3, 0)
    private = mmap_pgoff(m.task, 0, 4 * P, RW, PRIVATE, 3, 0)
    m.write(private, 1)
    assert m.read(private + P) == b"x"
    assert madvise.madvise(m.task, shared, 2 * P, 9) == 0  # MADV_REMOVE
    assert (m.read(private), m.read(private + P), m.read(shared)) == (b"\1", b"\0", b"\0")
    assert m.read(shared + 2 * P) == b"x"
    assert file.f_mapping.page_cache.content == b"x" * 4 * P


def test_a_file_that_grows_faults_at_its_old_end(m):
    file = m.task.files[3] = disk_file(m.pages, "/f", disk_inode(m.pages, b"x" * 100), writable=True)
    shared = mmap_pgoff(m.task, 0, P, RW, SHARED, 3, 0)
    m.write(shared, 1)
    m.pages.pagecache_isize_extended(file.f_mapping, 100, 200, 1024)
    assert not m.entry(shared)[0] & RDONLY, "the new end is in the same block"
    m.pages.pagecache_isize_extended(file.f_mapping, 100, 3000, 1024)
    assert m.entry(shared)[0] & (RDONLY | DIRTY) == RDONLY


def test_what_is_truncated_is_gone_and_comes_back_as_zeroes(m):
    file = m.task.files[3] = disk_file(m.pages, "/f", disk_inode(m.pages, b"x" * 4 * P), writable=True)
    shared = mmap_pgoff(m.task, 0, 4 * P, RW, SHARED, 3, 0)
    assert m.read(shared + 3 * P) == b"x"
    file.f_inode.i_size = 2 * P
    m.pages.unmap_mapping_range(file.f_mapping, 2 * P)
    file.f_mapping.page_cache.truncate(2 * P)
    assert do_page_fault(m.task, m.pages, shared + 3 * P, False) == (7, 2)
    file.f_inode.i_size = 4 * P
    assert m.read(shared + 3 * P) == b"\0"
    assert m.read(shared + P) == b"x"
