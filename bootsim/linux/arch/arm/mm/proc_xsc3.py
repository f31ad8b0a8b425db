"""XScale of the third generation (arch/arm/mm/proc-xsc3.S)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bootsim.linux.arch.arm.asm.proc_fns import SET_PTE_XSC3
from bootsim.linux.arch.arm.asm.procinfo import crval, old_proc_info

if TYPE_CHECKING:
    from bootsim.linux import Kernel

CR_L2 = 1 << 26
_WALKS_CACHED = 0x18  # outer write-back: walks look into the second-level cache


def xsc3_setup(k: Kernel, ttb_pa: int) -> int:
    """Table walks go through the second-level cache, which is switched on where the build has it.

    Source: arch/arm/mm/proc-xsc3.S __xsc3_setup
    """
    cr = crval(0x04002202, 0x3905)(k, ttb_pa | _WALKS_CACHED)
    return cr | CR_L2 if k.build.config.CACHE_XSC3L2 else cr


PROC_INFO = tuple(
    old_proc_info(name, cpu_val, 0xFFFFE000, "XScale-V3 based processor", "armv5te", xsc3_setup, bit4=0,
                  set_pte=SET_PTE_XSC3)
    for name, cpu_val in (("__xsc3_proc_info", 0x69056000), ("__xsc3_pxa935_proc_info", 0x56056000))
)
