"""A recording of a real process: its operations in order, and its address space at every mark between them."""

from __future__ import annotations

import json
import re
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bootsim.errors import InputError
from bootsim.lab.recording import MOST_BYTES
from bootsim.linux.include.linux.errno import EACCES
from bootsim.linux.include.linux.mm import VM_MAYSHARE, VM_MAYWRITE
from bootsim.linux.include.linux.mman import MAP_SHARED, PROT_WRITE
from bootsim.reading import read_file, read_packed

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable

_ARGUMENTS = {  # what an operation needs beside `op`
    "mmap": "who addr len prot flags fd off ret", "munmap": "who addr len ret", "mprotect": "who addr len prot ret",
    "madvise": "who addr len advice ret", "mremap": "who addr old len flags ret", "brk": "who from addr",
    "mlock": "who addr len ret", "munlock": "who addr len ret", "mlock2": "who addr len flags ret",
    "mlockall": "who flags ret", "munlockall": "who ret", "msync": "who addr len flags ret", "read": "who addr",
    "write": "who addr", "signal": "who addr access signo",
    "fread": "who fd off len ret", "fwrite": "who fd off len ret", "ftruncate": "who fd len ret",
    "fork": "who", "vfork": "who child pid", "exit": "who",
}  # fmt: skip


def is_process_recording(path: Path) -> bool:
    """Whether a folder holds the marks of processes, not a trace of pages."""
    return any((path / name).is_file() for name in ("marks.json", "marks.json.xz"))


def _numbers(found: dict[str, Any], needed: Iterable[str], *others: str) -> None:
    # raises KeyError where a number is missing, ValueError where one of them, or of others that are there, is none
    if not isinstance(found, dict):
        raise TypeError(f"{found!r}, expected an object")
    for name in (*needed, *(name for name in others if name in found)):
        bits = 31 if name.startswith("sysctl_") else 32
        if not isinstance(found[name], int) or not 0 <= found[name] < 1 << bits:
            raise ValueError(f"{name} is {found[name]!r}, expected a number of {bits} bits")


def _check_mm(mm: dict[str, Any]) -> None:
    _numbers(mm, ("mmap_base", "start_brk"), "brk", "start_stack", "def_flags", "task_size")
    for v in mm["vmas"]:
        _numbers(v, ("start", "end", "flags", "pgoff"), "size")
        if not isinstance(v["file"], str | None):
            raise ValueError(f"file is {v['file']!r}, expected its name")
    for e in mm.get("ptes", ()):
        _numbers(e, ("va", "linux", "hw"))
        _numbers(e.get("page", {}), (), "mapping")


class ProcessRecording:
    """A folder with console.log and marks.json(.xz). Raises InputError for one that is broken."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self.log = self._text("console.log")
        self.marks = self._marks()
        self.files: dict[int, str] = {}
        self.about: dict[int, dict[str, Any]] = {}
        self.operations = list(self._operations())

    def _text(self, name: str) -> str:
        file = self.path / name
        try:
            return read_file(file, "a boot log").decode(errors="replace")
        except OSError as error:
            raise InputError(f"{file}: {error.strerror or error}") from None

    def _marks(self) -> list[dict[str, Any]]:
        plain, packed = self.path / "marks.json", self.path / "marks.json.xz"
        file = plain if plain.exists() else packed
        try:
            marks = json.loads(read_packed(file, "the marks of a recorded process", MOST_BYTES))
            for mark in marks:
                for pid, task in mark["tasks"].items():
                    _check_mm(task["mm"])
                    _numbers(task.get("rlimit", {}), (), "stack", "data", "memlock", "as")
                    int(pid)
                _numbers(mark, ("mark",))
                _numbers(mark.get("kernel", {}), (), "stack_guard_gap", "mmap_min_addr", "sysctl_max_map_count")
            if len(marks[0]["tasks"]) != 1:
                raise ValueError("one process is expected at the first mark")
        except (ValueError, TypeError, KeyError, IndexError, AttributeError) as error:
            raise InputError(f"{file}: not the marks of a recorded process: {error!r}") from None
        return list(marks)

    def _operations(self) -> list[dict[str, Any]]:
        found = re.search(r"@@BEGIN vmlab\r?\n(.*?)@@END", self.log, re.DOTALL)
        if found is None:
            raise InputError(f"{self.path / 'console.log'}: no operations between @@BEGIN vmlab and @@END")
        operations = []
        for number, line in enumerate(found[1].splitlines(), 1):
            if not line.startswith("{"):
                continue
            try:
                words = json.loads(line)
                self._take(words)
                needed = _ARGUMENTS.get(words.get("op", ""), "").split()
                needed += ["mark"] if "mark" in words else []
                if any(not isinstance(words[name], str if name == "access" else int) for name in needed):
                    raise ValueError("an argument is no number")
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                raise InputError(f"{self.path / 'console.log'}: operation {number}: {line[:60]}: {error!r}") from None
            operations.append(words)
        return operations

    def _take(self, words: dict[str, Any]) -> None:
        self.files |= {int(fd): str(name) for fd, name in words.get("files", {}).items()}
        self.about |= {int(fd): dict(facts) for fd, facts in words.get("about", {}).items()}

    @cached_property
    def read_only(self) -> set[int]:
        """Descriptors that were opened for reading only.

        No line says so. A shared writable mapping that was refused does, and a shared one that may never be writable.
        """
        shared = [words for words in self.operations if words.get("op") == "mmap" and words["flags"] & MAP_SHARED]
        refused = {w["fd"] for w in shared if w["prot"] & PROT_WRITE and (w["ret"] + EACCES) & 0xFFFFFFFF == 0}
        mms = [task["mm"] for mark in self.marks for task in mark["tasks"].values()]
        names = {v["file"] for mm in mms for v in mm["vmas"] if v["flags"] & (VM_MAYSHARE | VM_MAYWRITE) == VM_MAYSHARE}
        return refused | {fd for fd, path in self.files.items() if path.rpartition("/")[2] in names}

    @property
    def cpus(self) -> int:
        """How many processors the kernel ran on; with several, pages are shared between them."""
        found = re.search(r"Brought up \d+ nodes?, (\d+) CPUs?", self.log)
        return int(found[1]) if found else 1

    @property
    def ram_bytes(self) -> int:
        """The board's RAM, by the kernel's own line; 256 MiB where the log has none."""
        found = re.search(r"Memory: \d+K/(\d+)K available", self.log)
        return int(found[1]) << 10 if found else 256 << 20
