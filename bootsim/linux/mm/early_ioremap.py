"""Device registers and memory mapped before there is ioremap(): seven slots of the fixmap, 32 pages each.

    slot 0: pages 224..193, slot 1: 192..161, ... slot 6: 32..1

FIX_BTMAP_BEGIN (224) is the first page of slot 0; addresses go up as the numbers of fixmap pages go down. kmap_atomic()
has the same pages, later.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bootsim.errors import InputError
from bootsim.linux.arch.arm.asm.fixmap import (
    END_OF_PERMANENT_FIXED_ADDRESSES,
    FIX_BTMAPS_SLOTS,
    FIXMAP_PAGE_IO,
    NR_FIX_BTMAPS,
    end_of_fixed_addresses,
    fix_to_virt,
)
from bootsim.linux.arch.arm.asm.pgtable_2level import L_PTE_RDONLY, L_PTE_XN
from bootsim.linux.arch.arm.mm.mmu import set_fixmap
from bootsim.linux.kernel.panic import warn
from bootsim.page import PAGE_SHIFT, PAGE_SIZE

if TYPE_CHECKING:
    from bootsim.linux import Kernel

FIX_BTMAP_BEGIN = END_OF_PERMANENT_FIXED_ADDRESSES + NR_FIX_BTMAPS * FIX_BTMAPS_SLOTS - 1
FIXMAP_PAGE_CLEAR = 0


class EarlyIoremap:
    """What is mapped in each slot: the address handed out (0: free), and the size asked for (bytes)."""

    def __init__(self) -> None:
        self.prev_map = [0] * FIX_BTMAPS_SLOTS
        self.prev_size = [0] * FIX_BTMAPS_SLOTS


def _state(k: Kernel) -> EarlyIoremap:
    if k.mm.early_ioremap is None:
        k.mm.early_ioremap = EarlyIoremap()
    return k.mm.early_ioremap


def _first_page(slot: int) -> int:
    return FIX_BTMAP_BEGIN - NR_FIX_BTMAPS * slot


def __early_ioremap(k: Kernel, phys_addr: int, size: int, prot: int) -> int:
    """Map [phys_addr, phys_addr + size) (pa, bytes) in a free slot: an address (va), or 0 behind a warning.

    Source: mm/early_ioremap.c __early_ioremap()
    Differs: in a booted machine the code is gone with .init; here it still runs, and warns of it as the kernel's would.
    """
    name = "__early_ioremap"
    state = _state(k)
    if k.stage == "kernel_init":  # SYSTEM_RUNNING
        warn(k, "mm/early_ioremap.c:114", func=name)
    slot = next((i for i, at in enumerate(state.prev_map) if not at), -1)
    if slot < 0:
        warn(k, "mm/early_ioremap.c:124", f"{name}(0x{phys_addr:08x}, {size:08x}) not found slot", func=name)
        return 0
    last_addr = phys_addr + size - 1 & 0xFFFFFFFF
    if not size or last_addr < phys_addr:
        warn(k, "mm/early_ioremap.c:130", func=name)
        return 0
    state.prev_size[slot] = size
    offset = phys_addr % PAGE_SIZE
    pages = (last_addr >> PAGE_SHIFT) - (phys_addr >> PAGE_SHIFT) + 1
    if pages > NR_FIX_BTMAPS:
        warn(k, "mm/early_ioremap.c:145", func=name)
        return 0
    for page in range(pages):
        set_fixmap(k, _first_page(slot) - page, phys_addr - offset + page * PAGE_SIZE, prot)
    at = fix_to_virt(_first_page(slot))
    if k.options.get("early_ioremap_debug"):  # by now the kernel's phys_addr and size are those behind the last page
        end, whole = phys_addr - offset + pages * PAGE_SIZE & 0xFFFFFFFF, pages * PAGE_SIZE
        warn(k, "mm/early_ioremap.c:161", f"{name}(0x{end:08x}, {whole:08x}) [{slot}] => {offset:08x} + {at:08x}",
             func=name)
    state.prev_map[slot] = at + offset
    return state.prev_map[slot]


def early_ioremap(k: Kernel, phys_addr: int, size: int) -> int:
    """Map device registers, [phys_addr, phys_addr + size) (pa, bytes): an address (va), or 0 behind a warning.

    Source: mm/early_ioremap.c early_ioremap()
    """
    return __early_ioremap(k, phys_addr, size, FIXMAP_PAGE_IO)


def early_memremap(k: Kernel, phys_addr: int, size: int) -> int:
    """Map memory, [phys_addr, phys_addr + size) (pa, bytes): an address (va), or 0 behind a warning.

    Source: mm/early_ioremap.c early_memremap(); arch/arm/include/asm/fixmap.h FIXMAP_PAGE_NORMAL
    """
    return __early_ioremap(k, phys_addr, size, k.mm.pgprot_kernel | L_PTE_XN)


def early_memremap_ro(k: Kernel, phys_addr: int, size: int) -> int:
    """Map memory to be read alone, [phys_addr, phys_addr + size) (pa, bytes): an address (va), or 0 behind a warning.

    Source: mm/early_ioremap.c early_memremap_ro(); arch/arm/include/asm/fixmap.h FIXMAP_PAGE_RO
    """
    return __early_ioremap(k, phys_addr, size, k.mm.pgprot_kernel | L_PTE_XN | L_PTE_RDONLY)


def early_iounmap(k: Kernel, addr: int, size: int) -> None:
    """Take away what early_ioremap() answered with `addr` (va) for `size` bytes; else warn.

    Source: mm/early_ioremap.c early_iounmap(), early_memunmap()
    Differs: addresses in the warnings are as they are, where %p shows a hash.
    """
    state, name = _state(k), "early_iounmap"
    slot = state.prev_map.index(addr) if addr in state.prev_map else -1
    words = f"early_iounmap({addr:08x}, {size:08x})"
    if slot < 0:
        warn(k, "mm/early_ioremap.c:184", f"{words} not found slot", func=name)
        return
    if state.prev_size[slot] != size:
        warn(k, "mm/early_ioremap.c:188", f"{words} [{slot}] size not consistent {state.prev_size[slot]:08x}",
             func=name)
        return
    if k.options.get("early_ioremap_debug"):
        warn(k, "mm/early_ioremap.c:193", f"{words} [{slot}]", func=name)
    if addr < fix_to_virt(FIX_BTMAP_BEGIN):
        warn(k, "mm/early_ioremap.c:197", func=name)
        return
    for page in range((addr % PAGE_SIZE + size + PAGE_SIZE - 1) // PAGE_SIZE):
        set_fixmap(k, _first_page(slot) - page, 0, FIXMAP_PAGE_CLEAR)
    state.prev_map[slot] = 0


def __set_fixmap(k: Kernel, idx: int, phys: int, prot: int) -> None:
    """Map fixmap page `idx` to the page at `phys` (pa) with Linux page bits `prot`; prot 0 clears it.

    Raises InputError for a number that there is not, which the kernel answers with a BUG.
    Source: arch/arm/mm/mmu.c __set_fixmap()
    """
    pages = end_of_fixed_addresses(k.build.config.NR_CPUS)
    if not 0 <= idx < pages:
        raise InputError(f"__set_fixmap: there is no page {idx} of {pages}: the kernel ends here with a BUG")
    set_fixmap(k, idx, phys, prot)
