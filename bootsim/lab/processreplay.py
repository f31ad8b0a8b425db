"""A recorded process, replayed: from the first mark on its operations are made, and the marks written in the same form.

The first mark gives what the replay starts from: mappings, limits, and which of them have anonymous pages. Every answer
and every mapping after that is the replay's own.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from bootsim.errors import InputError
from bootsim.linux.include.linux.errno import EINVAL
from bootsim.linux.include.linux.fs import FMODE_READ, FMODE_WRITE, S_IFCHR, File, FileOperations, Inode
from bootsim.linux.kernel.fork.dup import copy_process, do_exit
from bootsim.linux.kernel.fork.init import processes
from bootsim.linux.mm.madvise import madvise
from bootsim.linux.mm.mlock import mlock, mlock2, mlockall, munlock, munlockall
from bootsim.linux.mm.mmap.bare import BarePages, make_anon, restore, touch
from bootsim.linux.mm.mmap.brk import brk
from bootsim.linux.mm.mmap.map import mmap_pgoff, munmap
from bootsim.linux.mm.mmap.structs import Task, VmOperationsStruct
from bootsim.linux.mm.mprotect import mprotect
from bootsim.linux.mm.mremap import mremap
from bootsim.linux.mm.msync import msync
from bootsim.page import PAGE_SHIFT, PAGE_SIZE

if TYPE_CHECKING:
    from collections.abc import Callable

    from bootsim.lab.processrecording import ProcessRecording
    from bootsim.linux import Kernel
    from bootsim.linux.mm.mmap.structs import UserMm, VmAreaStruct

VM_MAYWRITE, VM_SHARED = 0x20, 0x8
VM_PFNMAP_FLAGS = 0x4044400  # VM_IO, VM_PFNMAP, VM_DONTEXPAND, VM_DONTDUMP
VM_MIXEDMAP = 0x10000000
RLIMITS = {"stack": 3, "memlock": 8, "as": 9}
MM_FIELDS = (
    "mmap_base", "start_brk", "brk", "start_stack", "total_vm", "data_vm", "stack_vm", "exec_vm", "map_count",
    "task_size", "locked_vm", "def_flags", "highest_vm_end",
)  # fmt: skip
WHOLE = 1 << 31  # the size of a file whose size no recording tells


class Disk(FileOperations):
    """A file system on a disk, whose shared pages fault at the first write."""

    vm_ops = VmOperationsStruct("ext4_file_vm_ops", page_mkwrite=lambda _: 0)

    def mmap(self, _file: File, vma: VmAreaStruct) -> int:
        """Map a part. Source: fs/ext4/file.c ext4_file_mmap()"""
        vma.vm_ops = self.vm_ops
        return 0

    def fsync(self, _file: File, _start: int, _end: int, _datasync: int) -> int:
        """Write back. Source: fs/sync.c vfs_fsync_range()"""
        return 0


class Tmpfs(Disk):
    """tmpfs, and what is behind shared anonymous memory."""

    vm_ops = VmOperationsStruct("shmem_vm_ops")


class Device(FileOperations):
    """The recorded kernel's devices: `about` tells which (mmlab.c). What they do to a mapping's flags is here."""

    fault_ops = VmOperationsStruct("mmlab_fault_vm_ops")

    def __init__(self, about: dict[str, Any]) -> None:
        self.kind = str(about.get("device", ""))
        self.pages = list(about.get("pages", ()))
        self.registers = {int(page): int(pfn) for page, pfn in about.get("registers", {}).items()}

    def mmap(self, _file: File, vma: VmAreaStruct) -> int:
        """Map pages of the device. Source: mm/memory.c remap_pfn_range(), vm_insert_page(), as its driver calls them"""
        count = vma.vm_end - vma.vm_start >> PAGE_SHIFT
        if self.kind == "fault":
            vma.vm_ops = self.fault_ops
            return 0
        if self.kind == "remap_pfn" and vma.vm_pgoff in self.registers:
            if count != 1:
                return -EINVAL
            vma.vm_page_prot &= ~0x3C
            return self._remap(vma, self.registers[vma.vm_pgoff])
        if vma.vm_pgoff >= len(self.pages) or count > len(self.pages) - vma.vm_pgoff:
            return -EINVAL
        if self.kind == "remap_pfn":
            return self._remap(vma, self.pages[vma.vm_pgoff])
        vma.vm_flags |= VM_MIXEDMAP
        return 0

    def _remap(self, vma: VmAreaStruct, pfn: int) -> int:
        if vma.vm_flags & (VM_SHARED | VM_MAYWRITE) == VM_MAYWRITE:
            vma.vm_pgoff = pfn
        vma.vm_flags |= VM_PFNMAP_FLAGS
        return 0


def shmem_file(size: int, _flags: int) -> File:
    """The file behind a shared anonymous mapping. Source: mm/shmem.c shmem_zero_setup()"""
    return File("dev/zero", Inode(size), Tmpfs())


class ProcessReplay:
    """A recording on a booted kernel `k`. `run()` makes all operations; `marks` are then what was found.

    `answers` counts the operations whose answer can be compared, and those that agree; `first` is the first that does
    not: the operation's words and our answer.
    """

    def __init__(self, recording: ProcessRecording, k: Kernel) -> None:
        self.recording = recording
        self.k = k
        room = processes(k)
        room.pages = BarePages(shmem_file)
        facts = recording.marks[0].get("kernel", {})
        room.stack_guard_gap = facts.get("stack_guard_gap", room.stack_guard_gap)
        room.mmap_min_addr = facts.get("mmap_min_addr", room.mmap_min_addr)
        room.sysctl_max_map_count = facts.get("sysctl_max_map_count", room.sysctl_max_map_count)
        self.room = room
        self.files = {fd: self._file(fd) for fd in recording.files}
        self.tasks: list[Task] = [self._first()]
        self.marks: list[dict[str, Any]] = []
        self.agree = self.asked = 0
        self.first: tuple[dict[str, Any], int] | None = None

    # ------------------------------------------------------------------ what there is at the first mark

    def _file(self, fd: int) -> File:
        path, about = self.recording.files[fd], self.recording.about.get(fd, {})
        if "device" in about:
            return File(path, Inode(about.get("size", WHOLE), S_IFCHR | 0o666), Device(about))
        tmpfs = about.get("fs", "tmpfs" if path.startswith("/dev/") else "disk") == "tmpfs"
        inode = Inode(int(about.get("size", WHOLE)), can_writeback=not tmpfs)
        mode = FMODE_READ if path in ("/sbin/init", "/lib0") else FMODE_READ | FMODE_WRITE
        return File(path, inode, Tmpfs() if tmpfs else Disk(), mode)

    def _first(self) -> Task:
        (pid, recorded), = self.recording.marks[0]["tasks"].items()
        task = self.room.tasks[int(pid)] = Task(self.room, int(pid))
        task.mm = mm = self._mm(recorded["mm"])
        task.files = dict(self.files)
        for name, resource in RLIMITS.items():
            if name in recorded.get("rlimit", {}):
                task.setrlimit(resource, recorded["rlimit"][name])
        special = VmOperationsStruct("special_mapping_vmops", close=lambda _: None)
        by_name = {file.path.rpartition("/")[2]: file for file in self.files.values()}
        for v in recorded["mm"]["vmas"]:
            file, ops = by_name.get(v["file"] or ""), special if v["flags"] & 0x40000 else None
            if v["file"] == "dev/zero":
                file = shmem_file(v.get("size", PAGE_SIZE), 0)
            if file is not None:
                ops = file.f_op.vm_ops  # type: ignore[attr-defined]
            restore(task, v["start"], v["end"], v["flags"], v["pgoff"], file, ops)
            if v.get("anon_vma"):
                make_anon(task, v["start"])
        mm.hiwater_vm = mm.total_vm
        return task

    def _mm(self, recorded: dict[str, Any]) -> UserMm:
        from bootsim.linux.mm.mmap.structs import UserMm

        mm = UserMm(self.room, "recorded")
        mm.topdown = recorded["mmap_base"] > self.room.task_unmapped_base
        for name in ("mmap_base", "start_brk", "brk", "start_stack", "def_flags"):
            setattr(mm, name, recorded.get(name, 0))
        mm.end_data = recorded["start_brk"]
        return mm

    # ------------------------------------------------------------------ operations

    def run(self) -> None:
        """Make every operation, in order."""
        for words in self.recording.operations:
            if "mark" in words:
                if self.marks or words["mark"] == self.recording.marks[0]["mark"]:
                    self.marks.append(self._mark(words["mark"]))
            elif self.marks and "op" in words:
                self._operate(words)

    def _operate(self, words: dict[str, Any]) -> None:
        who = words["who"]
        if not isinstance(who, int) or not 0 <= who < len(self.tasks) or self.tasks[who].mm is None:
            raise InputError(f"{self.recording.path}: {json.dumps(words)}: there is no such process then")
        task = self.tasks[who]
        handler = getattr(self, f"_{words['op']}", None)
        if handler is not None:
            got = handler(task, words)
        elif words["op"] in CALLS:
            function, names = CALLS[words["op"]]
            got = int(function(task, *(words[name] & 0xFFFFFFFF for name in names)))
        else:
            got = None
        if got is not None:
            self._compare(words, got)

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
        return touch(task, words["addr"], False)

    def _write(self, task: Task, words: dict[str, Any]) -> int:
        return touch(task, words["addr"], True)

    def _signal(self, task: Task, words: dict[str, Any]) -> int:
        return touch(task, words["addr"], words["access"] == "write")

    def _ftruncate(self, task: Task, words: dict[str, Any]) -> int:
        task.files[words["fd"]].f_inode.i_size = words["len"]
        return 0

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

    def _mark(self, number: int) -> dict[str, Any]:
        tasks = {pid: {"mm": self._mm_of(task.mm), "ppid": task.ppid} for pid, task in sorted(self.room.tasks.items())
                 if task.mm is not None}
        return {"mark": number, "empty_zero_page_pfn": self.k.mm.empty_zero_page_pa >> PAGE_SHIFT, "tasks": tasks}

    def _mm_of(self, mm: UserMm) -> dict[str, Any]:
        vmas = [{"start": v.vm_start, "end": v.vm_end, "flags": v.vm_flags, "pgoff": v.vm_pgoff,
                 "file": v.vm_file.path.removeprefix("/dev/").removeprefix("/sbin/").lstrip("/") if v.vm_file else None,
                 "page_prot": v.vm_page_prot, "anon_vma": v.anon_vma.id if v.anon_vma else 0,
                 "vm_ops": v.vm_ops.symbol if v.vm_ops else None} for v in mm]  # fmt: skip
        return {**{name: getattr(mm, name) for name in MM_FIELDS}, "rss": list(mm.rss),
                "pgtables_bytes": mm.pgtables_bytes, "vmas": vmas, "l1": {}, "ptes": []}  # fmt: skip

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


CALLS: dict[str, tuple[Callable[..., int], tuple[str, ...]]] = {
    "munmap": (munmap, ("addr", "len")), "mprotect": (mprotect, ("addr", "len", "prot")),
    "madvise": (madvise, ("addr", "len", "advice")), "mlock": (mlock, ("addr", "len")),
    "munlock": (munlock, ("addr", "len")), "mlock2": (mlock2, ("addr", "len", "flags")),
    "mlockall": (mlockall, ("flags",)), "munlockall": (munlockall, ()), "msync": (msync, ("addr", "len", "flags")),
}  # fmt: skip


def _key(v: dict[str, Any]) -> tuple[Any, ...]:
    return v["start"], v["end"], v["flags"], v["pgoff"], bool(v["file"])
