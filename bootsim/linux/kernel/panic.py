"""The last words of a dying kernel (kernel/panic.c)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bootsim.linux.kernel.printk import KERN_EMERG, printk, step

if TYPE_CHECKING:
    from bootsim.errors import KernelPanic
    from bootsim.linux import Kernel


def panic(k: Kernel, death: KernelPanic) -> None:
    """Log the panic line if the real kernel gets to say one, then the cause in the inputs.

    Source: kernel/panic.c panic()
    Differs: no stack dump between the two lines; code addresses are not modelled.
    """
    if death.reason is not None:
        printk(k, KERN_EMERG, "Kernel panic - not syncing: {reason}", reason=death.reason)
        printk(k, KERN_EMERG, "---[ end Kernel panic - not syncing: {reason} ]---", reason=death.reason)
    if death.cause is not None:
        step(k, "cause: {cause}", func="panic", level=KERN_EMERG, cause=death.cause)
