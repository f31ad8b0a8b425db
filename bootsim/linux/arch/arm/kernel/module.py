"""Memory for modules, within a branch's reach of the kernel (arch/arm/kernel/module.c)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bootsim.linux.arch.arm.asm.memory import VMALLOC_END
from bootsim.linux.mm.page_alloc import __GFP_NOWARN, GFP_KERNEL
from bootsim.linux.mm.vmalloc.alloc import __vmalloc_node_range

if TYPE_CHECKING:
    from bootsim.linux import Kernel


def module_alloc(k: Kernel, size: int, caller: str = "") -> int:
    """Get `size` bytes of executable memory in the modules' area, with CONFIG_ARM_MODULE_PLTS anywhere else if need be.

    Its address (va), or 0.
    Source: arch/arm/kernel/module.c module_alloc()
    """
    layout, plts = k.mm.layout, k.build.config.ARM_MODULE_PLTS
    gfp = GFP_KERNEL | __GFP_NOWARN if plts else GFP_KERNEL
    found = __vmalloc_node_range(k, size, 1, layout.MODULES_VADDR, layout.MODULES_END, gfp, k.mm.pgprot_kernel,
                                 caller=caller)
    if found or not plts:
        return found
    return __vmalloc_node_range(k, size, 1, layout.VMALLOC_START, VMALLOC_END, GFP_KERNEL, k.mm.pgprot_kernel,
                                caller=caller)
