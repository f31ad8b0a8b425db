"""The replay: one `Kernel` object holds all state of one boot, `boot()` runs start_kernel() on it."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from functools import partial
from typing import TYPE_CHECKING, Any
from weakref import proxy

from bootsim.errors import FaultError, KernelPanic
from bootsim.facts import Facts
from bootsim.linux.arch.arm.asm.memory import Layout
from bootsim.linux.include.linux.mm_types import MmStruct, Page
from bootsim.linux.kernel.jump_label import StaticKey
from bootsim.linux.kernel.printk import Console
from bootsim.linux.mm.memblock import Memblock
from bootsim.log import make_logger
from bootsim.owners import Owners
from bootsim.page import page_pieces
from bootsim.stages import STAGES

if TYPE_CHECKING:
    from bootsim.hw.machine import Machine
    from bootsim.hw.mmu import Cp15, Fault, Translation
    from bootsim.inputs.build import Config, KernelBuild, MachineDesc
    from bootsim.linux.arch.arm.asm.proc_fns import Processor
    from bootsim.linux.arch.arm.asm.procinfo import ProcInfo
    from bootsim.linux.arch.arm.mm.context import Asids
    from bootsim.linux.arch.arm.mm.dma_mapping import Unmapped
    from bootsim.linux.arch.arm.mm.ioremap import StaticVm
    from bootsim.linux.arch.arm.mm.mmu.create_mapping import MemType
    from bootsim.linux.drivers.of.base import DeviceNode
    from bootsim.linux.drivers.of.of_reserved_mem import ReservedMem
    from bootsim.linux.drivers.tty.serial.earlycon import EarlyconDevice
    from bootsim.linux.include.linux.mmzone import Zone
    from bootsim.linux.kernel.kallsyms import Symbol
    from bootsim.linux.kernel.module import Module
    from bootsim.linux.kernel.printk import Record
    from bootsim.linux.lib.fdt import FlatTree
    from bootsim.linux.mm.cma import Cma
    from bootsim.linux.mm.early_ioremap import EarlyIoremap
    from bootsim.linux.mm.highmem import Kmap
    from bootsim.linux.mm.mmap.structs import Processes, UserMm
    from bootsim.linux.mm.page_alloc import Pglist
    from bootsim.linux.mm.percpu import Percpu
    from bootsim.linux.mm.slab_common import SlabAllocator
    from bootsim.linux.mm.vmalloc import VmStruct
    from bootsim.linux.mm.vmalloc.area import Vmap


_ZONE_COLUMNS = ("start_pfn", "spanned", "present", "managed", "nr_free_pages")


class StageReached(Exception):
    """Not an error but how a boot ends early: raised inside the replay when the stage named by `until` is reached."""


class Mm:
    """The room of memory management: memblock, zones, the page tables of init_mm, under the kernel's own names.

    Names ending in `_pa` are physical addresses, all others in the units the kernel keeps them in.
    """

    # set on the way, before anything reads them
    pgdat: Pglist
    pcpu_base_pa: int
    pcpu_unit_size: int
    pcpu: Percpu
    # the variables of arch/arm/mm: mmu_data() gives them the values that lie in the kernel image
    cachepolicy: int
    initial_pmd_value: int
    ecc_mask: int
    mem_types: list[MemType]
    pgprot_user: int
    pgprot_kernel: int
    user_pmd_table: int
    kernel_pmd_table: int  # _PAGE_KERNEL_TABLE, which the build decides
    protection_map: list[int]
    early_fixmap: bool
    vmalloc_min: int
    static_vmlist: list[StaticVm]
    vmlist: list[VmStruct]
    dma_mmu_remap: list[tuple[int, int, str]]
    unmapped: list[Unmapped]
    vectors_page_pa: int
    top_pmd_pa: int
    pkmap_page_table_pa: int
    empty_zero_page_pa: int

    def __init__(self, config: Config, memblock: Memblock) -> None:
        self.memblock = memblock
        self.phys_offset = 0
        self.layout = Layout(config)
        self.init_mm = MmStruct("init_mm")
        # geometry of the buddy allocator
        self.max_order = config.FORCE_MAX_ZONEORDER
        self.pageblock_order = self.max_order - 1
        self.smp_cache_bytes = 1 << config.ARM_L1_CACHE_SHIFT
        # CMA
        self.cma_size_cmdline: int | None = None
        self.cma_base_cmdline = 0
        self.cma_limit_cmdline = 0
        self.dma_contiguous_default_area: Cma | None = None
        self.cma_areas: list[Cma] = []
        self.totalcma_pages = 0
        self.atomic_pool: tuple[int, int] | None = None  # (pfn, pages) of DMA's atomic pool
        # page allocator
        self.init_on_alloc = StaticKey("init_on_alloc", config.INIT_ON_ALLOC_DEFAULT_ON)
        self.init_on_free = StaticKey("init_on_free", config.INIT_ON_FREE_DEFAULT_ON)
        self.want_page_poisoning = StaticKey("want_page_poisoning")
        self.debug_pagealloc_enabled = config.DEBUG_PAGEALLOC and config.DEBUG_PAGEALLOC_ENABLE_DEFAULT
        self.debug_guardpage_minorder = 0
        self.required_kernelcore = 0
        self.required_kernelcore_percent = 0
        self.required_movablecore = 0
        self.required_movablecore_percent = 0
        self.mirrored_kernelcore = False
        self.dma_reserve = 0
        self.nr_kernel_pages = 0
        self.nr_all_pages = 0
        self.totalram_pages = 0
        self.totalhigh_pages = 0
        self.section_maps: dict[int, int] = {}
        self.slab: SlabAllocator | None = None
        self.vmap: Vmap | None = None
        self.kmap: Kmap | None = None
        self.early_ioremap: EarlyIoremap | None = None
        self.asids: Asids | None = None
        self.modules: dict[str, Module] = {}
        # limits
        self.arm_dma_zone_size = 0
        self.arm_dma_limit = 0xFFFFFFFF
        self.arm_lowmem_limit = 0
        self.min_low_pfn = 0
        self.max_low_pfn = 0
        self.max_pfn = 0

    @property
    def high_memory(self) -> int:
        """The end of lowmem (va), 0 until it is known."""
        return self.layout.high_memory


class OpenFirmware:
    """The room of the device tree as the kernel has it: the blob in RAM, its unflattened nodes, reserved memory."""

    # set on the way, before anything reads them
    fdt: FlatTree
    of_root: DeviceNode
    dt_root_addr_cells: int
    dt_root_size_cells: int

    def __init__(self) -> None:
        # the nodes that say how much memory there is, as (path, property)
        self.memory_nodes: list[tuple[str, str]] = []
        self.reserved_mem: list[ReservedMem] = []
        self.reserved_mem_dropped = 0
        self.dma_reserved_default_memory: ReservedMem | None = None


class Log:
    """The room of the kernel log: its records in order, its levels, its buffer (bytes)."""

    def __init__(self, config: Config) -> None:
        self.records: list[Record] = []
        self.logger = make_logger(self.records)
        self.console_loglevel = config.CONSOLE_LOGLEVEL_DEFAULT
        self.ignore_loglevel = False
        self.new_log_buf_len = 0
        self.log_buf_len = 1 << config.LOG_BUF_SHIFT
        self.early_console_dev: EarlyconDevice | None = None
        self.early_printk_dev = Console("earlycon")


class CpuState:
    """The room of one possible processor, by its number in the kernel.

    `logical_map` is its MPIDR as cpu_logical_map() has it, `comm` the name of its current task, `cp15` its control
    registers.
    """

    def __init__(self, cp15: Cp15, logical_map: int = 0, comm: str = "swapper") -> None:
        self.cp15 = cp15
        self.logical_map = logical_map
        self.comm = comm


class Kernel:
    """Everything one booting kernel knows, under the kernel's own names; nothing is shared between two of them.

    Its rooms: `mm` (memblock, zones, page tables), `of` (flat and unflattened tree), `cpus` by number, `log`; `facts`
    are the derived quantities, `owners` who holds what of memory; `build` and `machine` are what it was given.
    `where(path, property or None)` answers with a place in the user's source ("board.dts:41"), which the kernel itself
    never sees.
    """

    # set on the way, before anything reads them
    procinfo: ProcInfo
    processor: Processor
    cr_alignment: int
    mdesc: MachineDesc

    def __init__(self, build: KernelBuild, machine: Machine, *,
                 observer: Callable[[str, Kernel], None] | None = None,
                 where: Callable[[str, str | None], str] | None = None) -> None:
        from bootsim.linux.kernel.printk import printk
        from bootsim.linux.lib.string import memset

        self.build = build
        self.machine = machine
        self.observer = observer
        self.where = where
        self.until: str | None = None
        self.stage = "head"
        self.facts = Facts()
        self.owners = Owners()
        self.panicked: KernelPanic | None = None
        self.tainted_mask = 0
        self.debug_locks = True
        self.die_counter = 0
        config = build.config
        self.log = Log(config)
        # weakly: a kernel that nobody uses any more goes at once, and the host's memory for its RAM with it
        this = proxy(self)
        self.mm = Mm(config, Memblock(partial(printk, this), partial(memset, this), build.sizeof.memblock_region,
                                      self.owners.hear))
        self.of = OpenFirmware()
        self.cpus = [CpuState(machine.cp15)]

        # head.S
        self.atags_pointer = 0
        self.processor_id = machine.cpu.midr
        self.is_smp = False
        self.cpu_architecture = 0
        self.cacheid = 0
        # command line
        self.boot_command_line = ""
        self.usermem = False
        self.phys_initrd_start = 0
        self.phys_initrd_size = 0
        self.initrd_start = 0
        self.initrd_end = 0
        self.dhash_entries = 0
        self.ihash_entries = 0
        self.options: dict[str, Any] = {}
        self.argv_init = ["init"]
        self.envp_init = ["HOME=/", "TERM=linux"]
        # words of the command line that no handler took, each with the reason
        self.unused: list[str] = []
        self.static_key_initialized = False
        # processors
        self.nr_cpu_ids = config.NR_CPUS if config.SMP else 1
        self.num_possible_cpus = 1
        self.nr_online_cpus = 1
        self.smp_ops: str | None = None
        # static variables of the machine's own code, by name
        self.mach: dict[str, Any] = {}
        self.setup_max_cpus = config.NR_CPUS
        # processes, once there are any
        self.processes: Processes | None = None
        self.active_mm: UserMm | None = None  # which the boot processor is in
        # resources: (name, first pa, last pa)
        self.iomem: list[tuple[str, int, int]] = []

    def copy(self) -> Kernel:
        """Return another machine in the same state: what happens to one, the other does not see. Nobody observes it.

        Memory that was never touched is not copied.
        """
        return deepcopy(self)

    def __deepcopy__(self, memo: dict[int, Any]) -> Kernel:
        copied = memo.get(id(self))
        if copied is not None:  # asked for by memblock's messages, which hold their kernel weakly
            return proxy(copied)  # type: ignore[return-value]
        memo[id(self)] = new = Kernel.__new__(Kernel)
        for name, value in vars(self).items():
            setattr(new, name, None if name == "observer" else deepcopy(value, memo))
        return new

    def virt_to_phys(self, va: int) -> int:
        """__pa(): the physical address of a linear-mapping virtual address, 32 bits."""
        return (va - self.build.config.PAGE_OFFSET + self.mm.phys_offset) & 0xFFFFFFFF

    def phys_to_virt(self, pa: int) -> int:
        """__va(): the linear-mapping virtual address of a physical address, 32 bits."""
        return (pa - self.mm.phys_offset + self.build.config.PAGE_OFFSET) & 0xFFFFFFFF

    def translate(self, va: int, access: str = "read", privileged: bool = True) -> Translation | Fault:
        """What the MMU makes of a virtual address, walking the page tables in RAM as they are now."""
        return self.machine.translate(va, access, privileged)  # type: ignore[arg-type]

    def read(self, addr: int, size: int, physical: bool = False) -> bytes:
        """Return `size` bytes at a virtual address, through the page tables as they are now, or at a physical one.

        Raises FaultError where nothing is mapped, and where no RAM is.
        """
        parts = []
        for start, length in page_pieces(addr, size):
            pa = start
            if not physical:
                found = self.translate(start) if 0 <= start <= 0xFFFFFFFF else None
                if not found:
                    raise FaultError("nothing is mapped at this virtual address", start)
                pa = found.pa
            if not self.machine.has_ram(pa, length):
                raise FaultError("no RAM at this physical address", pa)
            parts.append(self.machine.ram.read(pa, length))
        return b"".join(parts)

    def symbol(self, name_or_va: str | int) -> Symbol:
        """The kernel symbol of a name, or the one that a virtual address lies behind. Raises SymbolLookupError."""
        from bootsim.linux.kernel.kallsyms import lookup

        return lookup(self.build.symbols, name_or_va)

    def page(self, pfn: int) -> Page:
        """The struct page of a frame. Raises PageFrameError when it has none."""
        return Page(self, pfn)

    def zone(self, name: str) -> Zone:
        """The zone of a name, as it is now. Raises KeyError for a name that the build does not have."""
        from bootsim.linux.include.linux.mmzone import Zone

        found = {state["name"]: state for state in self.zones}
        return Zone(self, found[name])

    def __repr__(self) -> str:
        state = "panicked" if self.panicked else f"in {self.stage}"
        return f"<Kernel {self.build.name}: {state}, {self.mm.totalram_pages} pages, {len(self.log.records)} records>"

    def _repr_html_(self) -> str:
        from html import escape

        rows = "".join(f"<tr><td>{z['name']}</td>" + "".join(f"<td>{z[f]}</td>" for f in _ZONE_COLUMNS) + "</tr>"
                       for z in self.zones)
        head = "".join(f"<th>{name}</th>" for name in ("zone", *_ZONE_COLUMNS))
        return f"<p>{escape(repr(self))}</p><table><tr>{head}</tr>{rows}</table>"

    @property
    def zones(self) -> list[dict[str, Any]]:
        """The zones with their numbers, free lists (pfns, in list order) and per-cpu lists, as in stages.json.

        There are none before bootmem_init().
        """
        from bootsim.linux.mm.page_alloc import zones_snapshot

        return zones_snapshot(self) if hasattr(self.mm, "pgdat") else []

    def reached(self, stage: str) -> None:
        """A stage of STAGES is reached: let the observer look, and stop if this is the last one wanted."""
        self.owners.mark(stage)
        if self.observer is not None:
            self.observer(stage, self)
        if stage == self.until:
            raise StageReached(stage)


def boot(k: Kernel, until: str | None = None) -> Kernel:
    """Run the boot on `k`, to its end or to the stage `until`. Returns `k`.

    Raises KernelPanic when the replayed kernel dies; its last words are in `k.log.records`, the panic in `k.panicked`.
    Source: arch/arm/kernel/head.S stext, init/main.c start_kernel()
    """
    from bootsim.linux.arch.arm.mm.init import tell_layout
    from bootsim.linux.init.main import start_kernel
    from bootsim.linux.kernel.panic import last_words
    from bootsim.unused import tell_unused

    if until is not None and until not in STAGES:
        raise ValueError(f"unknown stage {until!r}")
    k.until = until
    try:
        start_kernel(k)
        tell_unused(k)
        if until is None:
            tell_layout(k)
    except StageReached:
        pass
    except KernelPanic as e:
        if k.panicked is None:
            k.panicked = e
            last_words(k, e)
        tell_unused(k)
        raise
    return k
