"""Coherent DMA pools from /reserved-memory (kernel/dma/coherent.c)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bootsim.linux.include.linux.errno import EINVAL
from bootsim.linux.kernel.panic import warn
from bootsim.linux.kernel.printk import KERN_ERR, KERN_INFO, printk, step
from bootsim.places import place_of

if TYPE_CHECKING:
    from bootsim.linux import Kernel
    from bootsim.linux.drivers.of.of_reserved_mem import ReservedMem



def rmem_dma_setup(k: Kernel, rmem: ReservedMem) -> int:
    """Take a no-map shared-dma-pool as a coherent pool. Returns 0 or a negative errno.

    Source: kernel/dma/coherent.c rmem_dma_setup()
    """
    props = rmem.node.first
    if "reusable" in props:
        return -EINVAL
    if "no-map" not in props:
        printk(k, KERN_ERR, "Reserved memory: regions without no-map are not yet supported")
        step(k, "cause: {place} has neither reusable (a contiguous area) nor no-map (a coherent pool)",
             place=place_of(k, rmem.node.path))
        return -EINVAL
    if "linux,dma-default" in props:
        if k.of.dma_reserved_default_memory is not None:
            warn(k, "kernel/dma/coherent.c:374", "Reserved memory: region for default DMA coherent area is redefined",
                 func="rmem_dma_setup")
            step(k, "cause: {place} after {other}: only one region can be the default",
                 place=place_of(k, rmem.node.path, "linux,dma-default"),
                 other=place_of(k, k.of.dma_reserved_default_memory.node.path, "linux,dma-default"))
        k.of.dma_reserved_default_memory = rmem
    printk(k, KERN_INFO, "Reserved memory: created DMA memory pool at {base:#010x}, size {mib} MiB", base=rmem.base,
           mib=rmem.size >> 20)
    return 0
