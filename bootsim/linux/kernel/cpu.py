"""Options of all processors (kernel/cpu.c)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bootsim.linux.kernel.printk import KERN_CRIT, printk
from bootsim.linux.lib.cmdline import EarlyParam, value_of

if TYPE_CHECKING:
    from bootsim.linux import Kernel


def mitigations_parse_cmdline(k: Kernel, arg: str | None) -> int:
    """mitigations=off|auto|auto,nosmt: no memory depends on it, only a line of the log. Returns 0.

    Source: kernel/cpu.c mitigations_parse_cmdline()
    """
    value = value_of("mitigations", arg)
    if value not in ("off", "auto", "auto,nosmt"):
        printk(k, KERN_CRIT, "Unsupported mitigations={value}, system may still be vulnerable", value=value)
    return 0


EARLY_PARAMS = (EarlyParam("mitigations", mitigations_parse_cmdline),)
