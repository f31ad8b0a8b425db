"""Where the kernel puts things in virtual memory (arch/arm/include/asm/memory.h, pgtable.h).

0              TASK_SIZE      PAGE_OFFSET               VMALLOC_START    VMALLOC_END               4 GiB
|---- user ----|-modules-|pkmap|------ lowmem ------|8 MiB|---- vmalloc ----|fdt|--fixmap--|vectors|
MODULES_VADDR   ^PKMAP_BASE          high_memory              0xff800000
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bootsim.inputs.build import Config
    from bootsim.linux import Kernel

SZ_1M = 1 << 20
SZ_2M = 2 << 20
SZ_8M = 8 << 20
SZ_16M = 16 << 20
SZ_32M = 32 << 20
SECTION_MASK = 0xFFF00000

FDT_FIXED_BASE = 0xFF800000
FDT_FIXED_SIZE = 2 * SZ_1M
VECTORS_BASE = 0xFFFF0000
VMALLOC_OFFSET = SZ_8M
VMALLOC_END = 0xFF800000
PCI_IO_VIRT_BASE = 0xFEE00000


def TASK_SIZE(config: Config) -> int:
    """The end (va) of a user process's addresses.

    Source: arch/arm/include/asm/memory.h TASK_SIZE
    """
    return config.PAGE_OFFSET - SZ_16M


def MODULES_VADDR(config: Config) -> int:
    """The start (va) of the area for modules, within a branch's reach of the kernel text.

    Source: arch/arm/include/asm/memory.h MODULES_VADDR
    """
    return config.PAGE_OFFSET - (SZ_8M if config.THUMB2_KERNEL else SZ_16M)


def MODULES_END(config: Config) -> int:
    """The end (va) of the area for modules; with HIGHMEM its last 2 MiB are the pkmap window.

    Source: arch/arm/include/asm/memory.h MODULES_END
    """
    return config.PAGE_OFFSET - (SZ_2M if config.HIGHMEM else 0)


def PKMAP_BASE(config: Config) -> int:
    """The start (va) of the 2 MiB through which highmem pages are mapped one by one.

    Source: arch/arm/include/asm/highmem.h PKMAP_BASE
    """
    return config.PAGE_OFFSET - SZ_2M


def VMALLOC_START(high_memory: int) -> int:
    """The start (va) of the vmalloc area: past the end of lowmem (va), with a hole of up to 8 MiB.

    Source: arch/arm/include/asm/pgtable.h VMALLOC_START
    """
    return (high_memory + VMALLOC_OFFSET & 0xFFFFFFFF) & ~(VMALLOC_OFFSET - 1)


def record_layout(k: Kernel) -> None:
    """Record as facts the boundaries that the configuration alone decides.

    Source: arch/arm/include/asm/memory.h, pgtable.h, highmem.h
    """
    config, source = k.build.config, "arch/arm/include/asm/memory.h"
    add = k.facts.add
    add("PAGE_OFFSET", config.PAGE_OFFSET, "va", "CONFIG_PAGE_OFFSET", ("CONFIG_PAGE_OFFSET",), source)
    add("TASK_SIZE", TASK_SIZE(config), "va", "PAGE_OFFSET - 16 MiB", ("PAGE_OFFSET",), source)
    reach = "8 MiB" if config.THUMB2_KERNEL else "16 MiB"
    add("MODULES_VADDR", MODULES_VADDR(config), "va", f"PAGE_OFFSET - {reach}",
        ("PAGE_OFFSET", "CONFIG_THUMB2_KERNEL"), source)
    add("MODULES_END", MODULES_END(config), "va",
        "PAGE_OFFSET - 2 MiB (the pkmap window)" if config.HIGHMEM else "PAGE_OFFSET",
        ("PAGE_OFFSET", "CONFIG_HIGHMEM"), source)
    if config.HIGHMEM:
        add("PKMAP_BASE", PKMAP_BASE(config), "va", "PAGE_OFFSET - 2 MiB", ("PAGE_OFFSET", "CONFIG_HIGHMEM"),
            "arch/arm/include/asm/highmem.h")
    add("VMALLOC_END", VMALLOC_END, "va", "a constant", (), "arch/arm/include/asm/pgtable.h")
    add("FDT_FIXED_BASE", FDT_FIXED_BASE, "va", "a constant", (), source)
