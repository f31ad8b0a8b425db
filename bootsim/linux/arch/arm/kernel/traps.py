"""Exception vectors (arch/arm/kernel/traps.c).

vectors_page      +0       vectors: 8 branches       } mapped at 0xffff0000, readable by user space
...      poison                    }
+0x1000  - kuser helpers, at its end
vectors_page+4K   +0       stubs                       mapped at 0xffff1000, for the kernel alone
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bootsim.linux.kernel.printk import step
from bootsim.page import PAGE_SIZE

if TYPE_CHECKING:
    from bootsim.linux import Kernel

POISON_INSTRUCTION = 0xE7FDDEF1  # undefined in ARM and in Thumb code


def early_trap_init(k: Kernel, vectors_pa: int) -> None:
    """Fill the vectors page (pa) with an undefined instruction; keeps its address in k.mm.vectors_page_pa.

    Source: arch/arm/kernel/traps.c early_trap_init()
    Differs: the vectors, stubs and kuser helpers that the kernel copies over the poison are its own code, whose bytes
    are not known here.
    """
    k.mm.vectors_page_pa = vectors_pa
    k.facts.add("vectors_page", vectors_pa, "pa", "the first two pages below memblock's limit that are free",
                ("memblock.current_limit", *(f.name for f in k.facts if f.name.startswith("cma")), "kernel.base",
                 "kernel.size", "dtb.base", "dtb:/chosen:linux,initrd-start", "CONFIG_DEBUG_LL",
                 *k.owners.above(vectors_pa, k.mm.memblock.current_limit)),
                "arch/arm/kernel/traps.c early_trap_init()")
    k.machine.ram.fill32(vectors_pa, PAGE_SIZE, POISON_INSTRUCTION)
    step(k, "vectors at {pa:#010x}, stubs at {stubs_pa:#010x}{kuser}", pa=vectors_pa, stubs_pa=vectors_pa + PAGE_SIZE,
         kuser=", kuser helpers at the end of the vectors page" if k.build.config.KUSER_HELPERS else "")
