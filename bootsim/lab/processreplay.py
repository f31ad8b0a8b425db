"""A recorded process, replayed: from the first mark on, its operations are made and the marks written in the same form.

The first mark gives what the replay starts from: mappings, limits, and the pages in them. Every answer and every
mapping after that is the replay's own. No operation tells which of its own code a program ran, so that pages of the
program's file, where it lies itself, are mapped when a mark has them: `taken` counts these.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from bootsim.errors import InputError
from bootsim.linux.arch.arm.asm.pgtable_2level import L_PTE_MT_MASK
from bootsim.linux.include.linux.errno import EINVAL
from bootsim.linux.include.linux.fs import S_IFCHR, File, FileOperations, Inode
from bootsim.linux.include.linux.mm import VM_DONTEXPAND, VM_EXEC, VM_GROWSDOWN, VM_WRITE
from bootsim.linux.kernel.fork.dup import copy_process, do_exit
from bootsim.linux.kernel.fork.init import processes
from bootsim.linux.kernel.signal import system_call
from bootsim.linux.mm.filemap import DiskOperations, disk_file, disk_inode
from bootsim.linux.mm.madvise import madvise
from bootsim.linux.mm.memory.access import do_page_fault
from bootsim.linux.mm.memory.driver import NO_PAGE
from bootsim.linux.mm.mlock import mlock, mlock2, mlockall, munlock, munlockall
from bootsim.linux.mm.mmap.brk import brk
from bootsim.linux.mm.mmap.map import mmap_pgoff, munmap
from bootsim.linux.mm.mmap.restore import make_anon, restore
from bootsim.linux.mm.mmap.structs import Task, VmOperationsStruct
from bootsim.linux.mm.mprotect import mprotect
from bootsim.linux.mm.mremap import mremap
from bootsim.linux.mm.msync import msync
from bootsim.linux.mm.shmem import shmem_kernel_file_setup
from bootsim.page import PAGE_SHIFT, PAGE_SIZE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from bootsim.lab.processrecording import ProcessRecording
    from bootsim.linux import Kernel
    from bootsim.linux.mm.memory.fault import ProcessPages
    from bootsim.linux.mm.mmap.structs import UserMm, VmAreaStruct

DISK_BLOCK = 1024  # bytes; where a recording does not tell: of a small disk, as mke2fs makes it
PAGE_FIELDS = ("flags", "mapcount", "refcount", "mapping", "index")
RLIMITS = {"data": 2, "stack": 3, "memlock": 8, "as": 9}
MM_FIELDS = (
    "mmap_base", "start_brk", "brk", "start_stack", "total_vm", "data_vm", "stack_vm", "exec_vm", "map_count",
    "task_size", "locked_vm", "def_flags", "highest_vm_end",
)  # fmt: skip
WHOLE = 1 << 31  # the size of a file whose size no recording tells


class Ext4(DiskOperations):
    """The recorded kernel's file system on a disk."""

    vm_ops = VmOperationsStruct("ext4_file_vm_ops", page_mkwrite=True, map_pages=True)


class Device(FileOperations):
    """The recorded kernel's devices: `about` tells which (mmlab.c). What they do to a mapping's flags is here."""

    def __init__(self, about: dict[str, Any], pages: ProcessPages) -> None:
        self.kind = str(about.get("device", ""))
        self.own = pages
        self.pages = list(about.get("pages", ()))
        self.registers = {int(page): int(pfn) for page, pfn in about.get("registers", {}).items()}
        self.count = int(about.get("size", 0)) >> PAGE_SHIFT
        self.touched: dict[int, int] = {}
        self.fault_ops = VmOperationsStruct("mmlab_fault_vm_ops", fault=self.fault)

    def __deepcopy__(self, memo: dict[int, Any]) -> Device:
        raise NotImplementedError("the machine of a replay is not copied")

    def page(self, pgoff: int) -> int:
        """The frame of a page, allocated at the first touch; NO_PAGE beyond the end."""
        if pgoff >= self.count:
            return NO_PAGE
        if pgoff not in self.touched:
            pfn = self.own.new_device_page()
            if pfn is None:
                return NO_PAGE
            self.touched[pgoff] = pfn
        return self.touched[pgoff]

    def fault(self, _vma: VmAreaStruct, pgoff: int) -> int:
        """The fault handler of the device that has one. Source: the recorded kernel's mmlab_fault()"""
        return self.page(pgoff)

    def mmap(self, _file: File, vma: VmAreaStruct) -> int:
        """Map pages of the device, as its driver does with remap_pfn_range() or vm_insert_page()."""
        count = vma.vm_end - vma.vm_start >> PAGE_SHIFT
        if self.kind == "fault":
            vma.vm_ops = self.fault_ops
            return 0
        if self.kind == "remap_pfn" and vma.vm_pgoff in self.registers:
            if count != 1:
                return -EINVAL
            vma.vm_page_prot &= ~L_PTE_MT_MASK
            return self._remap(vma, self.registers[vma.vm_pgoff])
        if vma.vm_pgoff >= len(self.pages) or count > len(self.pages) - vma.vm_pgoff:
            return -EINVAL
        if self.kind == "remap_pfn":
            return self._remap(vma, self.pages[vma.vm_pgoff])
        for i in range(count):
            error = self.own.vm_insert_page(vma, vma.vm_start + i * PAGE_SIZE, self.pages[vma.vm_pgoff + i])
            if error:
                return error
        return 0

    def _remap(self, vma: VmAreaStruct, pfn: int) -> int:
        return self.own.remap_pfn_range(vma, vma.vm_start, pfn, vma.vm_end - vma.vm_start, vma.vm_page_prot)


class ProcessReplay:
    """A recording on a booted kernel `k`. `run()` makes all operations; `marks` are then what was found.

    Of `asked` operations, whose answers can be compared, `agree` have the recorded one; `first` is the first that has
    another: the operation's words and our answer. `notes` tell what the recording leaves open.
    """

    def __init__(self, recording: ProcessRecording, k: Kernel) -> None:
        self.recording = recording
        self.k = k
        self.notes: list[str] = []
        room = processes(k)
        self.pages: ProcessPages = room.pages  # type: ignore[assignment]
        facts = recording.marks[0].get("kernel", {})
        room.stack_guard_gap = facts.get("stack_guard_gap", room.stack_guard_gap)
        room.mmap_min_addr = facts.get("mmap_min_addr", room.mmap_min_addr)
        room.sysctl_max_map_count = facts.get("sysctl_max_map_count", room.sysctl_max_map_count)
        self.room = room
        (recorded,) = recording.marks[0]["tasks"].values()
        self._at_first = recorded["mm"]["vmas"]
        task_size = recorded["mm"].get("task_size", room.task_size)
        if task_size != room.task_size:
            raise InputError(f"{recording.path}: the recorded kernel has programs below {task_size:#x}, this build "
                             f"below {room.task_size:#x}: --config names the recorded kernel's")
        self.taken = 0
        # nobody can have opened for writing what runs
        self._running = {v["file"] for v in self._at_first if v["flags"] & VM_EXEC}
        self.files = {fd: self._file(path, recording.about.get(fd, {}), fd in recording.read_only)
                      for fd, path in recording.files.items()}
        self.tasks: list[Task] = [self._first()]
        first = self.tasks[0].mm
        self.code = {v.vm_start for v in first or () if v.vm_file is not None}  # where the program itself lies
        self._stack_floor = min((v["start"] for v in self._at_first if v["flags"] & VM_GROWSDOWN), default=1 << 32)
        self.marks: list[dict[str, Any]] = []
        self.agree = self.asked = 0
        self.first: tuple[dict[str, Any], int] | None = None

    # ------------------------------------------------------------------ what there is at the first mark

    def _file(self, path: str, about: dict[str, Any], read_only: bool) -> File:
        if "device" in about:
            self._take_frames(about.get("pages", ()))
            return File(path, Inode(about.get("size", WHOLE), S_IFCHR | 0o666), Device(about, self.pages))
        size = int(about.get("size", WHOLE))
        if about.get("fs", "tmpfs" if path.startswith("/dev/") else "disk") == "tmpfs":
            return shmem_kernel_file_setup(self.pages, size, path, filled=True)
        file = disk_file(self.pages, path, disk_inode(self.pages, b"", size),
                         path.rpartition("/")[2] not in self._running and not read_only)
        file.f_op = Ext4(self.pages)
        return file

    def _mapped_files(self) -> dict[str, File]:
        # of the first mark, by name; one that nobody has open (a program that runs) is known by its mappings alone
        by_name = {file.path.rpartition("/")[2]: file for file in self.files.values()}
        for v in self._at_first:
            name = v["file"]
            if name and name != "dev/zero" and name not in by_name:
                self.notes.append(f"{name}, which is mapped at the first mark, is no open file of the recording: taken "
                                  "for one that is wholly in the page cache")
                by_name[name] = self._file(f"/{name}", {"fs": v.get("fs"), "size": v.get("size", WHOLE)}, True)
        return by_name

    def _take_frames(self, frames: Iterable[int]) -> None:
        # the recorded device's own frames: a mapping's vm_pgoff tells them
        for pfn in frames:
            if not self.pages.take_frame(pfn):
                self.notes.append(f"frame {pfn:#x}, a device's in the recording, is in use here: both have it")

    def _first(self) -> Task:
        (pid, recorded), = self.recording.marks[0]["tasks"].items()
        task = self.room.tasks[int(pid)] = Task(self.room, int(pid))
        task.mm = mm = self._mm(recorded["mm"], task)
        task.files = dict(self.files)
        for name, resource in RLIMITS.items():
            if name in recorded.get("rlimit", {}):
                task.setrlimit(resource, recorded["rlimit"][name])
        special = VmOperationsStruct("special_mapping_vmops", close=lambda _: None)
        by_name = self._mapped_files()
        for v in recorded["mm"]["vmas"]:
            file, ops = by_name.get(v["file"] or ""), special if v["flags"] & 0x40000 else None
            if v["file"] == "dev/zero":
                file = shmem_kernel_file_setup(self.pages, v.get("size", PAGE_SIZE))
            if file is not None:
                ops = file.f_op.vm_ops  # type: ignore[attr-defined]
            restore(task, v["start"], v["end"], v["flags"], v["pgoff"], file, ops)
            if file is not None and v["file"] == "dev/zero":
                file.f_count -= 1  # nobody has it open
            if v.get("anon_vma"):
                make_anon(task, v["start"])
        mm.hiwater_vm = mm.total_vm
        self._fill(mm, recorded["mm"].get("ptes", ()))
        return task

    def _fill(self, mm: UserMm, entries: Iterable[dict[str, Any]]) -> None:
        # the pages that are mapped at the first mark, and what fault-around passed over then
        zero = self.recording.marks[0].get("empty_zero_page_pfn")
        mapped = {e["va"]: e for e in entries}
        for vma in mm:
            if vma.vm_flags & VM_DONTEXPAND:
                continue
            for va in range(vma.vm_start, vma.vm_end, PAGE_SIZE):
                e = mapped.get(va)
                if e is None:
                    continue
                anon = bool(e.get("page", {}).get("mapping", 0) & 1)
                is_zero = e["linux"] >> PAGE_SHIFT == zero
                if vma.vm_file is None and not anon and not is_zero:
                    raise InputError(f"{self.recording.path}: mark 1: {va:#x} has a page of a file, its mapping none")
                self.pages.install(vma, va, e["linux"] & PAGE_SIZE - 1, anon, is_zero)
        for vma in mm:
            if vma.vm_file is not None and vma.vm_flags & VM_EXEC and not vma.vm_flags & VM_WRITE:
                self._passed_over(vma, mapped)

    def _passed_over(self, vma: VmAreaStruct, mapped: dict[int, Any]) -> None:
        cache, around = vma.vm_file.f_mapping.page_cache, self.pages.fault_around_bytes
        for start in range(vma.vm_start & -around, vma.vm_end, around):
            window = range(max(start, vma.vm_start), min(start + around, vma.vm_end), PAGE_SIZE)
            for va in window[1:-1]:  # a gap of one page
                if va not in mapped and va - PAGE_SIZE in mapped and va + PAGE_SIZE in mapped:
                    cache.readahead.add(vma.vm_pgoff + (va - vma.vm_start >> PAGE_SHIFT))

    def _mm(self, recorded: dict[str, Any], task: Task) -> UserMm:
        mm = self.pages.new_mm(task, "recorded")
        mm.topdown = recorded["mmap_base"] > self.room.task_unmapped_base
        for name in ("mmap_base", "start_brk", "brk", "start_stack", "def_flags"):
            setattr(mm, name, recorded.get(name, 0))
        mm.end_data = recorded["start_brk"]
        return mm

    # ------------------------------------------------------------------ operations

    def run(self, saw: Callable[[dict[str, Any]], None] | None = None) -> None:
        """Make every operation, in order; `saw` is told of each, and of each mark, when it is made."""
        for words in self.recording.operations:
            if "mark" in words:
                if self.marks or words["mark"] == self.recording.marks[0]["mark"]:
                    self.marks.append(self._mark(words["mark"]))
            elif self.marks and "op" in words:
                self._operate(words)
            if saw is not None and self.marks and ("mark" in words or "op" in words):
                saw(words)

    def _operate(self, words: dict[str, Any]) -> None:
        who = words["who"]
        if not isinstance(who, int) or not 0 <= who < len(self.tasks) or self.tasks[who].mm is None:
            raise InputError(f"{self.recording.path}: {json.dumps(words)}: there is no such process then")
        task = self.tasks[who]
        if self.recording.about:
            self.pages.drain()  # the program empties the vectors before each of its operations
        try:
            with system_call(task):
                got = self._answer(task, words)
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise InputError(f"{self.recording.path}: {json.dumps(words)}: cannot be made: {error!r}") from None
        if got is not None:
            self._compare(words, got)

    def _answer(self, task: Task, words: dict[str, Any]) -> int | None:
        handler = getattr(self, f"_{words['op']}", None)
        if handler is not None:
            return handler(task, words)  # type: ignore[no-any-return]
        function, names = CALLS[words["op"]]
        return int(function(task, *(words[name] & 0xFFFFFFFF for name in names)))

    def _compare(self, words: dict[str, Any], got: int) -> None:
        want = words["addr"] if words["op"] == "brk" else words.get("ret", words.get("signo", 0))
        self.asked += 1
        # where failures are not told apart, they are all -1
        same = (got ^ want) & 0xFFFFFFFF == 0 or (want & 0xFFFFFFFF == 0xFFFFFFFF and got < 0)
        self.agree += same
        if not same and self.first is None:
            self.first = (words, got)

    def _mmap(self, task: Task, words: dict[str, Any]) -> int:
        return mmap_pgoff(task, words["addr"], words["len"], words["prot"], words["flags"], words["fd"],
                          words["off"] >> PAGE_SHIFT)

    def _mremap(self, task: Task, words: dict[str, Any]) -> int:
        return mremap(task, words["addr"], words["old"], words["len"], words["flags"], words.get("new", 0))

    def _brk(self, task: Task, words: dict[str, Any]) -> int:
        return brk(task, words.get("want", words["addr"]))

    def _read(self, task: Task, words: dict[str, Any]) -> int:
        return do_page_fault(task, self.pages, words["addr"], False)[0]

    def _write(self, task: Task, words: dict[str, Any]) -> int:
        return do_page_fault(task, self.pages, words["addr"], True)[0]

    def _signal(self, task: Task, words: dict[str, Any]) -> int:
        signal, code = do_page_fault(task, self.pages, words["addr"], words["access"] == "write")
        return signal if code == words.get("code", code) else -code

    def _fread(self, _task: Task, _words: dict[str, Any]) -> None:
        return None  # nothing of it is in an address space

    def _fwrite(self, task: Task, words: dict[str, Any]) -> None:
        file, at = task.files[words["fd"]], words["off"]
        if isinstance(file.f_op, Device):
            if file.f_op.kind == "fault":
                file.f_op.page(at >> PAGE_SHIFT)
        elif words["ret"] > 0:
            end = at + words["ret"]
            file.f_mapping.page_cache.write(at >> PAGE_SHIFT, (end - 1 >> PAGE_SHIFT) - (at >> PAGE_SHIFT) + 1)
            self._grow(file, end)

    def _ftruncate(self, task: Task, words: dict[str, Any]) -> int:
        inode = task.files[words["fd"]].f_inode
        before = inode.i_size
        smaller = words["len"] < before
        inode.i_size = words["len"]
        if smaller:
            self.pages.unmap_mapping_range(inode.i_mapping, words["len"])
            inode.i_mapping.page_cache.truncate(words["len"])
            if words["len"] % DISK_BLOCK and inode.i_mapping.can_writeback:  # the rest of the last block is cleared
                inode.i_mapping.page_cache.write(words["len"] >> PAGE_SHIFT, 1)
        else:
            self._grow(task.files[words["fd"]], words["len"], before)
        return 0

    def _grow(self, file: File, end: int, before: int | None = None) -> None:
        # Source: fs/ext4/inode.c ext4_setattr(), fs/buffer.c generic_write_end()
        size = file.f_inode.i_size if before is None else before
        if end > size and file.f_mapping.can_writeback:
            self.pages.pagecache_isize_extended(file.f_mapping, size, end, DISK_BLOCK)
        file.f_inode.i_size = max(size, end)

    def _fork(self, task: Task, words: dict[str, Any], share_mm: bool = False) -> int:
        pid = words.get("pid") or self._next_pid()
        child = copy_process(task, share_mm, pid)
        if isinstance(child, int):
            return child
        self.tasks.append(child)
        return int(words.get("ret", 0))

    def _vfork(self, task: Task, words: dict[str, Any]) -> int:
        return self._fork(task, words, share_mm=True)

    def _next_pid(self) -> int:
        # a recording that does not tell the number of a child has it in its next mark
        mark = self.recording.marks[len(self.marks)]
        return min(int(pid) for pid in mark["tasks"] if int(pid) not in self.room.tasks)

    def _exit(self, task: Task, _words: dict[str, Any]) -> None:
        do_exit(task)

    # ------------------------------------------------------------------ marks

    def _ran(self, number: int) -> None:
        # Which of its own code a process ran, no operation tells: pages of programs are mapped where the mark has them.
        nothing: dict[str, Any] = {"tasks": {}}
        mark = next((m for m in self.recording.marks if m["mark"] == number), nothing)
        for pid, recorded in mark["tasks"].items():
            task = self.room.tasks.get(int(pid))
            if task is None or task.mm is None:
                continue
            entries = {e["va"]: e for e in recorded["mm"].get("ptes", ())
                       if not e.get("page", {}).get("mapping", 1) & 1}
            there = {va for va, *_ in self.pages.entries(task.mm)}
            for vma in task.mm:
                if vma.vm_start in self.code and vma.vm_file is not None and not vma.vm_flags & VM_WRITE:
                    for va in sorted(entries.keys() - there):
                        if va in vma:
                            self.pages.install(vma, va, entries[va]["linux"] & PAGE_SIZE - 1, False)
                            self.taken += 1

    def _mark(self, number: int) -> dict[str, Any]:
        self._ran(number)
        tasks = {pid: {"mm": self._mm_of(task.mm), "ppid": task.ppid} for pid, task in sorted(self.room.tasks.items())
                 if task.mm is not None}
        return {"mark": number, "empty_zero_page_pfn": self.k.mm.empty_zero_page_pa >> PAGE_SHIFT, "tasks": tasks}

    def _mm_of(self, mm: UserMm) -> dict[str, Any]:
        vmas = [{"start": v.vm_start, "end": v.vm_end, "flags": v.vm_flags, "pgoff": v.vm_pgoff,
                 "file": v.vm_file.path.rpartition("/")[2] if v.vm_file else None,
                 "page_prot": v.vm_page_prot, "anon_vma": v.anon_vma.id if v.anon_vma else 0,
                 "vm_ops": v.vm_ops.symbol if v.vm_ops else None} for v in mm]  # fmt: skip
        return {**{name: getattr(mm, name) for name in MM_FIELDS}, "rss": list(mm.rss),
                "pgtables_bytes": mm.pgtables_bytes, "vmas": vmas, "l1": self._first_level(mm),
                "ptes": [self._pte(*e) for e in self.pages.entries(mm)]}  # fmt: skip

    def _first_level(self, mm: UserMm) -> dict[str, int]:
        words = ((i, self.k.machine.ram.read32(mm.pgd_pa + 4 * i)) for i in range(mm.task_size >> 20))
        return {f"{i:#x}": word for i, word in words if word}

    def _pte(self, va: int, linux: int, hw: int, pfn: int | None) -> dict[str, Any]:
        entry: dict[str, Any] = {"va": va, "linux": linux, "hw": hw}
        if pfn is not None:
            entry["page"] = dict(zip(PAGE_FIELDS, self.pages.page(pfn), strict=True))
        return entry

    def mappings(self) -> tuple[int, int]:
        """How many mappings at all marks after the first are the recording's, and of how many."""
        agree = total = 0
        ours = {mark["mark"]: mark for mark in self.marks}
        for real in self.recording.marks[1:]:
            for pid, task in real["tasks"].items():
                mine = ours.get(real["mark"], {}).get("tasks", {}).get(int(pid), {"mm": {"vmas": []}})
                there, here = ({_key(v) for v in t["mm"]["vmas"]} for t in (task, mine))
                agree, total = agree + len(there & here), total + len(there | here)
        return agree, total

    def entries(self) -> tuple[int, int]:
        """How many page table entries below mappings that were made later are the recording's, but for frames.

        An entry agrees in all bits of Linux's and the hardware's word, and its page in mapcount.
        """
        agree = total = 0
        ours = {mark["mark"]: mark for mark in self.marks}
        for real in self.recording.marks[1:]:
            for pid, task in real["tasks"].items():
                mine = ours.get(real["mark"], {}).get("tasks", {}).get(int(pid), {"mm": {"ptes": []}})
                there, here = ({e["va"]: _bits(e) for e in t["mm"].get("ptes", ())
                                if not self._before(e["va"])} for t in (task, mine))
                total += len(there.keys() | here.keys())
                agree += sum(here.get(va) == bits for va, bits in there.items())
        return agree, total

    def _before(self, va: int) -> bool:
        # what was mapped at the first mark, and what the program did there by itself
        return any(v["start"] <= va < v["end"] for v in self._at_first) or va >= self._stack_floor


CALLS: dict[str, tuple[Callable[..., int], tuple[str, ...]]] = {
    "munmap": (munmap, ("addr", "len")), "mprotect": (mprotect, ("addr", "len", "prot")),
    "madvise": (madvise, ("addr", "len", "advice")), "mlock": (mlock, ("addr", "len")),
    "munlock": (munlock, ("addr", "len")), "mlock2": (mlock2, ("addr", "len", "flags")),
    "mlockall": (mlockall, ("flags",)), "munlockall": (munlockall, ()), "msync": (msync, ("addr", "len", "flags")),
}  # fmt: skip


def _key(v: dict[str, Any]) -> tuple[Any, ...]:
    return v["start"], v["end"], v["flags"], v["pgoff"], bool(v["file"])


def _bits(e: dict[str, Any]) -> tuple[Any, ...]:
    return e["linux"] & PAGE_SIZE - 1, e["hw"] & PAGE_SIZE - 1, e.get("page", {}).get("mapcount")
