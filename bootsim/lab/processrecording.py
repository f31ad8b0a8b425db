"""A recording of a real process: its operations in order, and its address space at every mark between them."""

from __future__ import annotations

import json
import re
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bootsim.errors import InputError
from bootsim.lab.recording import MOST_BYTES
from bootsim.linux.include.linux.errno import EACCES
from bootsim.linux.include.linux.mm import VM_MAYSHARE, VM_MAYWRITE
from bootsim.linux.include.linux.mman import MAP_SHARED, PROT_WRITE
from bootsim.page import PAGE_SIZE
from bootsim.reading import read_file, read_packed

if TYPE_CHECKING:
    import os

_ARGUMENTS = {  # what an operation needs beside `op`
    "mmap": "who addr len prot flags fd off ret", "munmap": "who addr len ret", "mprotect": "who addr len prot ret",
    "madvise": "who addr len advice ret", "mremap": "who addr old len flags ret", "brk": "who from addr",
    "mlock": "who addr len ret", "munlock": "who addr len ret", "mlock2": "who addr len flags ret",
    "mlockall": "who flags ret", "munlockall": "who ret", "msync": "who addr len flags ret", "read": "who addr",
    "write": "who addr", "signal": "who addr access signo",
    "fread": "who fd off len ret", "fwrite": "who fd off len ret", "ftruncate": "who fd len ret",
    "fork": "who", "vfork": "who child pid", "exit": "who",
}  # fmt: skip


def _words(names: str) -> dict[str, Any]:
    return dict.fromkeys(names.split(), range(1 << 32))


# What the replay reads of the marks, and of the files' line: str is a text or null, a name with ? may be missing,
# {int: form} has numbers for names.
_VMA = _words("start end flags pgoff ?size ?anon_vma") | {"file": str, "?fs": str}
_ENTRY = _words("va linux hw") | {"?page": _words("?mapping")}
_MM = _words("mmap_base start_brk ?brk ?start_stack ?def_flags ?task_size") | {"vmas": [_VMA], "?ptes": [_ENTRY]}
_KERNEL = _words("?stack_guard_gap ?mmap_min_addr") | {"?sysctl_max_map_count": range(1 << 31)}
_TASK = {"mm": _MM, "?rlimit": _words("?stack ?data ?memlock ?as")}
_MARKS = [_words("mark ?empty_zero_page_pfn") | {"tasks": {int: _TASK}, "?kernel": _KERNEL}]
_ABOUT = {"?pages": [range(1 << 32)], "?registers": {int: range(1 << 32)}, "?size": range(1 << 32), "?device": str,
          "?fs": str}  # fmt: skip
_FILES = {"?files": {int: str}, "?about": {int: _ABOUT}}


def _fit(value: Any, form: Any, where: str = "") -> None:
    """Raise ValueError with the place of what does not have the form."""
    if isinstance(form, range):
        if type(value) is not int or value not in form:
            raise ValueError(f"{where}: {value!r} is no number below {form.stop:#x}")
    elif form is str:
        if not isinstance(value, str | None):
            raise ValueError(f"{where}: {value!r} is no text")
    elif not isinstance(value, type(form)):
        raise ValueError(f"{where}: {value!r:.60} is no {'list' if isinstance(form, list) else 'object'}")
    elif isinstance(form, list):
        for i, one in enumerate(value):
            _fit(one, form[0], f"{where}[{i}]")
    elif int in form:
        for name, one in value.items():
            _fit(int(name), range(1 << 32), where)
            _fit(one, form[int], f"{where}.{name}")
    else:
        for name, one in form.items():
            if name.lstrip("?") in value:
                _fit(value[name.lstrip("?")], one, f"{where}.{name.lstrip('?')}")
            elif not name.startswith("?"):
                raise ValueError(f"{where}: has no {name}")


def is_process_recording(path: Path) -> bool:
    """Whether a folder holds the marks of processes, not a trace of pages."""
    return any((path / name).is_file() for name in ("marks.json", "marks.json.xz"))


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
            _fit(marks, _MARKS)
            first = [v for task in marks[0]["tasks"].values() for v in task["mm"]["vmas"]]
            ends = [end for v in first for end in (v["start"], v["end"])]
            if any(end % PAGE_SIZE for end in ends) or any(a >= b for a, b in zip(ends[::2], ends[1::2], strict=True)):
                raise ValueError("at the first mark, a mapping is not of whole pages")
            if any(a > b for a, b in pairwise(ends)):
                raise ValueError("at the first mark, two mappings overlap or are not in order")
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
                _fit(words, _FILES)
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
