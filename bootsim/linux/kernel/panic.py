"""The last words of a dying kernel (kernel/panic.c)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bootsim.linux.kernel.printk import KERN_EMERG, KERN_WARNING, printk, step

if TYPE_CHECKING:
    from bootsim.errors import KernelPanic
    from bootsim.linux import Kernel


def warn(k: Kernel, where: str, text: str | None = None, *, func: str, pid: int = 0) -> None:
    """Log a warning of the kernel about itself: `where` is "file:line" in 5.10.223, `func` the C function.

    Source: kernel/panic.c __warn()
    Differs: the offset in the function, the stack and the trace's id belong to the compiled code and are left out.
    """
    printk(k, KERN_WARNING, "------------[ cut here ]------------", func=func)
    place, name = k.build.warning_place(where, func)
    printk(k, KERN_WARNING, "WARNING: CPU: 0 PID: {pid} at {where} {name}", func=func, pid=pid, where=place, name=name)
    if text is not None:
        printk(k, KERN_WARNING, "{text}", func=func, text=text)


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
