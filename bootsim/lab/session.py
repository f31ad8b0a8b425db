"""A booted machine at hand: the kernel's functions bound to it, and what one asks of it. For the shell and for scripts.

    lab = Session(k, show)
    lab.alloc_pages(lab.GFP_KERNEL, 2)      # the same names are bare in a shell or script: lab.names()

Every call is told in the log, as a line of bootsim's own. Who got memory, and where in the caller's text, is kept:
`holders()` tells who has not given it back.
"""

from __future__ import annotations

import importlib
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from bootsim.errors import InputError
from bootsim.lab import names
from bootsim.lab.arguments import content_of, device, new_tlb, size_bytes, text, width, word_address
from bootsim.lab.bound import Bound, Held, place, word_of
from bootsim.lab.text import Text
from bootsim.linux.include.linux.fs import S_IFCHR
from bootsim.linux.include.linux.mm_types import Page
from bootsim.linux.include.linux.page_flags import PG_slab
from bootsim.linux.kernel.printk import KERN_WARNING, step
from bootsim.linux.mm.page_alloc import page_info
from bootsim.page import PAGE_SHIFT

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterator

    from bootsim.lab.drawing import Drawing
    from bootsim.lab.process import Process
    from bootsim.linux import Kernel


class Session:
    """A machine with the kernel's functions as attributes; `names()` has everything a shell or script may write bare.

    `show(k, name, *arguments)` returns a view of the machine as text, and what it leaves out, which the log tells
    once. The machine is `k`; `back` and `branch` change or copy it.
    """

    def __init__(
        self, k: Kernel, show: Callable[..., tuple[str, str | None]], held: dict[int, Held] | None = None
    ) -> None:
        self.k = k
        self.show = show
        self.held = held or {}  # by frame or address; no frame is as large a number as an address
        self.past: list[tuple[Kernel, dict[int, Held], dict[str, Any]]] = []
        self.bare: dict[str, Any] | None = None
        self._kernel: dict[str, Any] = {}
        for module, wanted in names.FUNCTIONS.items():
            home = importlib.import_module(module)
            self._kernel |= {name: Bound(self, getattr(home, name)) for name in wanted}
        for module, starts in names.CONSTANTS.items():
            found = vars(importlib.import_module(module)).items()
            self._kernel |= {name: value for name, value in found if name.startswith(starts) and isinstance(value, int)}
        self._kernel |= {name: 0 for name, option in names.NO_FLAG_WITHOUT.items()
                         if option is None or not getattr(k.build.config, option)}  # fmt: skip
        for module, wanted in names.DRIVERS.items():
            self._kernel |= {name: getattr(importlib.import_module(module), name) for name in wanted}

    def __getattr__(self, name: str) -> Any:
        try:
            return self.__dict__["_kernel"][name]
        except KeyError:
            raise AttributeError(f"no function or constant {name!r}; there are {', '.join(self._kernel)}") from None

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *self._kernel})

    def names(self) -> dict[str, Any]:
        """Return what a shell or script may write bare: the machine, its functions, and the questions below."""
        own = ("cat", "kmem", "vtop", "cpu", "back", "branch", "holders", "cma_area", "cache", "picture", "pkmap",
               "insmod", "rmmod", "process", "ps", "sysctl", "rmap", "load", "store", "fetch", "tlb", "without_flushes",
               "swapon", "swapoff", "switch_to", "abort", "fsr_info")
        self.bare = {**self._kernel, **{name: getattr(self, name) for name in own}, "k": self.k, "lab": self}
        return self.bare

    def heard(self, name: str, call: str, args: tuple[Any, ...], answer: Any) -> None:
        """A bound function was called: tell it in the log, and keep who got memory."""
        told = word_of("", answer) if not isinstance(answer, dict) else "..."
        step(self.k, "{call} = {answer}", func=name, call=call, answer=told)
        given, taken = names.GIVES.get(name), names.TAKES.get(name)
        if taken is not None and len(args) > taken:
            self.held.pop(args[taken], None)
        if given is not None and answer:
            pfn = None
            if given == "address":
                pfn = self.k.virt_to_phys(answer) >> PAGE_SHIFT
            elif given != "va":
                pfn = answer.pfn if given == "page" else answer
            key = answer if pfn is None else pfn
            self.held.pop(key, None)
            self.held[key] = Held(pfn, None if given in ("page", "pfn") else answer, call, place())

    # ------------------------------------------------------------------ questions

    def cat(self, name: str) -> Text:
        """Return a file of the kernel's as it is now, by its path ("/proc/buddyinfo") or the view's name."""
        if text("cat", name).startswith("/proc/") and name.split("/")[2].isdecimal():
            return self._of_process(name)
        if name.startswith("/proc/sys/vm/"):
            return Text(self.sysctl(name.removeprefix("/proc/sys/vm/")))
        shown, missing = self.show(self.k, name)
        if missing is not None and not any(missing in record.text for record in self.k.log.records):
            step(self.k, "{missing}", func="cat", missing=missing)
        return Text(shown)

    def _of_process(self, name: str) -> Text:
        from bootsim.lab.process import Process

        pid, _, file = name.removeprefix("/proc/").partition("/")
        if file not in ("maps", "smaps", "status", "oom_score", "oom_score_adj"):
            raise InputError(f"{name}: a process has maps, smaps, status, oom_score and oom_score_adj here")
        return Text(getattr(Process(self, int(pid)), file))

    def sysctl(self, name: str, value: int | None = None) -> int | None:
        """Return a variable of /proc/sys/vm, "vm.panic_on_oom"; with a value set it first. Raises InputError."""
        from bootsim.linux.kernel.sysctl import read_sysctl, vm_table, write_sysctl

        short, table = text("sysctl", name).removeprefix("vm."), vm_table(self.k)
        if short not in table:
            raise InputError(f"sysctl: no variable {name!r}; there are: {', '.join(f'vm.{each}' for each in table)}")
        if not hasattr(self.k.mm, "pgdat"):
            raise InputError("sysctl: no zones yet; bootmem_init() makes them")
        if value is not None:
            if type(value) is not int or write_sysctl(self.k, short, value):
                least, most = table[short][1:3]
                raise InputError(f"sysctl: vm.{short}: {value!r} is no number from {least} to {most}")
            step(self.k, "sysctl: vm.{name} = {value}", func="sysctl", name=short, value=value)
        elif not table[short].data:
            raise InputError(f"sysctl: vm.{short} can only be written: sysctl(\"vm.{short}\", 1)")
        return read_sysctl(self.k, short)

    def vtop(self, va: Any, process: Process | None = None) -> Text:
        """Return where a virtual address leads, with every word on the way; through a process's tables if one is given.

        Raises InputError for what is no address, and for a process without tables.
        """
        if not isinstance(va, int) or not 0 <= va < 1 << 32:
            raise InputError(f"vtop: {va!r} is no address of 32 bits")
        return Text(self.show(self.k, "vtop", va, *([] if process is None else [self.tables_of("vtop", process)]))[0])

    def tables_of(self, call: str, process: Any) -> int:
        """Return where a process's first-level table lies (pa). Raises InputError for what has none."""
        from bootsim.lab.process import Process

        if not isinstance(process, Process):
            raise InputError(f"{call}: {process!r} is no process; process(FILE) starts one, ps() lists them")
        mm = process.task.mm
        if mm is None or mm.pgd_pa == 0:
            raise InputError(f"{call}: process {process.pid} has no page tables")
        return int(mm.pgd_pa)

    def cma_area(self, name: str | None = None) -> Any:
        """Return a contiguous area by its name, or the default one. Raises InputError when there is none."""
        area = self.k.mm.dma_contiguous_default_area
        if name is not None:
            area = next((found for found in self.k.mm.cma_areas if found.name == name), None)
        if area is None:
            there = ", ".join(found.name for found in self.k.mm.cma_areas) or "none"
            raise InputError(f"no contiguous area {name or 'by default'}; there are: {there}")
        return area

    def cache(self, name: str) -> Any:
        """Return the slab cache of a name. Raises InputError when there is none."""
        caches = [] if self.k.mm.slab is None else self.k.mm.slab.slab_caches
        found = next((s for s in caches if name in (s.name, *s.aliases)), None)
        if found is None:
            raise InputError(f"no cache {name!r}; there are: {', '.join(s.name for s in caches)}")
        return found

    def picture(self, what: Any = None) -> Drawing:
        """Return how live structures point to each other: the node with all zones, one zone, a slab cache, page tables.

        `what` is None, a zone's name, a cache or its name; a virtual address, for both levels of the page table around
        it, Linux's half and the hardware's; a struct page, for all who map it; "vmalloc", for vmap_area and vm_struct;
        or the machine `k`, for everything on one map. Raises InputError for what is none of these.
        """
        from bootsim.lab import structures
        from bootsim.lab.framework import framework
        from bootsim.lab.pagetable import page_table
        from bootsim.lab.reversemap import mapped_page
        from bootsim.lab.vmapareas import vmap_areas

        if isinstance(what, Page):
            return mapped_page(self.k, what.pfn)
        if what in (None, self.k) and not self.k.zones:
            raise InputError("picture: no zones yet; bootmem_init() makes them")
        if what is self.k:
            return framework(self.k)
        if isinstance(what, int) and not isinstance(what, bool):
            if not 0 <= what < 1 << 32:
                raise InputError(f"picture: {what:#x} is no address of 32 bits")
            return page_table(self.k, what)
        if what == "vmalloc":
            return vmap_areas(self.k)
        if what is None or any(what == zone["name"] for zone in self.k.zones):
            return structures.node(self.k, what)
        name = what if isinstance(what, str) else getattr(what, "name", None)
        if not isinstance(name, str):
            raise InputError(f"picture: {what!r} is no zone's name, cache, cache's name, address, or page")
        return structures.cache(self.k, name)

    def pkmap(self) -> Text:
        """Return the windows of kmap() that are mapped: address, page, and how often it is in use."""
        kmap = self.k.mm.kmap
        if kmap is None:
            return Text("no page of high memory has been mapped yet")
        counts = kmap.snapshot()["count"]
        rows = [f"{kmap.base + (nr << PAGE_SHIFT):#010x}  page {kmap.page_at(kmap.base + (nr << PAGE_SHIFT)):#x}  "
                f"pkmap_count {count}{'' if count > 1 else ', unused'}" for nr, count in enumerate(counts) if count]
        return Text("\n".join([*rows, f"{counts.count(0)} of {len(counts)} windows are free, last taken: "
                               f"{kmap.last_pkmap_nr}"]))

    def insmod(self, file: str | os.PathLike[str]) -> Any:
        """Load a module of the kernel, a .ko file, without its relocations; returns it. Raises InputError."""
        from bootsim.linux.kernel.module import load_module

        found = load_module(self.k, content_of("insmod", file), str(file))
        if found is None:
            raise InputError(f"insmod: {file}: no memory for it, as the log tells")
        return found

    def rmmod(self, name: str) -> None:
        """Unload a module."""
        from bootsim.linux.kernel.module import delete_module

        delete_module(self.k, name)

    # ------------------------------------------------------------------ through the TLB

    def load(self, va: int, size: int = 4, privileged: bool = True) -> Any:
        """Return the word (`size` 2: half a word, 1: a byte) that the boot processor reads through its TLB, or a fault.

        Raises InputError for what is no address. Status and address of a fault are in k.cpus[0].cp15 then.
        """
        with self._mode(privileged):
            found = self.k.machine.load(word_address("load", va, width("load", size)), size, privileged)
        self._told("load", va, found)
        return found

    def store(self, va: int, word: Any, size: int = 4, privileged: bool = True) -> Any:
        """Write a word (`size` 2: half, 1: a byte) as the boot processor does, through its TLB; None, or its fault.

        Raises InputError as `load`, and for a number of more bits.
        """
        if isinstance(word, bool) or not isinstance(word, int) or not 0 <= word < 1 << 8 * width("store", size):
            raise InputError(f"store: {word!r} is no number of {8 * size} bits")
        with self._mode(privileged):
            fault = self.k.machine.store(word_address("store", va, width("store", size)), word, size, privileged)
        self._told("store", va, fault)
        return fault

    def fetch(self, va: int, privileged: bool = True) -> Any:
        """Return the word that the boot processor would execute at an address, through its TLB; or the fault it takes.

        Raises InputError as `load`.
        """
        with self._mode(privileged):
            found = self.k.machine.fetch(word_address("fetch", va, 4), privileged)
        self._told("fetch", va, found)
        return found

    def abort(self, fault: Any, privileged: bool = True) -> Any:
        """Return what the kernel does about a fault of load(), store(), fetch(), in the log's words.

        None: the access may be made again. Else the Signal that ends it; the kernel's own end in SIGKILL, an oops.
        """
        from bootsim.hw.mmu import Fault
        from bootsim.linux.arch.arm.mm.fault.abort import do_abort

        if not isinstance(fault, Fault):
            raise InputError(f"abort: {fault!r} is no fault")
        answer = do_abort(self.k, fault, not privileged)
        step(self.k, "abort {va:#010x}: {answer}", func="abort", va=fault.va,
             answer="the access may be made again" if answer is None else repr(answer))
        return answer

    def fsr_info(self, *, fetch: bool = False) -> Text:
        """Return what the kernel does about each fault status: fsr_info, or ifsr_info of fetches, as booted."""
        from bootsim.lab.process import SIGNALS
        from bootsim.linux.arch.arm.mm.fault.abort import fault_tables

        rows = fault_tables(self.k)[fetch]
        return Text("\n".join(f"[{status:2}] {row.fn.__name__:<21} {SIGNALS[row.sig]:<8} {row.name}"
                              for status, row in enumerate(rows)))

    def _told(self, call: str, va: int, found: Any) -> None:
        cp15, words = self.k.cpus[0].cp15, f"{found:#x}" if isinstance(found, int) else repr(found)
        if not isinstance(found, int) and found is not None:
            words += (f"; IFSR {cp15.ifsr:#x}, IFAR {cp15.ifar:#010x}" if call == "fetch" else
                      f"; DFSR {cp15.dfsr:#x}, DFAR {cp15.dfar:#010x}")
        words = "done" if found is None else words
        step(self.k, "{call} {va:#010x}: {words}", func=call, call=call, va=va, words=words)

    @contextmanager
    def _mode(self, privileged: bool) -> Iterator[None]:
        # a program runs with DACR's user domain open, which the kernel may have closed for itself, and maybe without
        # the alignment trap
        if self.k.machine.devices is None:
            from bootsim.lab.devices import devices

            self.k.machine.devices = devices(self.k)
        from bootsim.linux.arch.arm.asm.domain import DOMAIN_CLIENT, DOMAIN_USER, domain_val
        from bootsim.linux.arch.arm.mm.fault.abort import alignment_trap

        cp15 = self.k.cpus[0].cp15
        before = cp15.dacr
        if privileged:
            alignment_trap(self.k)
        else:
            cp15.dacr |= domain_val(DOMAIN_USER, DOMAIN_CLIENT)
        try:
            yield
        finally:
            cp15.dacr = before

    def tlb(self, entries: int | str | None = None, ways: int = 2) -> Text:
        """Return what the boot processor's TLB holds and has counted.

        With `entries` an empty one of that size is put in, or of that processor's ("cortex-a15").
        Raises InputError for a size that cannot be, or a processor that is not known.
        """
        machine = self.k.machine
        if entries is not None:
            machine.tlb = new_tlb(entries, ways)
        now = machine.main_tlb()
        counted = ", ".join(f"{count} {name}" for name, count in now.statistics().items())
        rows = [f"{e.va:#010x} -> {e.pa:#010x}  {e.kind:<12} {'global' if e.is_global else f'ASID {e.asid}'}"
                for e in sorted(now.entries())]
        return Text("\n".join([f"{now.sets} sets of {now.ways}, {len(now)} entries; {counted}", *rows]))

    @contextmanager
    def without_flushes(self) -> Iterator[None]:
        """Have the TLB overhear what is below the `with`: what if the kernel forgot to flush it?"""
        tlb = self.k.machine.main_tlb()
        before, tlb.listens = tlb.listens, False
        try:
            yield
        finally:
            tlb.listens = before

    def switch_to(self, process: Process) -> None:
        """Have the boot processor translate by a process's tables, under its ASID. Raises InputError without tables."""
        from bootsim.linux.arch.arm.mm.context import switch_mm

        self.tables_of("switch_to", process)
        mm: Any = process.task.mm
        switch_mm(self.k, mm)
        step(self.k, "process {pid} runs: TTBR0 {ttbr0:#010x}, ASID {asid}", func="switch_mm", pid=process.pid,
             ttbr0=self.k.cpus[0].cp15.ttbr0, asid=self.k.cpus[0].cp15.asid)

    def process(self, file: str | os.PathLike[str] | None = None, *args: str, **options: Any) -> Process:
        """Start a program from an ELF file, or a small one of bootsim's own.

        `env` are its variables, `sysroot` is where its interpreter is. Raises InputError.
        """
        from bootsim.lab.process import process

        return process(self, file, *args, **options)

    def swapon(
        self, size: int | str, path: str | None = None, priority: int | None = None, *, ssd: bool = False
    ) -> Any:
        """Swap to a partition of so many bytes ("64M"); 0 or the error, negated. With `ssd` its seeks are cheap.

        `path` is by default the next partition of /dev/vda. Raises InputError for what is no size, path or priority.
        """
        from bootsim.lab.process import Answer
        from bootsim.linux.mm.swapfile.on import swap_areas, swapon

        asked_bytes = size_bytes("swapon", size)
        if path is None:
            areas = swap_areas(self.k)
            path = next(p for p in (f"/dev/vda{n}" for n in range(2, 99)) if all(p != si.path for si in areas))
        answer = Answer(swapon(self.k, asked_bytes, device("swapon", path), priority=priority, ssd=ssd))
        step(self.k, "swapon({path}, {size} bytes) = {answer}", func="swapon", path=path, size=asked_bytes,
             answer=repr(answer))
        return answer

    def swapoff(self, path: str) -> Any:
        """Read back all that is in a swap area, and use it no more; 0 or the error, negated. Raises InputError."""
        from bootsim.lab.process import Answer
        from bootsim.linux.mm.swapfile.on import swapoff

        answer = Answer(swapoff(self.k, device("swapoff", path)))
        step(self.k, "swapoff({path}) = {answer}", func="swapoff", path=path, answer=repr(answer))
        return answer

    def rmap(self, page: Any) -> Text:
        """Return who maps a page: process, address and entry, found as the kernel finds them. Raises InputError."""
        from bootsim.linux.kernel.fork.init import processes
        from bootsim.linux.mm.rmap.walk import rmap_walk

        pfn = page.pfn if isinstance(page, Page) else page
        if not isinstance(pfn, int) or not 0 <= pfn < 1 << 20:
            raise InputError(f"rmap: {page!r} is no page frame")
        try:
            found = list(rmap_walk(processes(self.k), pfn))
        except IndexError as error:
            raise InputError(f"rmap: {error}") from None
        lines = [f"process {m.pid}: {m.va:#010x}, entry {m.linux:#010x}" for m in found]
        return Text("\n".join(lines) or f"frame {pfn:#x}: no mapping shows it")

    def ps(self) -> list[Process]:
        """Return the processes, by number."""
        from bootsim.lab.process import Process

        return [] if self.k.processes is None else [Process(self, pid) for pid in sorted(self.k.processes.tasks)]

    def kmem(self, addr: Any, *, physical: bool | None = None) -> Text:
        """Return who owns an address: a virtual one from PAGE_OFFSET on, else a physical one, unless `physical` says.

        Raises InputError where the page tables lead nowhere.
        """
        if not isinstance(addr, int) or not 0 <= addr < 1 << 32:
            raise InputError(f"kmem: {addr!r} is no address of 32 bits")
        if physical is None:
            physical = addr < self.k.build.config.PAGE_OFFSET
        pa, lines = addr, []
        if not physical:
            found = self.k.translate(addr)
            if not found:
                raise InputError(f"kmem: nothing is mapped at {addr:#010x}")
            pa = found.pa
            lines.append(f"va {addr:#010x} -> pa {pa:#010x}")
        return Text("\n".join([*lines, *self._owners(pa)]))

    def _owners(self, pa: int) -> Iterator[str]:
        pfn = pa >> PAGE_SHIFT
        owner = next((h for h in self.k.owners.claims() if h.base <= pa < h.end), None)
        if not self.k.machine.has_ram(pa):
            yield f"pa {pa:#010x}: no RAM"
            return
        yield f"pa {pa:#010x}: boot: {owner.purpose.what} ({owner.span()})" if owner else f"pa {pa:#010x}: boot: nobody"
        for area in self.k.mm.cma_areas:
            if area.base_pfn <= pfn < area.base_pfn + area.count:
                yield f"contiguous area {area.name}: frames {area.base_pfn:#x}-{area.base_pfn + area.count:#x}"
        if not self.k.zones:
            return
        yield repr(self.k.page(pfn))
        head = page_info(self.k, pfn)["compound_head"]
        slab = self._slab(head)
        if slab is not None:
            yield f"slab of {slab!r}"
        va = self.k.phys_to_virt(pa)
        of_slab = self.k.mm.slab.owner_of(va) if self.k.mm.slab is not None else ""
        if of_slab:
            yield of_slab
        for held in self.holders():
            inside = held.va is not None and slab is not None and held.va <= va < held.va + slab.object_size
            if inside or held.pfn in (pfn, head):
                yield f"held since {held.place}: {held.call}"

    def _slab(self, pfn: int) -> Any:
        # the cache whose slab begins at a frame, or None: page->slab_cache lies where others have their mapping.
        # Pages of SLOB are of no cache.
        info = page_info(self.k, pfn)
        allocator = None if self.k.build.config.SLOB else self.k.mm.slab
        return allocator.cache_at.get(info["mapping"]) if info["flags"] & PG_slab and allocator is not None else None

    def holders(self) -> list[Held]:
        """Return who got memory through this session and still has it, oldest first."""
        return [h for h in self.held.values() if h.pfn is None or page_info(self.k, h.pfn)["refcount"] > 0]

    # ------------------------------------------------------------------ which processor, which machine

    @contextmanager
    def cpu(self, number: int) -> Iterator[None]:
        """Run what is below the `with` on another processor, with its per-cpu lists. Raises InputError."""
        if not 0 <= number < self.k.nr_online_cpus:
            raise InputError(f"cpu({number}): {self.k.nr_online_cpus} processors run; --smp says how many")
        k, before = self.k, self.k.mm.pgdat.cpu
        k.mm.pgdat.cpu = number
        try:
            yield
        finally:
            k.mm.pgdat.cpu = before

    def branch(self) -> Session:
        """Return a second machine in the same state, with the same functions as attributes."""
        second = Session(self.k.copy(), self.show, dict(self.held))
        room = second.k.processes
        drivers = [] if room is None else [path for path, inode in room.inodes.items() if inode.i_mode & S_IFCHR]
        if drivers:
            step(second.k, "warning: bare names in the driver of {drivers} are those of the first machine",
                 func="branch", level=KERN_WARNING, drivers=", ".join(drivers))
        return second

    def remember(self, most: int = 32) -> None:
        """Keep the machine and the bare names as they are, for `back`; the prompt calls it before each line."""
        self.past.append((self.k.copy(), dict(self.held), dict(self.bare or {})))
        del self.past[: -most - 1]  # the last one is of the line that will say back()

    def back(self) -> None:
        """Undo the last line of the prompt: the machine and all names are as before it. Raises InputError."""
        if not self.past:
            raise InputError("back() undoes lines of a prompt; use branch()")
        self.past.pop()  # of the line that says back()
        if not self.past:
            raise InputError("back(): no line to undo")
        self.k, self.held, known = self.past.pop()
        if self.bare is not None:
            self.bare.clear()
            own = {name: Page(self.k, v.pfn) if isinstance(v, Page) else v for name, v in known.items()}
            self.bare.update(own, k=self.k)

    def _repr_html_(self) -> str:
        from bootsim.lab.picture import memory_map

        return memory_map(self.k)
