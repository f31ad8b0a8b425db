"""Coherent DMA pools from /reserved-memory (kernel/dma/coherent.c)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bootsim.linux.kernel.printk import KERN_ERR, KERN_INFO, printk

if TYPE_CHECKING:
    from bootsim.linux import Kernel
    from bootsim.linux.drivers.of.of_reserved_mem import ReservedMem

EINVAL = 22


def rmem_dma_setup(k: Kernel, rmem: ReservedMem) -> int:
    """Take a no-map shared-dma-pool as a coherent pool. Returns 0 or a negative errno.

    Source: kernel/dma/coherent.c rmem_dma_setup()
    """
    props = rmem.node.first
    if "reusable" in props:
        return -EINVAL
    if "no-map" not in props:
        printk(k, KERN_ERR, "Reserved memory: regions without no-map are not yet supported")
        return -EINVAL
    if "linux,dma-default" in props:
        if k.dma_reserved_default_memory is not None:
            printk(k, KERN_ERR, "Reserved memory: region for default DMA coherent area is redefined")
        k.dma_reserved_default_memory = rmem
    printk(k, KERN_INFO, "Reserved memory: created DMA memory pool at {base:#010x}, size {mib} MiB", base=rmem.base,
           mib=rmem.size >> 20)
    return 0
