"""Mohawk of Marvell, the PXA168's and PXA910's core (arch/arm/mm/proc-mohawk.S)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bootsim.linux.arch.arm.asm.procinfo import crval, old_proc_info

if TYPE_CHECKING:
    from bootsim.linux import Kernel

_WALKS_CACHED = 0x18  # outer write-back: walks look into the second-level cache


def mohawk_setup(k: Kernel, ttb_pa: int) -> int:
    """Table walks go through the second-level cache.

    Source: arch/arm/mm/proc-mohawk.S __mohawk_setup
    """
    return crval(0x7F3F, 0x3905)(k, ttb_pa | _WALKS_CACHED)


PROC_INFO = (
    old_proc_info("__88sv331x_proc_info", 0x56158000, 0xFFFFF000, "Marvell 88SV331x", "armv5te", mohawk_setup),
)
