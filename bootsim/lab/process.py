"""A process at hand: a program loaded from an ELF file, and the system calls that concern its memory.

    p = process("a.elf", "argument")
    addr = p.mmap(0, 16 << 12)
    p.munmap(addr, 4096)
    child = p.fork()

A call answers as the kernel would: an address or 0, or an error's number, negated, which shows its name.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from bootsim.errors import InputError
from bootsim.lab.arguments import content_of, file_position, host_path
from bootsim.lab.malloc import free, malloc
from bootsim.lab.program import small_program
from bootsim.lab.text import Text
from bootsim.linux.arch.arm.asm.pgtable_2level import L_PTE_PRESENT
from bootsim.linux.fs.binfmt_elf import execve
from bootsim.linux.fs.char_dev import chrdev_open
from bootsim.linux.fs.proc.base import oom_score_adj_write, proc_oom_score
from bootsim.linux.fs.proc.task_mmu import (
    pagemap,
    proc_pid_maps,
    proc_pid_smaps,
    proc_pid_status,
    show_map_vma,
    show_smap_vma_flags,
)
from bootsim.linux.fs.read_write import vfs_read, vfs_write
from bootsim.linux.include.linux import errno
from bootsim.linux.include.linux.errno import EBADF, EINVAL, ENOENT
from bootsim.linux.include.linux.fs import S_IFCHR
from bootsim.linux.include.linux.mman import MAP_ANONYMOUS, MAP_PRIVATE, PROT_READ, PROT_WRITE
from bootsim.linux.kernel.fork.dup import copy_process, do_exit
from bootsim.linux.kernel.fork.init import new_task, processes
from bootsim.linux.kernel.printk import step
from bootsim.linux.kernel.signal import SIGKILL, system_call
from bootsim.linux.mm.filemap import disk_file, disk_inode
from bootsim.linux.mm.madvise import madvise
from bootsim.linux.mm.memory.access import access_user, do_page_fault
from bootsim.linux.mm.mlock import mlock, mlock2, mlockall, munlock, munlockall
from bootsim.linux.mm.mmap.brk import brk
from bootsim.linux.mm.mmap.map import mmap_pgoff, munmap
from bootsim.linux.mm.mprotect import mprotect
from bootsim.linux.mm.mremap import mremap
from bootsim.linux.mm.msync import msync
from bootsim.page import PAGE_SHIFT, PAGE_SIZE

if TYPE_CHECKING:
    import os

    from bootsim.lab.session import Session
    from bootsim.linux.include.linux.fs import File
    from bootsim.linux.mm.mmap.structs import Processes, Task

_WORD = 1 << 32
_NAMES = {number: name for name, number in vars(errno).items() if name.startswith("E")}
SIGNALS = {0: "", 7: "SIGBUS", 9: "SIGKILL", 11: "SIGSEGV"}
_CODES = {(11, 1): "SEGV_MAPERR", (11, 2): "SEGV_ACCERR", (7, 2): "BUS_ADRERR"}


class Answer(int):
    """What a system call answered: an error shows its name, an address itself in hexadecimal."""

    def __repr__(self) -> str:
        if self < 0:
            return f"-{_NAMES.get(-self, str(-self))}"
        return f"{int(self):#x}" if self >= PAGE_SIZE else str(int(self))

    __str__ = __repr__


def open_file(room: Processes, path: str | os.PathLike[str], shown: str = "", writable: bool = False) -> File:
    """Open a file of the host as one of the machine's, called `shown` there. Raises InputError.

    It is read once: who opens it again has the same file, with what was written meanwhile.
    """
    place = str(host_path("open", path))
    if place not in room.inodes:
        room.inodes[place] = disk_inode(room.pages, content_of("open", path))  # type: ignore[arg-type]
    return disk_file(room.pages, shown or str(path), room.inodes[place], writable)  # type: ignore[arg-type]


def _address(name: str, value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not -(_WORD >> 1) <= value < _WORD:
        raise InputError(f"{name}: {value!r} is no number of 32 bits")
    return value % _WORD


def _mmap(task: Task, addr: int, length: int, prot: int, flags: int, fd: int, pgoff: int) -> int:
    return mmap_pgoff(task, addr, length, prot, flags, fd - _WORD if fd >> 31 else fd, pgoff)


class Process:
    """A process of the session's machine. Its methods are its system calls; `maps`, `status`, `vmas` look at it."""

    def __init__(self, session: Session, pid: int) -> None:
        self._session = session
        self.pid = pid

    @property
    def task(self) -> Task:
        """The task itself. Raises InputError when it has ended, or was not there yet before `back()`."""
        room = processes(self._session.k)
        found = room.tasks.get(self.pid)
        signal = room.ended.get(self.pid)
        if found is None and signal:
            raise InputError(f"process {self.pid} is gone: {SIGNALS[signal]} has ended it")
        if found is None:
            raise InputError(f"there is no process {self.pid}; `ps()` lists those that are")
        return found

    def _call(self, name: str, function: Any, *args: Any) -> Answer:
        numbers = [_address(name, value) for value in args]
        task = self.task
        with system_call(task):
            answer = Answer(function(task, *numbers))
        self._returned(task, name)
        words = ", ".join(f"{n:#x}" if n >= PAGE_SIZE else str(n) for n in numbers)
        step(self._session.k, "process {pid}: {name}({words}) = {answer}", func=name, pid=self.pid, name=name,
             words=words, answer=str(answer))
        return answer

    def _returned(self, task: Task, name: str) -> None:
        if task.mm is None:
            raise InputError(f"process {self.pid}: {name}() does not return: SIGKILL, from the OOM killer")

    # ------------------------------------------------------------------ system calls

    def mmap(self, addr: int = 0, length: int = PAGE_SIZE, prot: int = PROT_READ | PROT_WRITE,
             flags: int = MAP_PRIVATE | MAP_ANONYMOUS, fd: int = -1, offset: int = 0) -> Answer:
        """Map memory, or the open file `fd` from `offset` (bytes) on; the address."""
        if offset % PAGE_SIZE:
            raise InputError(f"mmap: the offset {offset:#x} is not a whole number of pages, which mmap2() counts in")
        return self._call("mmap", _mmap, addr, length, prot, flags, fd, offset >> PAGE_SHIFT)

    def munmap(self, addr: int, length: int) -> Answer:
        """Take a range away."""
        return self._call("munmap", munmap, addr, length)

    def brk(self, addr: int = 0) -> Answer:
        """Move the end of the heap; where it is then."""
        return self._call("brk", brk, addr)

    def malloc(self, size: int) -> Answer:
        """Take memory as glibc does, by brk() or, from 128 KiB on, mmap(). Its address; 0: there is none.

        Raises InputError for a program that moves its break itself.
        """
        return Answer(malloc(self, _address("malloc", size)))

    def free(self, addr: int) -> None:
        """Give back what malloc() gave, as glibc does. Raises InputError for anything else."""
        free(self, _address("free", addr))

    def mprotect(self, addr: int, length: int, prot: int) -> Answer:
        """Change the protection of a range."""
        return self._call("mprotect", mprotect, addr, length, prot)

    def mremap(self, addr: int, old_len: int, new_len: int, flags: int = 0, new_addr: int = 0) -> Answer:
        """Resize or move a mapping; its address."""
        return self._call("mremap", mremap, addr, old_len, new_len, flags, new_addr)

    def madvise(self, addr: int, length: int, advice: int) -> Answer:
        """Say how a range will be used, MADV_..."""
        return self._call("madvise", madvise, addr, length, advice)

    def mlock(self, addr: int, length: int) -> Answer:
        """Keep a range in memory."""
        return self._call("mlock", mlock, addr, length)

    def mlock2(self, addr: int, length: int, flags: int) -> Answer:
        """Keep a range in memory, from the first touch on with MLOCK_ONFAULT."""
        return self._call("mlock2", mlock2, addr, length, flags)

    def munlock(self, addr: int, length: int) -> Answer:
        """End mlock() of a range."""
        return self._call("munlock", munlock, addr, length)

    def mlockall(self, flags: int) -> Answer:
        """Keep everything in memory, MCL_..."""
        return self._call("mlockall", mlockall, flags)

    def munlockall(self) -> Answer:
        """End mlockall()."""
        return self._call("munlockall", munlockall)

    def msync(self, addr: int, length: int, flags: int) -> Answer:
        """Have shared mappings of files written back, MS_..."""
        return self._call("msync", msync, addr, length, flags)

    def touch(self, addr: int, write: bool = False) -> str:
        """Access a byte: "" if the program may, else the signal it gets, which it survives, unless it is SIGKILL."""
        signal = SIGNALS[do_page_fault(self.task, self._pages, _address("touch", addr), write)[0]]
        step(self._session.k, "process {pid}: {access} {addr:#x}: {signal}", func="touch", pid=self.pid, addr=addr,
             access="write" if write else "read", signal=signal or "allowed")
        return signal

    @property
    def _pages(self) -> Any:
        return processes(self._session.k).pages

    def read(self, addr: int, size: int = 1) -> bytes:
        """Return bytes as the program reads them. Raises InputError with the signal that it gets instead."""
        return self._access("read", addr, _address("read", size), None)

    def write(self, addr: int, data: bytes = b"\1") -> None:
        """Write bytes as the program does. Raises InputError with the signal that it gets instead."""
        if not isinstance(data, bytes):
            raise InputError(f"write: {data!r} is not bytes")
        self._access("write", addr, 0, data)

    def _access(self, what: str, addr: int, size: int, data: bytes | None) -> bytes:
        found = access_user(self.task, self._pages, _address(what, addr), size, data)
        if isinstance(found, bytes):
            return found
        signal, code, at = found
        if signal == SIGKILL:
            raise InputError(f"process {self.pid}: {what} at {at:#x}: SIGKILL, from the OOM killer")
        named = _CODES.get((signal, code), str(code))
        raise InputError(f"process {self.pid}: {what} at {at:#x}: {SIGNALS[signal]}, {named}")

    def open(self, path: str | os.PathLike[str], writable: bool = False) -> int:
        """Open a file of the host, or a device of this machine; its descriptor. Writes stay in the machine."""
        files, room = self.task.files, processes(self._session.k)
        fd = next(n for n in range(3, len(files) + 4) if n not in files)
        inode = room.inodes.get(str(path))
        if inode is not None and inode.i_mode & S_IFCHR:
            file = chrdev_open(inode, str(path), writable)
        else:
            file = open_file(room, path, writable=writable)
        if isinstance(file, int):
            return Answer(file)
        files[fd] = file
        return fd

    def pread(self, fd: int, count: int, offset: int = 0) -> bytes | Answer:
        """Read an open file from `offset` on, past its mappings; the bytes, or an error."""
        file = self.task.files.get(fd)
        pos, count = file_position("pread", offset), _address("pread", count)
        got = -EINVAL if pos < 0 else -EBADF if file is None else vfs_read(self._session.k, file, count, pos)
        if isinstance(got, bytes):
            return got
        if not isinstance(got, int):
            raise InputError(f"{type(file.f_op).__name__}.read() answers {got!r}: expected bytes or -errno")
        return Answer(got)

    def pwrite(self, fd: int, data: bytes, offset: int = 0) -> Answer:
        """Write bytes to an open file at `offset`, past its mappings; how many, or an error."""
        file = self.task.files.get(fd)
        if not isinstance(data, bytes):
            raise InputError(f"pwrite: {data!r} is not bytes")
        pos = file_position("pwrite", offset)
        done = -EINVAL if pos < 0 else -EBADF if file is None else vfs_write(self._session.k, file, data, pos)
        if not isinstance(done, int):
            raise InputError(f"{type(file.f_op).__name__}.write() answers {done!r}: expected a number")
        return Answer(done)

    def setrlimit(self, resource: int, cur: int, most: int = 0xFFFFFFFF) -> None:
        """Set a limit: RLIMIT_DATA 2, STACK 3, MEMLOCK 8, AS 9."""
        if not 0 <= _address("setrlimit", resource) < 16:
            raise InputError(f"setrlimit: there is no limit {resource}")
        self.task.setrlimit(resource, _address("setrlimit", cur), _address("setrlimit", most))

    def fork(self) -> Process | Answer:
        """A child with a copy of the address space."""
        return self._child(share_mm=False)

    def vfork(self) -> Process | Answer:
        """A child in the same address space."""
        return self._child(share_mm=True)

    def _child(self, share_mm: bool) -> Process | Answer:
        task = self.task
        with system_call(task):
            child = copy_process(task, share_mm)
        self._returned(task, "vfork" if share_mm else "fork")
        if isinstance(child, int):
            return Answer(child)
        step(self._session.k, "process {pid}: its child is {child}", func="copy_process", pid=self.pid, child=child.pid)
        return Process(self._session, child.pid)

    def exit(self) -> None:
        """End the process."""
        do_exit(self.task)

    @property
    def oom_score(self) -> int:
        """/proc/PID/oom_score: how likely the OOM killer chooses the process."""
        return proc_oom_score(self.task)

    @property
    def oom_score_adj(self) -> int:
        """/proc/PID/oom_score_adj, -1000 (never) to 1000, which the process itself writes. Raises InputError."""
        return self.task.oom_score_adj

    @oom_score_adj.setter
    def oom_score_adj(self, value: int) -> None:
        if isinstance(value, bool) or not isinstance(value, int):
            raise InputError(f"oom_score_adj: {value!r} is no number")
        error = oom_score_adj_write(self.task, value)
        if error:
            reason = "expected -1000 to 1000" if value not in range(-1000, 1001) else "only root may lower it"
            raise InputError(f"oom_score_adj: {value}: {Answer(error)}: {reason}")
        step(self._session.k, "process {pid}: oom_score_adj is {value}", func="oom_score_adj_write", pid=self.pid,
             value=value)

    # ------------------------------------------------------------------ what there is

    @property
    def maps(self) -> Text:
        """/proc/PID/maps."""
        return Text(proc_pid_maps(self.task))

    @property
    def smaps(self) -> Text:
        """/proc/PID/smaps."""
        return Text(proc_pid_smaps(self.task))

    def pagemap(self, addr: int) -> int:
        """The 64 bits that /proc/PID/pagemap has for an address."""
        return pagemap(self.task, _address("pagemap", addr))

    @property
    def status(self) -> Text:
        """The lines of /proc/PID/status about memory."""
        return Text(proc_pid_status(self.task))

    def pfn(self, addr: int) -> int | None:
        """The page frame that an address leads to, None where nothing is in memory."""
        word = self._pages.entry(self.task.mm, _address("pfn", addr))
        return word >> PAGE_SHIFT if word & L_PTE_PRESENT else None

    def vtop(self, va: int) -> Text:
        """Where an address leads through this process's tables, with every word on the way."""
        return self._session.vtop(va, self)

    def vma(self, addr: int) -> Text:
        """The mapping that an address lies in, with its flags by name."""
        task = self.task
        found = next((v for v in task.mm or () if _address("vma", addr) in v), None)
        if found is None:
            return Text(f"nothing is mapped at {addr:#010x}")
        return Text(f"{show_map_vma(task, found)}\n{show_smap_vma_flags(found)}")

    def __repr__(self) -> str:
        task = processes(self._session.k).tasks.get(self.pid)
        if task is None or task.mm is None:
            signal = processes(self._session.k).ended.get(self.pid)
            return f"<process {self.pid}: gone{', by ' + SIGNALS[signal] if signal else ''}>"
        return f"<process {self.pid}: {task.comm}, {task.mm.map_count} mappings, {task.mm.total_vm} pages>"


def process(session: Session, file: str | os.PathLike[str] | None = None, *args: str,
            env: tuple[str, ...] = ("HOME=/", "TERM=linux"), sysroot: str | os.PathLike[str] | None = None,
            ) -> Process:
    """Start a program from an ELF file of the host. Its interpreter, if it names one, is looked for below `sysroot`.

    Without a file it is a small program of bootsim's own: a page of code, one of data, two of bss.

    Raises InputError for a file that is no program for ARM, or whose interpreter is not there.
    """
    room = processes(session.k)
    if file is None:
        file = "/bin/small"
        if file not in room.inodes:
            room.inodes[file] = disk_inode(room.pages, small_program())  # type: ignore[arg-type]
        opened = disk_file(room.pages, file, room.inodes[file])  # type: ignore[arg-type]
    else:
        opened = open_file(room, file)

    def open_exec(path: str) -> File | int:
        wanted = Path(sysroot or "/nowhere") / path.lstrip("/")
        return open_file(room, wanted, path) if sysroot is not None and wanted.is_file() else -ENOENT

    task = new_task(session.k)
    strings = [text.encode() for text in (str(file), *args)]
    with system_call(task):
        error = execve(task, opened, strings, [text.encode() for text in env], open_exec)
    if room.ended.get(task.pid) == SIGKILL:
        raise InputError(f"{file}: process {task.pid} is killed while it starts: SIGKILL, from the OOM killer")
    if error:
        room.tasks.pop(task.pid, None)
        reason = {2: "its interpreter is not there: sysroot=DIR says where to look", 8: "it is no ELF program for ARM",
                  80: "its interpreter is no ELF file"}.get(-error, "the kernel refuses it")  # fmt: skip
        raise InputError(f"{file}: {Answer(error)}: {reason}")
    step(session.k, "process {pid}: {path} starts", func="execve", pid=task.pid, path=str(file))
    return Process(session, task.pid)
