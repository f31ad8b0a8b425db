"""Programs from ELF files: where everything of them lies, as in real processes."""

import struct

import pytest

import bootsim
from bootsim.linux.fs.binfmt_elf import execve
from bootsim.linux.fs.proc.task_mmu import proc_pid_maps, show_smap_vma_flags, task_mem
from bootsim.linux.kernel.fork.dup import copy_process, do_exit
from bootsim.linux.kernel.fork.init import new_task, processes
from bootsim.linux.mm.filemap import disk_file, disk_inode
from bootsim.linux.mm.memory.access import access_user
from bootsim.linux.mm.mmap.structs import ProcessError

PT_LOAD, PT_INTERP, PT_GNU_STACK = 1, 3, 0x6474E551
ET_EXEC, ET_DYN = 2, 3
STACK = (PT_GNU_STACK, 0, 0, 0, 0, 6)
# /sbin/init of the recording vm-3gh: the segments that its mappings tell of
SEGMENTS = ((PT_LOAD, 0, 0x10000, 0x78F00, 0x78F00, 5), (PT_LOAD, 0x79F1C, 0x89F1C, 0x30B8, 0x16F04, 6), STACK)
AT = {"PHDR": 3, "BASE": 7, "ENTRY": 9, "PLATFORM": 15, "RANDOM": 25, "EXECFN": 31, "SYSINFO_EHDR": 33}


def elf(*segments, kind=ET_EXEC, entry=0x10100, machine=40, flags=0x05000200, interpreter=b""):
    """An ELF file with these program headers: (type, offset, address, bytes in the file, bytes in memory, flags)."""
    size = max(offset + filesz for _, offset, _, filesz, _, _ in segments)
    data = bytearray(max(size, 52 + 32 * len(segments) + len(interpreter)))
    struct.pack_into("<4sBBB9xHHIIIIIHHHHHH", data, 0, b"\x7fELF", 1, 1, 1, kind, machine, 1, entry, 52, 0, flags, 52,
                     32, len(segments), 0, 0, 0)  # fmt: skip
    for i, (what, offset, vaddr, filesz, memsz, access) in enumerate(segments):
        struct.pack_into("<8I", data, 52 + 32 * i, what, offset, vaddr, vaddr, filesz, memsz, access, 0x1000)
    data[0x400:0x400 + len(interpreter)] = interpreter
    return bytes(data)


def file(k, content, path="/sbin/init"):
    pages = processes(k).pages
    return disk_file(pages, path, disk_inode(pages, content))


@pytest.fixture
def k():
    return bootsim.boot("vexpress.dts", config="3G/1G", mem="256M", cmdline="norandmaps")


def start(k, content, argv=(b"/sbin/init",), envp=(b"HOME=/", b"TERM=linux"), open_exec=None):
    task = new_task(k)
    assert execve(task, file(k, content), list(argv), list(envp), open_exec) == 0
    return task


def ranges(task):
    return [(v.vm_start, v.vm_end) for v in task.mm]


def test_a_program_lies_where_a_real_kernel_put_it(k):
    task = start(k, elf(*SEGMENTS))
    mm = task.mm
    assert ranges(task) == [
        (0x10000, 0x89000), (0x89000, 0x8D000), (0x8D000, 0xA1000), (0xB6FFD000, 0xB6FFE000),
        (0xB6FFE000, 0xB6FFF000), (0xB6FFF000, 0xB7000000), (0xBEFDF000, 0xBF000000)]  # fmt: skip
    flags = [v.vm_flags for v in mm]
    assert flags == [0x875, 0x100873, 0x100073, 0x40075, 0x40011, 0x40075, 0x100173]
    assert (mm.mmap_base, mm.start_brk, mm.brk, mm.start_stack) == (3070230528, 659456, 659456, 3204448000)
    assert (mm.start_code, mm.end_code, mm.start_data, mm.end_data) == (0x10000, 0x88F00, 0x89F1C, 0x8CFD4)
    assert (mm.task_size, mm.stack_vm, mm.exec_vm, mm.total_vm) == (3204448256, 33, 123, 181)


def test_the_stack_has_strings_above_tables(k):
    mm = start(k, elf(*SEGMENTS), (b"one", b"two"), (b"A=b",)).mm
    auxv = dict(mm.saved_auxv)
    assert auxv[AT["EXECFN"]] == 0xBF000000 - 4 - len(b"/sbin/init\0")
    assert mm.env_end == auxv[AT["EXECFN"]]
    assert (mm.env_end - mm.env_start, mm.arg_end - mm.arg_start) == (4, 8)
    assert auxv[AT["PLATFORM"]] == mm.arg_start - len(b"v7l\0")
    assert auxv[AT["RANDOM"]] == auxv[AT["PLATFORM"]] - 16
    assert (auxv[AT["PHDR"]], auxv[AT["ENTRY"]], auxv[AT["BASE"]]) == (0x10034, 0x10100, 0)
    assert auxv[AT["SYSINFO_EHDR"]] == mm.vdso == 0xB6FFF000
    assert mm.saved_auxv[-1] == (0, 0)
    assert mm.start_stack % 16 == 0
    words = struct.unpack("<8I", access_user(processes(k).tasks[1], processes(k).pages, mm.start_stack, 32))
    assert words == (2, mm.arg_start, mm.arg_start + 4, 0, mm.env_start, 0, 33, mm.vdso)
    assert access_user(processes(k).tasks[1], processes(k).pages, mm.arg_start, 12) == b"one\0two\0A=b\0"
    assert 0 <= auxv[AT["RANDOM"]] - mm.start_stack - 4 * (1 + 3 + 2) - 8 * len(mm.saved_auxv) < 16


def test_a_position_independent_program_and_its_interpreter(k):
    loads = ((PT_LOAD, 0, 0, 0x1800, 0x1800, 5), (PT_LOAD, 0x1F00, 0x2F00, 0x200, 0x1400, 6), STACK)
    name = b"/lib/ld.so\0"
    program = elf((PT_INTERP, 0x400, 0x400, len(name), len(name), 4), *loads, kind=ET_DYN, interpreter=name)
    loader = file(k, elf(*loads, kind=ET_DYN), "/lib/ld.so")
    asked = []
    task = start(k, program, open_exec=lambda path: asked.append(path) or loader)
    assert asked == ["/lib/ld.so"]
    own = [(v.vm_start, v.vm_end, bool(v.vm_file)) for v in task.mm][:3]
    assert own == [(0x400000, 0x402000, True), (0x402000, 0x404000, True), (0x404000, 0x405000, False)]
    base = dict(task.mm.saved_auxv)[AT["BASE"]]
    assert base == 0xB6FFB000
    assert [(v.vm_start - base) // 4096 for v in task.mm if v.vm_start >= base][:3] == [0, 2, 4]
    assert [v.vm_file for v in task.mm if v.vm_start == base] == [loader]


def test_a_stack_of_many_pages(k):
    task = start(k, elf(*SEGMENTS), [b"x" * 3000] * 20)
    stack = list(task.mm)[-1]
    assert stack.vm_end - task.mm.start_stack > 60000
    assert task.mm.stack_vm == (stack.vm_end - stack.vm_start) // 4096
    assert stack.vm_start == (task.mm.arg_start & ~4095) - 0x20000


def test_without_gnu_stack_everything_readable_is_executable(k):
    mm = start(k, elf(*SEGMENTS[:2])).mm
    assert all(v.vm_flags & 4 for v in mm if v.vm_flags & 3 and v.vm_ops is None)


@pytest.mark.parametrize(
    ("content", "error"),
    [
        (b"#!/bin/sh", 8),
        (elf(*SEGMENTS)[:60], 8),
        (elf(*SEGMENTS, machine=62), 8),
        (elf(*SEGMENTS, flags=0), 8),
        (elf(*SEGMENTS, entry=0x10102), 8),
        (elf((PT_INTERP, 0x400, 0x400, 5, 5, 4), *SEGMENTS, interpreter=b"/lib/x"), 8),
        (elf((PT_INTERP, 0x400, 0x400, 7, 7, 4), *SEGMENTS, interpreter=b"/lib/x\0"), 2),
    ],
)
def test_what_is_no_program_leaves_the_old_one(k, content, error):
    task = start(k, elf(*SEGMENTS))
    before, promised = ranges(task), task.processes.vm_committed_as
    assert execve(task, file(k, content), [b"x"], []) == -error
    assert (ranges(task), task.processes.vm_committed_as) == (before, promised)


@pytest.mark.parametrize(
    "segments",
    [
        ((PT_LOAD, 0, 0xC0000000, 0x1000, 0x1000, 5),),
        ((PT_LOAD, 0, 0x10000, 0x1000, 0x800, 5),),
        ((PT_LOAD, 0, 0x10000, 0x1000, 0xFFFFFFFF, 6),),
        ((PT_LOAD, 0, 0x10000, 0x1000, 0xBEFE0000, 6),),
        ((PT_LOAD, 0x10, 0x10000, 0x1000, 0x1000, 5),),
        ((PT_LOAD, 0, 0, 0x1000, 0x1000, 5),),
    ],
)
def test_a_broken_program_is_refused_with_the_machine_intact(k, segments):
    task = new_task(k)
    assert execve(task, file(k, elf(*segments, STACK)), [b"x"], []) < 0
    assert (task.mm, task.exit_signal) == (None, 11)  # the old program was gone already: SIGSEGV
    assert task.pid not in task.processes.tasks
    assert task.processes.vm_committed_as == 0
    assert start(k, elf(*SEGMENTS)).mm.map_count == 7


def test_a_second_program_takes_the_place_of_the_first(k):
    task = start(k, elf(*SEGMENTS))
    promised, old = task.processes.vm_committed_as, next(iter(task.mm)).vm_file
    assert execve(task, file(k, elf(*SEGMENTS), "/bin/again"), [b"again"], []) == 0
    assert (task.comm, task.processes.vm_committed_as) == ("again", promised)
    assert (old.f_count, old.f_inode.i_writecount, old.f_mapping.i_mmap) == (1, 0, [])
    do_exit(task)
    assert task.processes.vm_committed_as == 0


def test_a_running_program_is_not_written_and_a_written_one_does_not_run(k):
    task = start(k, elf(*SEGMENTS))
    assert next(iter(task.mm)).vm_file.f_inode.i_writecount < 0
    written = file(k, elf(*SEGMENTS))
    written.f_inode.i_writecount = 1
    assert execve(task, written, [b"x"], []) == -26


def test_maps_flags_and_sizes_in_the_kernels_words(k):
    task = start(k, elf(*SEGMENTS))
    lines = proc_pid_maps(task).splitlines()
    assert lines[0] == "00010000-00089000 r-xp 00000000 00:00 0          /sbin/init"
    assert lines[2] == "0008d000-000a1000 rw-p 00000000 00:00 0          [heap]"
    assert lines[-2:] == ["befdf000-bf000000 rw-p 00000000 00:00 0          [stack]",
                          "ffff0000-ffff1000 r-xp 00000000 00:00 0          [vectors]"]  # fmt: skip
    assert [line.split()[-1] for line in lines[3:6]] == ["[sigpage]", "[vvar]", "[vdso]"]
    assert show_smap_vma_flags(next(iter(task.mm))) == "VmFlags: rd ex mr mw me dw \n"
    assert "VmSize:\t     724 kB\n" in task_mem(task.mm)
    assert "VmStk:\t     132 kB\n" in task_mem(task.mm)
    assert "VmExe:\t     484 kB\nVmLib:\t       8 kB\n" in task_mem(task.mm)


def test_processes_are_copied_with_their_machine(k):
    task = start(k, elf(*SEGMENTS))
    child = copy_process(task)
    other = k.copy()
    do_exit(task)
    assert other.processes.tasks[1].mm.map_count == other.processes.tasks[child.pid].mm.map_count == 7
    assert other.processes.k.copy is not None
    file_of = {v.vm_file for t in other.processes.tasks.values() for v in t.mm if v.vm_file}
    assert len(file_of) == 1
    assert len(file_of.pop().f_mapping.i_mmap) == 4


def test_options_of_the_command_line():
    k = bootsim.boot("vexpress.dts", mem="256M", cmdline="norandmaps stack_guard_gap=16")
    assert processes(k).stack_guard_gap == 16 << 12
    assert not any("norandmaps" in r.text for r in k.log.records if r.text.startswith("bootsim: processes"))
    k = bootsim.boot("vexpress.dts", mem="256M", cmdline="stack_guard_gap=0x10")
    assert processes(k).stack_guard_gap == 256 << 12
    assert any("norandmaps" in r.text for r in k.log.records)


def test_a_kernel_that_has_no_memory_yet_has_no_processes():
    k = bootsim.boot("vexpress.dts", mem="256M", until="paging_init:entry")
    with pytest.raises(ProcessError):
        processes(k)
    assert k.processes is None
