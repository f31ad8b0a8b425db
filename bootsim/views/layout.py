"""The virtual address space of the kernel, as ARM kernels before 5.6 printed it at the end of mem_init().

    0xffff1000  vector
    0xffc80000  fixmap
    0xff800000  vmalloc   from high_memory + 8 MiB on
    PAGE_OFFSET lowmem    with .text .init .data .bss at its start
                pkmap     the 2 MiB below PAGE_OFFSET, with HighMem
                modules   the 14 or 16 MiB below those

The bounds are those of the headers the replay itself uses, and symbols of the build.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from bootsim.linux.arch.arm.asm import memory
from bootsim.linux.arch.arm.asm.fixmap import FIXADDR_END, FIXADDR_START
from bootsim.linux.arch.arm.asm.pgtable_2level import PAGE_SIZE
from bootsim.linux.kernel.printk import step

if TYPE_CHECKING:
    from bootsim.inputs.build import KernelBuild
    from bootsim.linux import Kernel


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
        """The line of the table."""
        label = f"{self.name:>11}" if self.name.startswith(".") else f"    {self.name:<7}"
        return f"{label} : 0x{self.start_va:08x} - 0x{self.end_va:08x}   ({self.size():4d} {self.unit})"


def regions(build: KernelBuild, high_memory: int) -> list[Region]:
    """Return the regions in the order of the table; `high_memory` is the end of lowmem (va)."""
    config, symbols = build.config, build.symbols
    page_offset = config.PAGE_OFFSET
    found = [
        Region("vector", memory.VECTORS_BASE, memory.VECTORS_BASE + PAGE_SIZE, "kB"),
        Region("fixmap", FIXADDR_START, FIXADDR_END, "kB"),
        Region("vmalloc", memory.VMALLOC_START(high_memory), memory.VMALLOC_END),
        Region("lowmem", page_offset, high_memory),
    ]
    if config.HIGHMEM:
        found.append(Region("pkmap", memory.PKMAP_BASE(config), page_offset))
    if config.MODULES:
        found.append(Region("modules", memory.MODULES_VADDR(config), memory.MODULES_END(config)))
    return [
        *found,
        Region(".text", symbols.text, symbols.etext, "kB"),
        Region(".init", symbols.init_begin, symbols.init_end, "kB"),
        Region(".data", symbols.sdata, symbols.edata, "kB"),
        Region(".bss", symbols.bss_start, symbols.bss_stop, "kB"),
    ]


def record(k: Kernel) -> None:
    """Add the table to the log, as a record of bootsim's own: kernels from 5.6 on keep silent about it.

    Source: arch/arm/mm/init.c mem_init(), of v5.5
    """
    table = regions(k.build, k.mm.high_memory)
    numbers: dict[str, int] = {}
    for region in table:
        name = region.name.lstrip(".")
        numbers |= {f"{name}_start": region.start_va, f"{name}_end": region.end_va}
    text = "\n".join(["Virtual kernel memory layout:", *(region.line() for region in table)])
    step(k, text, func="mem_init", **numbers)
