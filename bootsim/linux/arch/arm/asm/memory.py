"""Where the kernel puts things in virtual memory (arch/arm/include/asm/memory.h, pgtable.h).

0              TASK_SIZE      PAGE_OFFSET               VMALLOC_START    VMALLOC_END               4 GiB
|---- user ----|-modules-|pkmap|------ lowmem ------|8 MiB|---- vmalloc ----|fdt|--fixmap--|vectors|
MODULES_VADDR   ^PKMAP_BASE          high_memory              0xff800000

`Layout` has the boundaries that a configuration decides; the kernel, its facts and whoever shows them ask it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from bootsim.linux.arch.arm.asm.fixmap import FIXADDR_END, FIXADDR_START
from bootsim.page import PAGE_SIZE

if TYPE_CHECKING:
    from bootsim.inputs.build import Config, Symbols
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


# The areas that diff and explain tell of, each from one of the boundaries to another.
AREAS = {
    "lowmem": ("PAGE_OFFSET", "high_memory"),
    "vmalloc": ("VMALLOC_START", "VMALLOC_END"),
    "modules": ("MODULES_VADDR", "MODULES_END"),
    "pkmap": ("PKMAP_BASE", "PAGE_OFFSET"),
}


class Region(NamedTuple):
    """A named range of virtual addresses, [start_va, end_va). `unit` is "kB" or "MB", what its size is shown in."""

    name: str
    start_va: int
    end_va: int
    unit: str = "MB"

    def size(self) -> int:
        """The size in `unit`: sections of the image (their names start with a dot) round up, the rest round down."""
        size_bytes = self.end_va - self.start_va
        if self.name.startswith("."):
            return (size_bytes + 1023) >> 10
        return size_bytes >> (10 if self.unit == "kB" else 20)

    def line(self) -> str:
        """The line of the table that kernels before 5.6 printed."""
        label = f"{self.name:>11}" if self.name.startswith(".") else f"    {self.name:<7}"
        return f"{label} : 0x{self.start_va:08x} - 0x{self.end_va:08x}   ({self.size():4d} {self.unit})"


class Layout:
    """The boundaries (va) of the kernel's virtual memory, under the kernel's names.

    `TASK_SIZE` ends a process's addresses. Modules lie within a branch's reach of the kernel text; with HIGHMEM the
    last 2 MiB before lowmem are the window of highmem pages, from `PKMAP_BASE` on, which is None without.
    `high_memory` ends lowmem; it is 0 until adjust_lowmem_bounds() sets it.
    Source: arch/arm/include/asm/memory.h, pgtable.h, highmem.h
    """

    __slots__ = ("MODULES_END", "MODULES_VADDR", "PAGE_OFFSET", "PKMAP_BASE", "TASK_SIZE", "_modules", "high_memory")

    def __init__(self, config: Config, high_memory: int = 0) -> None:
        self.PAGE_OFFSET = config.PAGE_OFFSET
        self.TASK_SIZE = config.PAGE_OFFSET - SZ_16M
        self.MODULES_VADDR = config.PAGE_OFFSET - (SZ_8M if config.THUMB2_KERNEL else SZ_16M)
        self.MODULES_END = config.PAGE_OFFSET - (SZ_2M if config.HIGHMEM else 0)
        self.PKMAP_BASE = config.PAGE_OFFSET - SZ_2M if config.HIGHMEM else None
        self._modules = config.MODULES
        self.high_memory = high_memory

    @property
    def VMALLOC_START(self) -> int:
        """The start (va) of the vmalloc area: past the end of lowmem, with a hole of up to 8 MiB.

        Source: arch/arm/include/asm/pgtable.h VMALLOC_START
        """
        return (self.high_memory + VMALLOC_OFFSET & 0xFFFFFFFF) & ~(VMALLOC_OFFSET - 1)

    def regions(self, symbols: Symbols) -> list[Region]:
        """The areas, and the parts of the image, in the order in which kernels before 5.6 printed them."""
        found = [
            Region("vector", VECTORS_BASE, VECTORS_BASE + PAGE_SIZE, "kB"),
            Region("fixmap", FIXADDR_START, FIXADDR_END, "kB"),
            Region("vmalloc", self.VMALLOC_START, VMALLOC_END),
            Region("lowmem", self.PAGE_OFFSET, self.high_memory),
        ]
        if self.PKMAP_BASE is not None:
            found.append(Region("pkmap", self.PKMAP_BASE, self.PAGE_OFFSET))
        if self._modules:
            found.append(Region("modules", self.MODULES_VADDR, self.MODULES_END))
        return [
            *found,
            Region(".text", symbols.text, symbols.etext, "kB"),
            Region(".init", symbols.init_begin, symbols.init_end, "kB"),
            Region(".data", symbols.sdata, symbols.edata, "kB"),
            Region(".bss", symbols.bss_start, symbols.bss_stop, "kB"),
        ]


def record_layout(k: Kernel) -> None:
    """Record as facts the boundaries that the configuration alone decides.

    Source: arch/arm/include/asm/memory.h, pgtable.h, highmem.h
    """
    config, layout, source = k.build.config, k.mm.layout, "arch/arm/include/asm/memory.h"
    add = k.facts.add
    add("PAGE_OFFSET", layout.PAGE_OFFSET, "va", "CONFIG_PAGE_OFFSET", ("CONFIG_PAGE_OFFSET",), source)
    add("TASK_SIZE", layout.TASK_SIZE, "va", "PAGE_OFFSET - 16 MiB", ("PAGE_OFFSET",), source)
    reach = "8 MiB" if config.THUMB2_KERNEL else "16 MiB"
    add("MODULES_VADDR", layout.MODULES_VADDR, "va", f"PAGE_OFFSET - {reach}",
        ("PAGE_OFFSET", "CONFIG_THUMB2_KERNEL"), source)
    add("MODULES_END", layout.MODULES_END, "va",
        "PAGE_OFFSET - 2 MiB (the pkmap window)" if config.HIGHMEM else "PAGE_OFFSET",
        ("PAGE_OFFSET", "CONFIG_HIGHMEM"), source)
    if layout.PKMAP_BASE is not None:
        add("PKMAP_BASE", layout.PKMAP_BASE, "va", "PAGE_OFFSET - 2 MiB", ("PAGE_OFFSET", "CONFIG_HIGHMEM"),
            "arch/arm/include/asm/highmem.h")
    add("VMALLOC_END", VMALLOC_END, "va", "a constant", (), "arch/arm/include/asm/pgtable.h")
    add("FDT_FIXED_BASE", FDT_FIXED_BASE, "va", "a constant", (), source)
