"""What a kernel build decides: the part of .config, System.map and struct sizes that the boot's arithmetic needs.

The classes are the schema of `configs/*.yaml` (see docs/configs.md), read by `bootsim.inputs.configfile` and written by
`bootsim.inputs.profile`. To add a value that a build decides, add a field here and a line to docs/configs.md: reader,
writer and tests take it from here. A field's type is int, bool, str, or one of these `| None`.

These are not dataclasses or pydantic models because every boot imports them: generating the code of 250 fields, or
importing pydantic, takes longer than the boot.
"""

from typing import Any, ClassVar, Literal, Self, dataclass_transform

from bootsim.shared import Shared

_REQUIRED: Any = object()


class _Named:
    __slots__ = ("default", "kernel_name")

    def __init__(self, kernel_name: str, default: Any) -> None:
        self.kernel_name = kernel_name
        self.default = default


def named(kernel_name: str, *, default: Any = _REQUIRED) -> Any:
    """A field that the kernel, and so the YAML file, calls something else than the attribute."""
    return _Named(kernel_name, default)


class _WithoutEffect:
    __slots__ = ("default", "why")

    def __init__(self, default: Any, why: str) -> None:
        self.default = default
        self.why = why


def without_effect(default: Any, why: str) -> Any:
    """A field that a build has and no code reads: no memory before the end of the boot, and no line, depends on it."""
    return _WithoutEffect(default, why)


@dataclass_transform(frozen_default=True, kw_only_default=True, field_specifiers=(named, without_effect))
class Values(Shared):
    """Named values that never change, declared as in a dataclass: `name: type`, `= default` where it may be left out.

    `KERNEL_NAMES` maps each attribute to what the kernel and YAML call it, `DEFAULTS` the optional ones to a value,
    `WITHOUT_EFFECT` those that no code reads to the reason.
    """

    KERNEL_NAMES: ClassVar[dict[str, str]]
    DEFAULTS: ClassVar[dict[str, Any]]
    WITHOUT_EFFECT: ClassVar[dict[str, str]]

    def __init_subclass__(cls) -> None:
        cls.KERNEL_NAMES = names = {}
        cls.DEFAULTS = defaults = {}
        cls.WITHOUT_EFFECT = passive = {}
        for attribute in cls.__annotations__:
            declared = cls.__dict__.get(attribute, _REQUIRED)
            names[attribute] = attribute
            if isinstance(declared, _Named):
                names[attribute] = declared.kernel_name
                declared = declared.default
                if declared is _REQUIRED:
                    delattr(cls, attribute)
                else:
                    setattr(cls, attribute, declared)
            if isinstance(declared, _WithoutEffect):
                passive[attribute] = declared.why
                declared = declared.default
                setattr(cls, attribute, declared)
            if declared is not _REQUIRED:
                defaults[attribute] = declared

    def __init__(self, **values: Any) -> None:
        wrong = values.keys() - self.KERNEL_NAMES.keys()
        missing = self.KERNEL_NAMES.keys() - self.DEFAULTS.keys() - values.keys()
        if wrong or missing:
            raise TypeError(f"{type(self).__name__}: unknown {sorted(wrong)}, missing {sorted(missing)}")
        self.__dict__.update(values)

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError(f"{type(self).__name__} does not change; use replace({name}=...)")

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"{type(self).__name__} does not change")

    def as_dict(self) -> dict[str, Any]:
        """Every attribute and its value, in the order of declaration."""
        return {attribute: getattr(self, attribute) for attribute in self.KERNEL_NAMES}

    def replace(self, **changes: Any) -> Self:
        """The same values but for `changes`."""
        return type(self)(**{**self.__dict__, **changes})

    def __eq__(self, other: object) -> bool:
        return isinstance(other, type(self)) and self.as_dict() == other.as_dict()

    def __hash__(self) -> int:
        return hash(tuple(self.as_dict().items()))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in self.__dict__.items())})"


class Config(Values):
    """CONFIG_ symbols, named without the prefix. As in a .config, an absent bool is n."""

    # virtual address space
    PAGE_OFFSET: int
    HIGHMEM: bool = False
    HIGHPTE: bool = False
    MODULES: bool = False
    MODULE_UNLOAD: bool = False
    ARM_MODULE_PLTS: bool = False
    STRICT_MODULE_RWX: bool = False
    DYNAMIC_FTRACE: bool = False
    VMSPLIT_3G: bool = False
    VMSPLIT_3G_OPT: bool = False
    VMSPLIT_2G: bool = False
    VMSPLIT_1G: bool = False
    ARM_PATCH_PHYS_VIRT: bool = False
    PHYS_OFFSET: int | None = None
    XIP_KERNEL: bool = False
    STRICT_KERNEL_RWX: bool = False
    DEBUG_ALIGN_RODATA: bool = without_effect(False, "where the linker puts sections: the symbols tell")
    KUSER_HELPERS: bool = False
    VDSO: bool = False
    CPU_TTBR0_PAN: bool = without_effect(False, "access to user memory")
    HAVE_TCM: bool = False
    IO_36: bool = False
    PCI: bool = False
    ISA: bool = False
    PCCARD: bool = False
    PCMCIA_SOC_COMMON: bool = False
    NEED_MACH_IO_H: bool = False
    # processor
    CPU_ARM720T: bool = False
    CPU_ARM920T: bool = False
    CPU_ARM922T: bool = False
    CPU_ARM925T: bool = False
    CPU_ARM926T: bool = False
    CPU_FA526: bool = False
    CPU_ARM1020: bool = False
    CPU_ARM1020E: bool = False
    CPU_ARM1022: bool = False
    CPU_ARM1026: bool = False
    CPU_SA110: bool = False
    CPU_SA1100: bool = False
    CPU_XSCALE: bool = False
    CPU_XSC3: bool = False
    CPU_MOHAWK: bool = False
    CPU_FEROCEON: bool = False
    CPU_FEROCEON_OLD_ID: bool = False
    CPU_PJ4B: bool = without_effect(False, "an entry for a processor that the general one matches as well")
    CPU_V6: bool = False
    CPU_V6K: bool = False
    CPU_V7: bool = False
    CPU_32v4: bool = False
    CPU_32v4T: bool = False
    CPU_32v5: bool = False
    CPU_32v6: bool = False
    CPU_32v6K: bool = without_effect(False, "follows CPU_32v6")
    CPU_CACHE_VIVT: bool = False
    CPU_CACHE_VIPT: bool = False
    CPU_CACHE_ROUND_ROBIN: bool = False
    CACHE_XSC3L2: bool = False
    CPU_32v7: bool = without_effect(False, "follows CPU_V7")
    CPU_CP15_MMU: bool = without_effect(False, "every ARMv7-A has it")
    CPU_ENDIAN_BE8: bool = False
    CPU_HAS_ASID: bool = without_effect(False, "identifiers of address spaces")
    CPU_USE_DOMAINS: bool = False
    CPU_SW_DOMAIN_PAN: bool = False
    CPU_ICACHE_DISABLE: bool = False
    CPU_DCACHE_DISABLE: bool = False
    CPU_DCACHE_WRITETHROUGH: bool = False
    CPU_BPREDICT_DISABLE: bool = False
    CPU_ICACHE_MISMATCH_WORKAROUND: bool = without_effect(False, "work of the processor, not memory")
    ALIGNMENT_TRAP: bool = False
    SWP_EMULATE: bool = False
    TLS_REG_EMUL: bool = without_effect(False, "system calls")
    ARM_LPAE: bool = False
    ARM_PV_FIXUP: bool = without_effect(False, "brings the hook that a machine's pv_fixup names")
    ARM_THUMB: bool = without_effect(False, "programs")
    ARM_THUMBEE: bool = without_effect(False, "programs")
    THUMB2_KERNEL: bool = False
    ARM_VIRT_EXT: bool = False
    ARM_PATCH_IDIV: bool = False
    ARM_DMA_MEM_BUFFERABLE: bool = False
    ARM_ERRATA_364296: bool = False
    ARM_ERRATA_430973: bool = without_effect(False, "bits in the processor's own registers")
    ARM_ERRATA_458693: bool = without_effect(False, "bits in the processor's own registers")
    ARM_ERRATA_460075: bool = without_effect(False, "bits in the processor's own registers")
    ARM_ERRATA_720789: bool = False
    ARM_ERRATA_742230: bool = without_effect(False, "bits in the processor's own registers")
    ARM_ERRATA_742231: bool = without_effect(False, "bits in the processor's own registers")
    ARM_ERRATA_743622: bool = without_effect(False, "bits in the processor's own registers")
    ARM_ERRATA_751472: bool = without_effect(False, "bits in the processor's own registers")
    ARM_ERRATA_754322: bool = without_effect(False, "bits in the processor's own registers")
    ARM_ERRATA_773022: bool = without_effect(False, "bits in the processor's own registers")
    ARM_ERRATA_798181: bool = False
    CPU_TLB_V6: bool = False
    HARDEN_BRANCH_PREDICTOR: bool = without_effect(False, "messages after memory")
    HARDEN_BRANCH_HISTORY: bool = without_effect(False, "messages after memory")
    ARM_L1_CACHE_SHIFT: int = 6
    CACHE_L2X0: bool = without_effect(False, "started after memory")
    OUTER_CACHE: bool = without_effect(False, "started after memory")
    VFP: bool = without_effect(False, "started after memory")
    NEON: bool = without_effect(False, "started after memory")
    # machine and early console
    ARCH_MULTIPLATFORM: bool = False
    ARM_ATAG_DTB_COMPAT: bool = False
    ARM_ATAG_DTB_COMPAT_CMDLINE_EXTEND: bool = False
    ARCH_VEXPRESS: bool = False
    ARM_PSCI: bool = without_effect(False, "follows ARM_PSCI_FW")
    SUSPEND: bool = False
    ARM_PSCI_FW: bool = False
    DEBUG_LL: bool = False
    DEBUG_LL_INCLUDE: str | None = without_effect(None, "how the debug port is driven")
    DEBUG_UART_8250: bool = False
    DEBUG_UART_PHYS: int | None = None
    DEBUG_UART_VIRT: int | None = None
    EARLY_PRINTK: bool = False
    SERIAL_EARLYCON: bool = False
    SERIAL_EARLYCON_ARM_SEMIHOST: bool = False
    SERIAL_8250_CONSOLE: bool = False
    SERIAL_8250_OMAP: bool = False
    SERIAL_8250_MT6577: bool = False
    SERIAL_8250_UNIPHIER: bool = False
    SERIAL_AMBA_PL011_CONSOLE: bool = False
    SERIAL_SAMSUNG_CONSOLE: bool = False
    SERIAL_SH_SCI_EARLYCON: bool = False
    SERIAL_IMX_EARLYCON: bool = False
    SERIAL_MESON_CONSOLE: bool = False
    SERIAL_MSM_CONSOLE: bool = False
    SERIAL_OMAP_CONSOLE: bool = False
    SERIAL_XILINX_PS_UART_CONSOLE: bool = False
    SERIAL_FSL_LPUART_CONSOLE: bool = False
    VT: bool = False
    DUMMY_CONSOLE: bool = without_effect(False, "consoles after memory")
    VGA_CONSOLE: bool = False
    EFI: bool = False
    XEN: bool = False
    KEXEC: bool = False
    CRASH_CORE: bool = without_effect(False, "follows KEXEC")
    # memory model
    FLATMEM: bool = False
    FLAT_NODE_MEM_MAP: bool = False
    SPARSEMEM: bool = False
    SPARSEMEM_EXTREME: bool = False
    NUMA: bool = False
    NEED_MULTIPLE_NODES: bool = False
    HAVE_ARCH_PFN_VALID: bool = without_effect(False, "every kernel without SPARSEMEM has it")
    HOLES_IN_ZONE: bool = without_effect(False, "a frame in a hole has no free struct page to merge with")
    ARCH_KEEP_MEMBLOCK: bool = without_effect(False, "arrays of memblock freed after the boot")
    PHYS_ADDR_T_64BIT: bool = False
    ZONE_DMA: bool = False
    FORCE_MAX_ZONEORDER: int = 11
    CPUSETS: bool = False
    HUGETLB_PAGE: bool = False
    HUGETLBFS: bool = False
    TRANSPARENT_HUGEPAGE: bool = False
    COMPACTION: bool = False
    MEMORY_ISOLATION: bool = False
    MEMORY_BALLOON: bool = False
    BALLOON_COMPACTION: bool = False
    VM_EVENT_COUNTERS: bool = False
    CONTIG_ALLOC: bool = False
    MEMORY_FAILURE: bool = without_effect(False, "ARM has none")
    MEMCG: bool = False
    MEMCG_KMEM: bool = False
    SWAP: bool = False
    FRONTSWAP: bool = False
    MEMCG_SWAP: bool = False
    KSM: bool = False
    COMPAT_BRK: bool = False
    DEFAULT_MMAP_MIN_ADDR: int = 4096
    LSM_MMAP_MIN_ADDR: int | None = None
    DEFERRED_STRUCT_PAGE_INIT: bool = False
    PAGE_EXTENSION: bool = False
    PAGE_OWNER: bool = False
    IDLE_PAGE_TRACKING: bool = False
    PAGE_POISONING: bool = False
    PAGE_POISONING_NO_SANITY: bool = False
    PAGE_POISONING_ZERO: bool = False
    DEBUG_PAGEALLOC: bool = False
    DEBUG_PAGEALLOC_ENABLE_DEFAULT: bool = False
    DEBUG_VM: bool = False
    DEBUG_VM_VMACACHE: bool = False
    DEBUG_VIRTUAL: bool = without_effect(False, "checks, no memory")
    DEBUG_MEMORY_INIT: bool = False
    DEBUG_HIGHMEM: bool = False
    PANIC_ON_OOPS: bool = False
    INIT_ON_ALLOC_DEFAULT_ON: bool = False
    INIT_ON_FREE_DEFAULT_ON: bool = False
    INIT_STACK_ALL_ZERO: bool = False
    INIT_STACK_ALL_PATTERN: bool = False
    GCC_PLUGIN_STRUCTLEAK_USER: bool = False
    GCC_PLUGIN_STRUCTLEAK_BYREF: bool = False
    GCC_PLUGIN_STRUCTLEAK_BYREF_ALL: bool = False
    KASAN: bool = False
    # contiguous memory and device memory pools
    CMA: bool = False
    CMA_DEBUG: bool = False
    CMA_AREAS: int = 7
    DMA_CMA: bool = False
    CMA_SIZE_MBYTES: int = 0
    CMA_SIZE_PERCENTAGE: int = 0
    CMA_SIZE_SEL_MBYTES: bool = False
    CMA_SIZE_SEL_PERCENTAGE: bool = False
    CMA_SIZE_SEL_MIN: bool = False
    CMA_SIZE_SEL_MAX: bool = False
    CMA_ALIGNMENT: int = 8
    DMA_DECLARE_COHERENT: bool = False
    OF_RESERVED_MEM: bool = False
    OF_DYNAMIC: bool = False
    OF_KOBJ: bool = False
    SWIOTLB: bool = False
    # processors
    SMP: bool = False
    SMP_ON_UP: bool = False
    NR_CPUS: int = 1
    CPUMASK_OFFSTACK: bool = False
    HOTPLUG_CPU: bool = without_effect(False, "after the boot")
    BIG_LITTLE: bool = without_effect(False, "after the boot")
    MCPM: bool = without_effect(False, "after the boot")
    HAVE_SETUP_PER_CPU_AREA: bool = False
    NEED_PER_CPU_EMBED_FIRST_CHUNK: bool = False
    NEED_PER_CPU_PAGE_FIRST_CHUNK: bool = False
    NEED_PER_CPU_KM: bool = without_effect(False, "follows SMP")
    # log
    PRINTK: bool = False
    PRINTK_TIME: bool = False
    PRINTK_CALLER: bool = False
    LOG_BUF_SHIFT: int = 17
    LOG_CPU_MAX_BUF_SHIFT: int = 12
    CONSOLE_LOGLEVEL_DEFAULT: int = 7
    CONSOLE_LOGLEVEL_QUIET: int = 4
    MESSAGE_LOGLEVEL_DEFAULT: int = without_effect(4, "every message that is replayed has a level")
    # slab allocator
    SLUB: bool = False
    SLAB: bool = False
    SLOB: bool = False
    SLUB_DEBUG: bool = False
    SLUB_DEBUG_ON: bool = False
    SLUB_CPU_PARTIAL: bool = False
    SLUB_STATS: bool = False
    SLAB_MERGE_DEFAULT: bool = False
    DEBUG_SLAB: bool = False
    SLAB_FREELIST_RANDOM: bool = False
    SLAB_FREELIST_HARDENED: bool = False
    SHUFFLE_PAGE_ALLOCATOR: bool = False
    HARDENED_USERCOPY: bool = False
    HARDENED_USERCOPY_FALLBACK: bool = False
    STACKTRACE: bool = False
    # boot
    BLK_DEV_INITRD: bool = False
    BLK_DEV_RAM: bool = False  # built in or as a module
    ZSMALLOC: bool = False  # likewise
    BOOT_CONFIG: bool = False
    CMDLINE: str = ""
    CMDLINE_FROM_BOOTLOADER: bool = without_effect(False, "what holds without CMDLINE_EXTEND and CMDLINE_FORCE")
    CMDLINE_EXTEND: bool = False
    CMDLINE_FORCE: bool = False
    RANDOM_TRUST_BOOTLOADER: bool = False
    BASE_SMALL: int = without_effect(0, "tables after the boot")
    BASE_FULL: bool = without_effect(False, "tables after the boot")
    HZ: int = 100
    PREEMPT: bool = False
    LOCKDEP: bool = False
    DEBUG_SPINLOCK: bool = False
    DEBUG_LOCK_ALLOC: bool = False
    SYSFS: bool = False
    PROC_FS: bool = without_effect(False, "files")
    # options of the command line
    INIT_ENV_ARG_LIMIT: int = 32
    JUMP_LABEL: bool = False
    KALLSYMS: bool = False
    KALLSYMS_ALL: bool = False
    MEMTEST: bool = False
    CRASH_DUMP: bool = False
    DEBUG_KMEMLEAK: bool = False
    SYSVIPC_SYSCTL: bool = False
    AUDIT: bool = False
    BLOCK: bool = False
    PROFILING: bool = False
    SCHEDSTATS: bool = False
    CPU_ISOLATION: bool = False
    HIBERNATION: bool = False
    MAGIC_SYSRQ: bool = False
    PCIEASPM: bool = False
    SECURITY_SELINUX: bool = False
    SECURITY_LOCKDOWN_LSM: bool = False
    ARM_GIC: bool = False
    ARM_GIC_V3: bool = False
    ARM_ARCH_TIMER: bool = False
    IOMMU_API: bool = False


class Symbols(Values):
    """Addresses of System.map, virtual, under their kernel names (the attribute drops leading underscores)."""

    swapper_pg_dir: int
    text: int = named("_text")
    stext: int = named("_stext")
    etext: int = named("_etext")
    idmap_text_start: int = named("__idmap_text_start")
    turn_mmu_on: int = named("__turn_mmu_on")
    turn_mmu_on_end: int = named("__turn_mmu_on_end")
    idmap_text_end: int = named("__idmap_text_end")
    start_rodata: int = named("__start_rodata")
    start_rodata_section_aligned: int = named("__start_rodata_section_aligned", default=0)  # none without RWX
    end_rodata: int = named("__end_rodata")
    init_begin: int = named("__init_begin")
    sinittext: int = named("_sinittext")
    einittext: int = named("_einittext")
    bm_pte: int
    init_end: int = named("__init_end")
    sdata: int = named("_sdata")
    edata: int = named("_edata")
    bss_start: int = named("__bss_start")
    bss_stop: int = named("__bss_stop")
    end: int = named("_end")
    init_on_alloc: int = 0  # static keys, whose addresses their warnings show
    init_on_free: int = 0
    kmem_cache_boot: int = 0  # of SLAB and SLOB: the cache of the descriptors of caches
    want_page_poisoning: int = 0  # none without PAGE_POISONING
    per_cpu_load: int = named("__per_cpu_load", default=0)  # none on UP
    per_cpu_start: int = named("__per_cpu_start", default=0)  # none on UP
    per_cpu_end: int = named("__per_cpu_end", default=0)  # none on UP


class Sizeof(Values):
    """sizeof() of the kernel's structs, in bytes: `page` is sizeof(struct page). None: the build has no such struct."""

    page: int = named("struct page")
    static_vm: int = named("struct static_vm")
    resource: int = named("struct resource")
    device_node: int = named("struct device_node")
    property: int = named("struct property")
    alias_prop: int = named("struct alias_prop")
    pglist_data: int = named("struct pglist_data")  # in the image
    zone: int = named("struct zone")
    pcpu_chunk: int = named("struct pcpu_chunk")
    pcpu_alloc_info: int = named("struct pcpu_alloc_info")
    pcpu_group_info: int = named("struct pcpu_group_info")
    pcpu_block_md: int = named("struct pcpu_block_md")
    memblock_region: int = named("struct memblock_region")
    printk_info: int = named("struct printk_info")
    prb_desc: int = named("struct prb_desc")
    hlist_bl_head: int = named("struct hlist_bl_head")
    hlist_head: int = named("struct hlist_head")
    list_head: int = named("struct list_head")
    page_ext: int | None = named("struct page_ext", default=None)
    page_owner: int | None = named("struct page_owner", default=None)
    mem_section: int | None = named("struct mem_section", default=None)
    mem_section_usage: int | None = named("struct mem_section_usage", default=None)


class MachineDesc(Values):
    """One struct machine_desc of the build. `dt_compat` is space-separated; a hook is the name of its function."""

    symbol: str
    name: str
    dt_compat: str
    nr: int = 0xFFFFFFFF
    dma_zone_size: int = 0
    smp: str | None = None
    smp_init: str | None = None
    dt_fixup: str | None = None
    pv_fixup: str | None = None
    reserve: str | None = None
    map_io: str | None = None
    init_early: str | None = None


class KernelBuild(Values):
    """One kernel build, as `configs/*.yaml` describes it.

    `provenance` is exact when every value was read from the build, derived when some were worked out by hand;
    `assumed` names the values that nobody read from the build. `machines` are in the order of .init.arch.info,
    `earlycon` ("NAME COMPATIBLE") in that of __earlycon_table. `warnings` are the kernel's about itself that stand
    elsewhere than in 5.10.223: "PLACE-IN-5.10.223 PLACE FUNCTION". `io_tables` are rows of the machines' device tables
    ("TABLE VA PA BYTES TYPE"), where the build is read from an image.
    """

    schema: Literal[1]
    name: str
    summary: str
    provenance: Literal["exact", "derived"]
    origin: str
    banner: str
    config: Config
    symbols: Symbols
    sizeof: Sizeof
    machines: tuple[MachineDesc, ...]
    earlycon: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    io_tables: tuple[str, ...] = ()
    assumed: tuple[str, ...] = ()

    def warning_place(self, place: str, function: str) -> tuple[str, str]:
        """Where this build has the warning that 5.10.223 has at `place` ("FILE:LINE"), and in which function."""
        for entry in self.warnings:
            reference, here, name = entry.split(" ")
            if reference == place:
                return here, name
        return place, function
