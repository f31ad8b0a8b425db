"""What the kernel knows of a processor (struct proc_info_list, arch/arm/include/asm/procinfo.h)."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from bootsim.linux.arch.arm.asm.pgtable_2level import (
    PMD_BIT4,
    PMD_SECT_AP_READ,
    PMD_SECT_AP_WRITE,
    PMD_SECT_BUFFERABLE,
    PMD_SECT_CACHEABLE,
    PMD_TYPE_SECT,
)
from bootsim.linux.arch.arm.asm.proc_fns import SET_PTE_ARMV3

if TYPE_CHECKING:
    from collections.abc import Callable

    from bootsim.linux import Kernel

SECTION = PMD_TYPE_SECT | PMD_SECT_AP_WRITE | PMD_SECT_AP_READ
CACHED = PMD_SECT_BUFFERABLE | PMD_SECT_CACHEABLE


class ProcInfo(NamedTuple):
    """One processor, by value and mask of MIDR, with its part of struct processor.

    `mm_up` and `mm_smp` are the flags of a section of kernel memory in head.S with one processor and with several,
    `io_mmuflags` those of the debug port. `setup(k, pa)` gets ready to switch the MMU on with the table at `pa` and
    returns the SCTLR value that does; `set_pte` is the form of its second-level entries (asm/proc_fns).
    """

    name: str
    cpu_val: int
    cpu_mask: int
    mm_up: int
    mm_smp: int
    io_mmuflags: int
    cpu_name: str
    arch_name: str
    elf_name: str
    setup: Callable[[Kernel, int], int]
    set_pte: int

    def mm_mmuflags(self, smp: bool) -> int:
        """The flags of a section of kernel memory."""
        return self.mm_smp if smp else self.mm_up


def old_proc_info(name: str, cpu_val: int, cpu_mask: int, cpu_name: str, arch_name: str,
                  setup: Callable[[Kernel, int], int], cached: int = CACHED, bit4: int = PMD_BIT4,
                  set_pte: int = SET_PTE_ARMV3) -> ProcInfo:
    """An entry of a processor before ARMv6, which is alone: `cached` and `bit4` are bits of its sections.

    Source: arch/arm/mm/proc-arm926.S __arm926_proc_info, and those of other processors
    """
    flags = SECTION | bit4
    return ProcInfo(name, cpu_val, cpu_mask, flags | cached, flags | cached, flags, cpu_name, arch_name,
                    arch_name[3:5], setup, set_pte)


def crval(clear: int, mmuset: int, *, round_robin: bool = False) -> Callable[[Kernel, int], int]:
    """A setup function that knows one table base alone, and changes these bits of SCTLR.

    `round_robin`: CONFIG_CPU_CACHE_ROUND_ROBIN has an effect.
    Source: arch/arm/mm/proc-macros.S crval, and the __*_setup that uses it
    """

    def setup(k: Kernel, ttb_pa: int) -> int:
        cp15 = k.cpus[0].cp15
        cp15.ttbr0 = ttb_pa
        cr = cp15.sctlr & ~clear | mmuset
        return cr | CR_RR if round_robin and k.build.config.CPU_CACHE_ROUND_ROBIN else cr

    return setup


CR_RR = 1 << 14
