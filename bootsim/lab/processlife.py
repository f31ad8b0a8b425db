"""The life of recorded processes: their mappings over the operations, pages in memory, faults, and shared frames.

Time is the number of operations made so far. A mapping that stays as it is, is one span, however long.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from bootsim.lab.reversemap import PAGE_MAPPING_ANON, mapped_page
from bootsim.linux.arch.arm.asm.pgtable_2level import L_PTE_PRESENT
from bootsim.linux.fs.proc.task_mmu import show_map_vma
from bootsim.linux.include.linux.mm import VM_MAYSHARE
from bootsim.linux.mm.vmstat import all_vm_events
from bootsim.page import PAGE_SHIFT, PAGE_SIZE

if TYPE_CHECKING:
    from bootsim.lab.drawing import Drawing
    from bootsim.lab.processreplay import ProcessReplay
    from bootsim.linux.mm.mmap.structs import Task, VmAreaStruct

    _Key = tuple[int, int, int, str, str]  # of a span: all but when

_ERRORS = 0xFFFFF000  # from here on a word is an error, negated
KINDS = ("private anonymous", "private file", "shared file", "shared anonymous", "a device's", "the kernel's own")


class Span(NamedTuple):
    """A mapping of a process that stayed as it was after the operations `first` to `last`. `kind` is one of KINDS."""

    pid: int
    start: int
    end: int
    kind: str
    words: str
    first: int
    last: int


class Step(NamedTuple):
    """An operation: whether it ended in a signal, its words, faults so far, each process's pages in memory after it."""

    signal: bool
    words: str
    faults: int
    resident: dict[int, int]


class Shared(NamedTuple):
    """So many frames that follow each other in every mapping, and where: process and address (va) of the first."""

    frames: int
    what: str
    shown: tuple[tuple[int, int], ...]


class Sharing(NamedTuple):
    """Which frames several entries show, after so many operations; the reverse mapping of the most shared one."""

    after: int
    frames: list[Shared]
    drawing: Drawing


class ProcessLife:
    """What a replay comes by. `follow` fills it."""

    def __init__(self, replay: ProcessReplay) -> None:
        self.replay = replay
        self.steps: list[Step] = []
        self.spans: list[Span] = []
        self.sharing: Sharing | None = None
        self._open: dict[_Key, int] = {}  # what is there now: since which operation
        self._most = 0
        self._before = all_vm_events(replay.k)["pgfault"]

    def saw(self, words: dict[str, Any]) -> None:
        """An operation is made, or a mark."""
        if "mark" in words:
            self._look_for_shared()
            return
        now: set[_Key] = set()
        resident, number = {}, len(self.steps)
        for task in list(self.replay.room.tasks.values()):
            if task.mm is not None:
                resident[task.pid] = task.mm.rss[0] + task.mm.rss[1] + task.mm.rss[3]
                now |= {(task.pid, vma.vm_start, vma.vm_end, _kind(vma), _words(task, vma)) for vma in task.mm}
        faults = all_vm_events(self.replay.k)["pgfault"] - self._before
        self.steps.append(Step(words["op"] == "signal", self._told(words), faults, resident))
        self._close([key for key in self._open if key not in now], number - 1)
        self._open |= {key: number for key in now if key not in self._open}

    def _told(self, words: dict[str, Any]) -> str:
        numbers = {name: _number(value) for name, value in words.items() if name not in ("op", "who")}
        answer = numbers.pop("ret", "")
        given = ", ".join(f"{name} {number}" for name, number in numbers.items())
        return f"process {self.replay.tasks[words['who']].pid}: {words['op']} {given}{answer and f' = {answer}'}"

    def end(self) -> None:
        """Nothing more comes."""
        self._close(list(self._open), len(self.steps) - 1)
        self.spans.sort()

    def _close(self, keys: list[_Key], last: int) -> None:
        for key in keys:
            first = self._open.pop(key)
            if last >= first:
                self.spans.append(Span(*key, first, last))

    def _look_for_shared(self) -> None:
        # the moment at which most frames are shared by processes is kept
        zero = self.replay.k.mm.empty_zero_page_pa >> PAGE_SHIFT
        seen: dict[int, list[tuple[int, int]]] = {}
        for task in self.replay.room.tasks.values():
            for va, linux, _, _ in [] if task.mm is None else self.replay.pages.entries(task.mm):
                if linux & L_PTE_PRESENT:
                    seen.setdefault(linux >> PAGE_SHIFT, []).append((task.pid, va))
        seen.pop(zero, None)
        several = {pfn: tuple(shown) for pfn, shown in seen.items() if len({pid for pid, _ in shown}) > 1}
        if len(several) > self._most:
            self._most = len(several)
            best = max(several, key=lambda pfn: (self._what(pfn) == "anonymous", len(several[pfn]), -pfn))
            self.sharing = Sharing(len(self.steps), self._joined(several), mapped_page(self.replay.k, best))

    def _joined(self, frames: dict[int, tuple[tuple[int, int], ...]]) -> list[Shared]:
        found: list[Shared] = []
        for shown, what in sorted((shown, self._what(pfn)) for pfn, shown in frames.items()):
            last = found[-1] if found else None
            if last is not None and last.what == what and shown == tuple(
                    (pid, va + last.frames * PAGE_SIZE) for pid, va in last.shown):
                found[-1] = last._replace(frames=last.frames + 1)
            else:
                found.append(Shared(1, what, shown))
        return found

    def _what(self, pfn: int) -> str:
        k = self.replay.k
        mapping = k.page(pfn).mapping if k.mm.min_low_pfn <= pfn < k.mm.max_pfn else 0
        return "anonymous" if mapping & PAGE_MAPPING_ANON else "of a file" if mapping else "a device's"


def follow(replay: ProcessReplay) -> ProcessLife:
    """Make all operations, and tell what became of the processes."""
    life = ProcessLife(replay)
    replay.run(life.saw)
    life.end()
    return life


def _number(value: Any) -> str:
    if not isinstance(value, int):
        return str(value)
    signed = value - (1 << 32) if value >= _ERRORS else value
    return f"{signed:#x}" if signed >= PAGE_SIZE else str(signed)


def _kind(vma: VmAreaStruct) -> str:
    shared = bool(vma.vm_flags & VM_MAYSHARE)
    if vma.vm_file is None:
        return KINDS[5] if vma.vm_ops is not None else KINDS[0]
    if vma.vm_file.path.startswith("/dev/zero"):
        return KINDS[3]
    if getattr(vma.vm_file.f_mapping, "page_cache", None) is None:
        return KINDS[4]
    return KINDS[2] if shared else KINDS[1]


def _words(task: Task, vma: VmAreaStruct) -> str:
    return " ".join(show_map_vma(task, vma).split())
