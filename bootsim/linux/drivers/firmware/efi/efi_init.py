"""The early start of EFI (drivers/firmware/efi/efi-init.c)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bootsim.linux.drivers.firmware.efi.fdtparams import efi_get_fdt_params

if TYPE_CHECKING:
    from bootsim.linux import Kernel


def efi_init(k: Kernel) -> None:
    """Look for UEFI.

    Source: drivers/firmware/efi/efi-init.c efi_init()
    Differs: where there is one, the boot is refused.
    """
    if k.build.config.EFI:
        efi_get_fdt_params(k)
