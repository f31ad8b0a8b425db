"""Options of the EFI subsystem (drivers/firmware/efi/efi.c)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bootsim.linux.include.linux.errno import EINVAL
from bootsim.linux.kernel.printk import KERN_WARNING, printk
from bootsim.linux.lib.cmdline import EarlyParam

if TYPE_CHECKING:
    from bootsim.linux import Kernel



def setup_noefi(_k: Kernel, _arg: str | None) -> int:
    """noefi: no services of the firmware at run time. Returns 0.

    Source: drivers/firmware/efi/efi.c setup_noefi()
    """
    return 0


def parse_efi_cmdline(k: Kernel, arg: str | None) -> int:
    """efi=debug,noruntime,nosoftreserve. Returns 0 or a negative errno.

    Source: drivers/firmware/efi/efi.c parse_efi_cmdline()
    """
    if arg is None:
        printk(k, KERN_WARNING, "efi: need at least one option")
        return -EINVAL
    k.options["efi_debug"] = "debug" in arg.split(",") or k.options.get("efi_debug")
    return 0


EARLY_PARAMS = (EarlyParam("efi", parse_efi_cmdline, ("EFI",)), EarlyParam("noefi", setup_noefi, ("EFI",)))
