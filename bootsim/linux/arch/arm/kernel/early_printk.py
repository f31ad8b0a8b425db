"""The console of the debug port (arch/arm/kernel/early_printk.c)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bootsim.linux.kernel.printk import register_console
from bootsim.linux.lib.cmdline import EarlyParam

if TYPE_CHECKING:
    from bootsim.linux import Kernel


def setup_early_printk(k: Kernel, _arg: str | None) -> int:
    """earlyprintk: write the log to the debug port, whatever the value. Returns 0.

    Source: arch/arm/kernel/early_printk.c setup_early_printk()
    """
    register_console(k, k.log.early_printk_dev)
    return 0


EARLY_PARAMS = (EarlyParam("earlyprintk", setup_early_printk, ("EARLY_PRINTK",)),)
