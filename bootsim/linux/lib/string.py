"""Writing memory (lib/string.c)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bootsim.errors import KernelPanic
from bootsim.places import memory_place

if TYPE_CHECKING:
    from bootsim.linux import Kernel

_SECTION = 1 << 20


def memset(k: Kernel, pa: int, size: int, what: str) -> None:
    """Clear [pa, pa + size) (bytes), which becomes `what`, through the linear mapping.

    Raises KernelPanic where that mapping or the RAM is not there: the fault finds no vectors yet, or none that could
    help.
    Source: lib/string.c memset(), arch/arm/lib/memset.S
    """
    va = k.phys_to_virt(pa)
    for address in {va, va + size - 1, *range((va | _SECTION - 1) + 1, va + size, _SECTION)}:
        found = k.machine.translate(address & 0xFFFFFFFF, "write")
        if not found or found.pa != pa + (address - va):
            raise KernelPanic(None, f"the {what} at {pa:#010x} cannot be cleared: {_unmapped(k, address)}, and the "
                              "kernel faults")
    if k.machine.banks and not (k.machine.has_ram(pa) and k.machine.has_ram(pa + size - 1)):
        raise KernelPanic(None, f"the {what} at {pa:#010x} cannot be cleared: no RAM is there, the tree tells of more "
                          f"than there is; memory: {memory_place(k)}")
    k.machine.ram.zero(pa, size)


# Why the linear mapping lacks an address: a remap took it away, or nobody has mapped it.
def _unmapped(k: Kernel, va: int) -> str:
    for gone in k.mm.unmapped:
        if gone.start_va <= va < gone.end_va:
            return f"{gone.start_va:#010x}-{gone.end_va - 1:#010x} is not mapped any more: {gone.why}"
    return f"{va:#010x} is not mapped"
