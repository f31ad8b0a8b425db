"""Pages for page tables, and first-level words that point to tables (arch/arm/include/asm/pgalloc.h)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bootsim.linux.arch.arm.asm.domain import DOMAIN_KERNEL, DOMAIN_USER
from bootsim.linux.arch.arm.asm.pgtable_2level import PMD_TYPE_TABLE
from bootsim.linux.mm.page_alloc import __GFP_ZERO, GFP_KERNEL, alloc_pages
from bootsim.page import PAGE_SHIFT

if TYPE_CHECKING:
    from bootsim.inputs.build import Config
    from bootsim.linux import Kernel
    from bootsim.linux.include.linux.mm_types import MmStruct

GFP_PGTABLE_KERNEL = GFP_KERNEL | __GFP_ZERO
_PMD_BIT4 = 1 << 4
_PAGE_USER_TABLE = PMD_TYPE_TABLE | _PMD_BIT4 | DOMAIN_USER << 5


def _PAGE_KERNEL_TABLE(config: Config) -> int:
    """What a word for kernel addresses has beside the table's address.

    Source: arch/arm/include/asm/pgalloc.h _PAGE_KERNEL_TABLE
    """
    return PMD_TYPE_TABLE | _PMD_BIT4 | DOMAIN_KERNEL(config) << 5


def pte_alloc_one_kernel(k: Kernel, _mm: MmStruct) -> int | None:
    """Take a cleared page for second-level entries of kernel memory; returns its pa, None when there is none.

    Source: arch/arm/include/asm/pgalloc.h pte_alloc_one_kernel()
    """
    pfn = alloc_pages(k, GFP_PGTABLE_KERNEL, 0)
    return None if pfn is None else pfn << PAGE_SHIFT
