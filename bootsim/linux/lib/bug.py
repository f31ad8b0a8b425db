"""Where the kernel finds that it cannot be right, and stops (lib/bug.c)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bootsim.linux.arch.arm.kernel.traps import die
from bootsim.linux.kernel.printk import KERN_CRIT, KERN_WARNING, printk

if TYPE_CHECKING:
    from bootsim.linux import Kernel


def bug(k: Kernel, where: str, *, func: str) -> None:
    """Log that the kernel stops at `where`, "file:line" in 5.10.223. Its caller returns without what was asked.

    Raises KernelPanic where an oops is a panic.
    Source: lib/bug.c report_bug()
    Differs: who asked lives on, and holds no lock that it died with.
    """
    place, _ = k.build.warning_place(where, func)
    printk(k, KERN_WARNING, "------------[ cut here ]------------", func=func)
    printk(k, KERN_CRIT, "kernel BUG at {place}!", func=func, place=place)
    die(k, "Oops - BUG", 0)
