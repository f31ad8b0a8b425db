"""Exception vectors (arch/arm/kernel/traps.c).

vectors_page      +0       vectors: 8 branches       } mapped at 0xffff0000, readable by user space
...      poison                    }
+0x1000  - kuser helpers, at its end
vectors_page+4K   +0       stubs                       mapped at 0xffff1000, for the kernel alone
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bootsim.linux.kernel.panic import TAINT_DIE, add_taint, panic, panic_on_oops
from bootsim.linux.kernel.printk import KERN_EMERG, printk, step
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


def die(k: Kernel, text: str, err: int) -> None:
    """Log the line of an oops. The machine in a session lives on; what made the access does not.

    Raises KernelPanic where an oops is a panic.
    Source: arch/arm/kernel/traps.c __die(), oops_end()
    Differs: the process, modules, registers, stack, code and the trace's id are left out.
    """
    config = k.build.config
    k.debug_locks = False  # oops_enter()
    k.die_counter += 1
    words = (" PREEMPT" if config.PREEMPT else "") + (" SMP" if config.SMP else "")
    words += " THUMB2" if config.THUMB2_KERNEL else " ARM"
    printk(k, KERN_EMERG, "Internal error: {text}: {err:x} [#{count}]{words}", func="__die", text=text, err=err,
           count=k.die_counter, words=words)
    add_taint(k, TAINT_DIE)
    if panic_on_oops(k):
        panic(k, "Fatal exception", "oops=panic, or CONFIG_PANIC_ON_OOPS, makes the oops above the end")
