"""The kernel's page tables (arch/arm/mm/mmu.c).

One C file, in parts:

    mem_types         which bits each kind of mapping gets
    create_mapping    from a mapping request to words in RAM (Cython)
    static_mappings   machine devices, and addresses kept from vmalloc()
    lowmem            where lowmem ends, and its linear mapping
    paging            fixmap, vectors, device tree, highmem window: paging_init()
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bootsim.linux.arch.arm.asm.memory import VMALLOC_END, VMALLOC_OFFSET
from bootsim.linux.arch.arm.asm.pgalloc import _PAGE_KERNEL_TABLE, _PAGE_USER_TABLE
from bootsim.linux.arch.arm.mm.mmu.create_mapping import (
    MemType,
    create_mapping,
    create_mapping_late,
    early_alloc,
    early_pte_alloc,
    late_alloc,
    pmd_clear,
    pmd_off,
    pmd_off_k,
    pmd_populate_kernel,
    pte_offset_kernel,
    section_update,
    set_pte_at,
)
from bootsim.linux.arch.arm.mm.mmu.lowmem import (
    adjust_lowmem_bounds,
    arm_mm_memblock_reserve,
    early_vmalloc,
    map_lowmem,
    prepare_page_table,
)
from bootsim.linux.arch.arm.mm.mmu.mem_types import (
    CPOLICY_WRITEBACK,
    build_mem_type_table,
    early_cachepolicy,
    early_ecc,
    early_mm_init,
    early_nocache,
    early_nowrite,
    init_default_cache_policy,
    initial_mem_types,
    initial_protection_map,
)
from bootsim.linux.arch.arm.mm.mmu.paging import (
    devicemaps_init,
    early_fixmap_init,
    early_fixmap_shutdown,
    kmap_init,
    paging_init,
    set_fixmap,
)
from bootsim.linux.arch.arm.mm.mmu.static_mappings import (
    debug_ll_io_init,
    fill_pmd_gaps,
    iotable_init,
    pci_reserve_io,
    vm_reserve_area_early,
)

if TYPE_CHECKING:
    from bootsim.linux import Kernel

__all__ = [
    "MemType",
    "adjust_lowmem_bounds",
    "arm_mm_memblock_reserve",
    "build_mem_type_table",
    "create_mapping",
    "create_mapping_late",
    "debug_ll_io_init",
    "devicemaps_init",
    "early_alloc",
    "early_cachepolicy",
    "early_ecc",
    "early_fixmap_init",
    "early_fixmap_shutdown",
    "early_mm_init",
    "early_nocache",
    "early_nowrite",
    "early_pte_alloc",
    "early_vmalloc",
    "fill_pmd_gaps",
    "init_default_cache_policy",
    "iotable_init",
    "kmap_init",
    "late_alloc",
    "map_lowmem",
    "mmu_data",
    "paging_init",
    "pci_reserve_io",
    "pmd_clear",
    "pmd_off",
    "pmd_off_k",
    "pmd_populate_kernel",
    "prepare_page_table",
    "pte_offset_kernel",
    "section_update",
    "set_fixmap",
    "set_pte_at",
    "vm_reserve_area_early",
]


def mmu_data(k: Kernel) -> None:
    """Give `k` the static variables of three files as the kernel image holds them.

    Source: arch/arm/mm/mmu.c, arch/arm/mm/ioremap.c, arch/arm/mm/dma-mapping.c
    """
    k.mm.cachepolicy = CPOLICY_WRITEBACK
    k.mm.initial_pmd_value = 0
    k.mm.ecc_mask = 0
    k.mm.mem_types = initial_mem_types(k.build.config)
    k.mm.pgprot_user = k.mm.pgprot_kernel = 0
    k.mm.user_pmd_table = _PAGE_USER_TABLE
    k.mm.kernel_pmd_table = _PAGE_KERNEL_TABLE(k.build.config)
    k.mm.protection_map = initial_protection_map()
    k.mm.early_fixmap = False
    k.mm.vmalloc_min = VMALLOC_END - (240 << 20) - VMALLOC_OFFSET
    k.facts.add("vmalloc_min", k.mm.vmalloc_min, "va", "VMALLOC_END - 240 MiB - 8 MiB", ("VMALLOC_END",),
                "arch/arm/mm/mmu.c vmalloc_min")
    k.mm.static_vmlist = []
    k.mm.vmlist = []
    k.mm.dma_mmu_remap = []
    k.mm.unmapped = []
    k.mm.vectors_page_pa = k.mm.top_pmd_pa = k.mm.pkmap_page_table_pa = k.mm.empty_zero_page_pa = 0
