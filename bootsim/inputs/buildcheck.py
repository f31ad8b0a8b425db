"""What must hold between the values of one kernel build, whoever wrote them down."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import TYPE_CHECKING

from bootsim.inputs.iotables import MEMORY_TYPES, parse_row

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bootsim.inputs.build import Config, KernelBuild, Sizeof, Symbols

# Where a value stands in the file, and what is wrong with it: "found, expected".
Problem = tuple[tuple[str, ...], str]

_SECTION_BYTES = 1 << 20
_PG_DIR_BYTES = 0x4000
_PAGE_BYTES, _THREAD_BYTES = 0x1000, 0x2000

_RANGES = {
    "FORCE_MAX_ZONEORDER": (2, 20),
    "CMA_AREAS": (1, 64),
    "CMA_ALIGNMENT": (0, 16),
    "CMA_SIZE_MBYTES": (0, 4095),
    "CMA_SIZE_PERCENTAGE": (0, 100),
    "NR_CPUS": (1, 32),
    "LOG_BUF_SHIFT": (10, 25),
    "LOG_CPU_MAX_BUF_SHIFT": (0, 21),
    "ARM_L1_CACHE_SHIFT": (4, 8),
}

# What brings a processor's support, in the order of arch/arm/mm/Makefile.
PROCESSORS = (
    "CPU_ARM720T", "CPU_ARM920T", "CPU_ARM922T", "CPU_ARM925T", "CPU_ARM926T", "CPU_FA526", "CPU_ARM1020",
    "CPU_ARM1020E", "CPU_ARM1022", "CPU_ARM1026", "CPU_SA110", "CPU_SA1100", "CPU_XSCALE", "CPU_XSC3", "CPU_MOHAWK",
    "CPU_FEROCEON", "CPU_V6", "CPU_V6K", "CPU_V7",
)  # fmt: skip

_SPLITS = {"VMSPLIT_3G": 0xC0000000, "VMSPLIT_3G_OPT": 0xB0000000, "VMSPLIT_2G": 0x80000000, "VMSPLIT_1G": 0x40000000}

_NOT_MODELLED = {
    "ARM_LPAE": "LPAE's long descriptors",
    "CPU_ENDIAN_BE8": "a big-endian kernel",
    "XIP_KERNEL": "a kernel that runs from flash",
    "NUMA": "NUMA",
    "NEED_MULTIPLE_NODES": "more than one memory node",
    "PHYS_ADDR_T_64BIT": "LPAE's physical addresses",
    "HUGETLB_PAGE": "huge pages, which LPAE alone has",
    "HUGETLBFS": "huge pages, which LPAE alone has",
    "SPARSEMEM_EXTREME": "a memory map in two levels",
    "DEFERRED_STRUCT_PAGE_INIT": "struct pages that are set up later",
    "KASAN": "shadow memory",
    "HAVE_SETUP_PER_CPU_AREA": "per-cpu memory set up by the port",
    "NEED_PER_CPU_EMBED_FIRST_CHUNK": "per-cpu memory set up by the port",
    "NEED_PER_CPU_PAGE_FIRST_CHUNK": "per-cpu memory of single pages",
}

# The image from its first byte to its last, as vmlinux.lds lays it out.
_IMAGE_ORDER = (
    "text", "stext", "etext", "start_rodata", "end_rodata", "init_begin", "sinittext", "einittext", "init_end", "sdata",
    "edata", "bss_start", "bss_stop", "end",
)  # fmt: skip

_NEEDED_SIZES = {
    "PAGE_EXTENSION": ("page_ext",),
    "PAGE_OWNER": ("page_owner",),
    "SPARSEMEM": ("mem_section", "mem_section_usage"),
}


def problems(build: KernelBuild) -> Iterator[Problem]:
    """Every contradiction in a build description, with the field it is best reported at."""
    if not build.name.strip():
        yield ("name",), "empty, expected a name"
    if not build.banner.startswith("Linux version 5.10.") or "\n" in build.banner:
        yield ("banner",), f'{build.banner[:50]!r}, expected one line that starts with "Linux version 5.10."'
    if build.provenance == "exact" and build.assumed:
        yield ("provenance",), f'"exact", expected "derived": {build.assumed[0]} is only assumed'
    yield from _config_problems(build.config)
    yield from _symbol_problems(build.symbols, build.config)
    yield from _size_problems(build.sizeof, build.config)
    for index, entry in enumerate(build.warnings):
        if not re.fullmatch(r"[^ :]+:\d+ [^ :]+:\d+ [^ ]+", entry):
            yield ("warnings", str(index)), f"{entry[:60]!r}, expected FILE:LINE FILE:LINE FUNCTION"
    for index, text in enumerate(build.io_tables):
        if not _is_row(text):
            expected = "a table, three 32-bit numbers (virtual address, physical address, bytes) and a memory type"
            yield ("io_tables", str(index)), f"{text!r}, expected {expected}"
    for index, machine in enumerate(build.machines):
        if not 0 <= machine.nr <= 0xFFFFFFFF:
            yield ("machines", str(index), "nr"), f"{machine.nr}, expected a 32-bit number"
        if not 0 <= machine.dma_zone_size <= 0xFFFFFFFF:
            yield ("machines", str(index), "dma_zone_size"), f"{machine.dma_zone_size}, expected a 32-bit size"


def _config_problems(config: Config) -> Iterator[Problem]:
    for symbol, what in _NOT_MODELLED.items():
        if getattr(config, symbol):
            yield ("config", symbol), f"true: {what} is not modelled"
    if not any(getattr(config, symbol) for symbol in PROCESSORS):
        yield ("config", "CPU_V7"), f"not set, expected a kernel for ARMv7 or for one of {', '.join(PROCESSORS)}"
    for symbol, (low, high) in _RANGES.items():
        value = getattr(config, symbol)
        if not low <= value <= high:
            yield ("config", symbol), f"{value}, expected {low} to {high}"
    for symbol in ("PHYS_OFFSET", "DEBUG_UART_PHYS", "DEBUG_UART_VIRT"):
        value = getattr(config, symbol)
        if value is not None and not 0 <= value <= 0xFFFFFFFF:
            yield ("config", symbol), f"{value:#x}, expected a 32-bit address"
    yield from _page_offset_problems(config)
    yield from _one_of(config, ("SLAB", "SLUB", "SLOB"))
    yield from _one_of(config, ("FLATMEM", "SPARSEMEM"))
    if config.DMA_CMA:
        choices = ("CMA_SIZE_SEL_MBYTES", "CMA_SIZE_SEL_PERCENTAGE", "CMA_SIZE_SEL_MIN", "CMA_SIZE_SEL_MAX")
        yield from _one_of(config, choices)
        if not config.CMA:
            yield ("config", "DMA_CMA"), "true, expected CMA: true with it"
    if not config.SMP and config.NR_CPUS != 1:
        yield ("config", "NR_CPUS"), f"{config.NR_CPUS} without SMP, expected 1"
    if not config.ARM_PATCH_PHYS_VIRT and config.PHYS_OFFSET is None:
        yield ("config", "PHYS_OFFSET"), "not set, expected an address since ARM_PATCH_PHYS_VIRT is not set either"


def _is_row(text: str) -> bool:
    try:
        return parse_row(text).type < MEMORY_TYPES
    except (TypeError, ValueError):
        return False


def _page_offset_problems(config: Config) -> Iterator[Problem]:
    where = ("config", "PAGE_OFFSET")
    if not 0x10000000 <= config.PAGE_OFFSET < 0xF0000000 or config.PAGE_OFFSET % (1 << 24):
        yield where, f"{config.PAGE_OFFSET:#x}, expected a kernel address that is a multiple of 16 MiB"
    for symbol, page_offset in _SPLITS.items():
        if getattr(config, symbol) and page_offset != config.PAGE_OFFSET:
            yield where, f"{config.PAGE_OFFSET:#x}, expected {page_offset:#x} since {symbol} is set"


def _one_of(config: Config, symbols: tuple[str, ...]) -> Iterator[Problem]:
    chosen = [symbol for symbol in symbols if getattr(config, symbol)]
    if len(chosen) != 1:
        found = " and ".join(chosen) if chosen else "none"
        where = ("config", chosen[-1]) if chosen else ("config",)
        yield where, f"{found} set, expected exactly one of {', '.join(symbols)}"


def _symbol_problems(symbols: Symbols, config: Config) -> Iterator[Problem]:
    names = symbols.KERNEL_NAMES
    for attribute, address in symbols.as_dict().items():
        optional = attribute in symbols.DEFAULTS and not address
        if not optional and not config.PAGE_OFFSET <= address <= 0xFFFFFFFF:
            expected = f"a kernel address, {config.PAGE_OFFSET:#x} (PAGE_OFFSET) or above"
            yield ("symbols", names[attribute]), f"{address:#x}, expected {expected}"
    for before, after in pairwise(_IMAGE_ORDER):
        low, high = getattr(symbols, before), getattr(symbols, after)
        if low > high:
            yield ("symbols", names[after]), f"{high:#x}, expected at least {low:#x} ({names[before]})"
    # vmlinux.lds aligns the init sections' ends, which are freed page by page and remapped in sections
    strict = config.STRICT_KERNEL_RWX
    for attribute, align in (("init_begin", _PAGE_BYTES), ("init_end", _THREAD_BYTES)):
        address, multiple = getattr(symbols, attribute), _SECTION_BYTES if strict else align
        if address % multiple:
            why = " since STRICT_KERNEL_RWX is set" if strict else ""
            yield ("symbols", names[attribute]), f"{address:#x}, expected a multiple of {multiple:#x}{why}"
    text_offset = symbols.text - config.PAGE_OFFSET
    if not _PG_DIR_BYTES <= text_offset < 1 << 24:
        expected = f"0x4000 to 16 MiB above PAGE_OFFSET ({config.PAGE_OFFSET:#x})"
        yield ("symbols", "_text"), f"{symbols.text:#x}, expected {expected}"
    if symbols.text - symbols.swapper_pg_dir != _PG_DIR_BYTES:
        expected = f"{symbols.text - _PG_DIR_BYTES:#x}, 16 KiB below _text"
        yield ("symbols", "swapper_pg_dir"), f"{symbols.swapper_pg_dir:#x}, expected {expected}"
    yield from _inner_symbol_problems(symbols, config)


def _inner_symbol_problems(symbols: Symbols, config: Config) -> Iterator[Problem]:
    aligned = -(-symbols.start_rodata // _SECTION_BYTES) * _SECTION_BYTES
    if config.STRICT_KERNEL_RWX and symbols.start_rodata_section_aligned != aligned:
        found = symbols.start_rodata_section_aligned
        yield (
            ("symbols", "__start_rodata_section_aligned"),
            f"{found:#x}, expected {aligned:#x}, __start_rodata rounded up to 1 MiB",
        )
    order = ("text", "idmap_text_start", "turn_mmu_on", "turn_mmu_on_end", "idmap_text_end", "etext")
    idmap = [getattr(symbols, attribute) for attribute in order]
    if sorted(idmap) != idmap:
        expected = "_text <= __idmap_text_start <= __turn_mmu_on <= __turn_mmu_on_end <= __idmap_text_end <= _etext"
        yield ("symbols", "__turn_mmu_on"), f"{symbols.turn_mmu_on:#x}, expected {expected}"
    if symbols.bm_pte % 4096 or not symbols.init_begin <= symbols.bm_pte < symbols.init_end:
        yield ("symbols", "bm_pte"), f"{symbols.bm_pte:#x}, expected a page between __init_begin and __init_end"
    per_cpu = (symbols.per_cpu_load, symbols.per_cpu_start, symbols.per_cpu_end)
    if config.SMP and not symbols.init_begin <= symbols.per_cpu_start < symbols.per_cpu_end <= symbols.init_end:
        expected = "__init_begin <= __per_cpu_start < __per_cpu_end <= __init_end since SMP is set"
        yield ("symbols", "__per_cpu_start"), f"{symbols.per_cpu_start:#x}, expected {expected}"
    if not config.SMP and any(per_cpu):
        yield ("symbols", "__per_cpu_start"), f"{symbols.per_cpu_start:#x}, expected none since SMP is not set"


def _size_problems(sizeof: Sizeof, config: Config) -> Iterator[Problem]:
    names = sizeof.KERNEL_NAMES
    for attribute, size in sizeof.as_dict().items():
        if size is not None and (not 0 < size <= _SECTION_BYTES or size % 4):
            yield ("sizeof", names[attribute]), f"{size}, expected a positive multiple of 4"
    for symbol, attributes in _NEEDED_SIZES.items():
        for attribute in attributes:
            if getattr(config, symbol) and getattr(sizeof, attribute) is None:
                yield ("sizeof", names[attribute]), f"not given, expected a size since {symbol} is set"
