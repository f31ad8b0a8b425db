"""ARM1020T, whose name says how it is configured (arch/arm/mm/proc-arm1020.S)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bootsim.linux.arch.arm.asm.procinfo import crval, old_proc_info

if TYPE_CHECKING:
    from bootsim.inputs.build import Config

_SETUP = crval(0x593F, 0x3935, round_robin=True)

PROC_INFO = (
    old_proc_info("__arm1020_proc_info", 0x4104A200, 0xFF0FFFF0, "ARM1020", "armv5t", _SETUP, cached=0, bit4=0),
)


def cpu_arm1020_name(config: Config) -> str:
    """The name in the log: i and d for caches, B for branch prediction, RR for round robin.

    Source: arch/arm/mm/proc-arm1020.S cpu_arm1020_name
    """
    data = "" if config.CPU_DCACHE_DISABLE else "d(wt)" if config.CPU_DCACHE_WRITETHROUGH else "d(wb)"
    return ("ARM1020" + ("" if config.CPU_ICACHE_DISABLE else "i") + data
            + ("" if config.CPU_BPREDICT_DISABLE else "B") + ("RR" if config.CPU_CACHE_ROUND_ROBIN else ""))
