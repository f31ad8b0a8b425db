"""Random calls of two programs on a real kernel: every answer, every mapping, every page in memory."""

import lzma
from bisect import bisect
from pathlib import Path

import pytest

import bootsim
from bootsim.linux.include.linux.fs import File
from bootsim.linux.kernel.fork.init import processes
from bootsim.linux.mm import madvise, mlock, mprotect, mremap, msync
from bootsim.linux.mm.memory.access import do_page_fault
from bootsim.linux.mm.mmap import brk
from bootsim.linux.mm.mmap import map as mapping
from bootsim.linux.mm.mmap.restore import make_anon, restore
from bootsim.linux.mm.mmap.structs import Task, VmOperationsStruct
from bootsim.linux.mm.shmem import ShmemOperations, shmem_kernel_file_setup

GOLDEN = Path(__file__).parents[2] / "golden/mappings"
P, EPERM = 4096, 1
LOW = 0x30000000  # where the programs' random mappings begin
SMAPS = {
    "rd": 0x1, "wr": 0x2, "ex": 0x4, "sh": 0x8, "mr": 0x10, "mw": 0x20, "me": 0x40, "ms": 0x80, "gd": 0x100,
    "dw": 0x800, "lo": 0x2000, "sr": 0x8000, "rr": 0x10000, "dc": 0x20000, "de": 0x40000, "??": 0x80000,
    "ac": 0x100000, "nr": 0x200000, "sf": 0x800000, "wf": 0x2000000, "dd": 0x4000000, "mg": 0x80000000,
}  # fmt: skip


def in_memory(k, mm, starts):
    """Pages in memory and anonymous ones, by the mappings that begin at `starts`, as smaps counts them."""
    pages, order = k.processes.pages, sorted(starts)
    found = dict.fromkeys(order, (0, 0))
    for va, linux, _, _ in pages.entries(mm):
        at = bisect(order, va)
        if va >= LOW and at and va < 0xB6FFD000 and linux >> 12 != pages.zero_page():
            rss, anon = found[order[at - 1]]
            found[order[at - 1]] = (rss + 1, anon + (pages.page(linux >> 12)[3] & 1))
    return found


class Recording:
    """A log of vmarand.c (tests/golden/mappings), call by call."""

    def __init__(self, name):
        text = lzma.decompress((GOLDEN / name).read_bytes()).decode()
        lines = text.split("@@BEGIN\n")[1].split("@@END")[0].splitlines()
        self.head, self.calls = [], []
        for line in lines:
            if line.startswith("o ") and line != "o user = 0":
                self.calls.append((line.split(), []))
            else:
                (self.calls[-1][1] if self.calls else self.head).append(line.split())
        self.rows, self.anonymous, self.status = {}, [], []
        self.apply(self.head)

    def apply(self, lines):
        for words in lines:
            if words[0] == "-":
                del self.rows[int(words[1], 16)]
            elif words[0] == "+":
                start, end, offset, rss, anon = (int(words[i], 16) for i in (1, 2, 4, 6, 7))
                self.rows[start] = (end, sum(SMAPS[w] for w in words[8:]), offset >> 12, words[5], rss, anon)
            elif words[0] == "=" and words[2] == "anon":
                self.anonymous.append(int(words[1], 16))
            elif words[0] == "s":
                self.status = [int(w, 16) for w in words[1:6]]

    def process(self, k):
        """The process as it is before the first call."""
        room = processes(k)
        room.mmap_min_addr, room.ksm, room.swap, room.compat_brk = 32768, True, True, False
        k.mm.totalram_pages = 120000
        task = room.tasks[1] = Task(room, 1)
        task.mm = room.pages.new_mm(task, "recorded")
        task.mm.topdown, task.mm.mmap_base = True, 0xB7000000
        inodes = [shmem_kernel_file_setup(room.pages, 20 * P, "/t", filled=True).f_inode for _ in range(2)]
        for i, fd in enumerate(next(words[1:] for words in self.head if words[0] == "f")):
            task.files[int(fd, 16)] = File("/t", inodes[i // 3], ShmemOperations(room.pages), (3, 1, 2)[i % 3])
        exe = shmem_kernel_file_setup(room.pages, 1 << 20, "/vmarand", filled=True)
        special = VmOperationsStruct("special", close=lambda _: None)
        mm = task.mm
        mm.brk = int(next(words[1] for words in self.head if words[0] == "b"), 16)
        mm.start_brk, mm.start_data, mm.end_data = 0x1DE000, 0x890AC, 0x8C380  # the program's headers
        for start, (end, flags, pgoff, name, *_) in sorted(self.rows.items()):
            if name == "[vectors]":
                continue
            kernels, file = name in ("[sigpage]", "[vvar]", "[vdso]"), exe if name == "/vmarand" else None
            restore(task, start, end, flags, pgoff if file else 0 if kernels else start >> 12, file,
                    special if kernels else ShmemOperations.vm_ops if file else None)  # fmt: skip
        for start in self.anonymous:
            make_anon(task, start)
        mm.hiwater_vm = self.status[0] // 4
        if ["o", "user", "=", "0"] in self.head:
            task.cap_effective = 0
        return task


def call(task, name, args):
    if name == "mmap2":
        return mapping.mmap_pgoff(task, *args[:4], -1 if args[4] == 0xFFFFFFFF else args[4], args[5])
    if name == "setrlimit":
        if task.cap_effective or task.getrlimit(args[0])[1] == 0xFFFFFFFF:
            task.setrlimit(args[0], args[1])
            return 0
        return -EPERM
    functions = {"munmap": mapping.munmap, "mprotect": mprotect.mprotect, "mremap": mremap.mremap,
                 "madvise": madvise.madvise, "mlock": mlock.mlock, "munlock": mlock.munlock, "mlock2": mlock.mlock2,
                 "mlockall": mlock.mlockall, "munlockall": mlock.munlockall, "brk": brk.brk, "msync": msync.msync,
                 "touch": lambda t, addr, write: do_page_fault(t, t.processes.pages, addr, write)[0]}  # fmt: skip
    return functions[name](task, *args)


@pytest.mark.golden
@pytest.mark.parametrize("name", ["armmp-virt-root.log.xz", "armmp-virt-user.log.xz"])
def test_every_answer_and_every_line_of_smaps_is_the_real_kernels(name):
    real = Recording(name)
    k = bootsim.boot("vexpress.dts", config="3G/1G", mem="512M", smp=1, cmdline="norandmaps")
    task = real.process(k)
    mm = task.mm
    for words, after in real.calls:
        answer = words.index("=")
        got = call(task, words[1], [int(w, 16) for w in words[2:answer]])
        assert got & 0xFFFFFFFF == int(words[answer + 1], 16), words
        real.apply(after)
        mine = {v.vm_start: (v.vm_end, v.vm_flags, v.vm_pgoff if v.vm_file else 0) for v in mm}
        assert mine == {s: row[:3] for s, row in real.rows.items() if row[3] != "[vectors]"}, words
        sizes = (max(mm.hiwater_vm, mm.total_vm), mm.total_vm, mm.locked_vm, mm.data_vm, mm.stack_vm)
        assert [4 * pages for pages in sizes] == real.status, words
        there = {s: row[4:] for s, row in real.rows.items() if LOW <= s < 0xB6FFD000}
        assert in_memory(k, mm, there) == there, words
    assert len(real.calls) > 2400
