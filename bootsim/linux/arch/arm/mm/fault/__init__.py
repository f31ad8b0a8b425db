"""How the kernel tells that it touched an address that is not mapped (arch/arm/mm/fault.c).

    abort     what it does about a fault of the processor: do_DataAbort(), fsr_info

A boot needs the words alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

from bootsim.errors import KernelPanic
from bootsim.linux.kernel.panic import death_of_idle
from bootsim.linux.kernel.printk import KERN_ALERT, printk
from bootsim.page import PAGE_SIZE

if TYPE_CHECKING:
    from bootsim.linux import Kernel


def __do_kernel_fault(k: Kernel, addr: int, cause: str) -> NoReturn:
    """Say that `addr` (va) cannot be accessed, and die; `cause` names the input that led there.

    Source: arch/arm/mm/fault.c __do_kernel_fault()
    Differs: the page-table entries and registers that an oops shows are left out.
    """
    unable_to_handle(k, addr)
    raise KernelPanic(death_of_idle(k), cause)


def unable_to_handle(k: Kernel, addr: int) -> None:
    """Log that the kernel cannot access `addr` (va).

    Source: arch/arm/mm/fault.c __do_kernel_fault()
    """
    printk(k, KERN_ALERT, "8<--- cut here ---", func="__do_kernel_fault")
    what = "NULL pointer dereference" if addr < PAGE_SIZE else "paging request"
    printk(k, KERN_ALERT, "Unable to handle kernel {what} at virtual address {va:08x}", func="__do_kernel_fault",
           what=what, va=addr)
