"""What becomes of the initrd (init/initramfs.c)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bootsim.linux.arch.arm.mm.init import free_initrd_mem
from bootsim.linux.kernel.printk import KERN_INFO, printk
from bootsim.linux.lib.cmdline import SetupParam

if TYPE_CHECKING:
    from bootsim.linux import Kernel


def retain_initrd_param(k: Kernel, text: str) -> bool:
    """retain_initrd: the initrd's memory is not freed.

    Source: init/initramfs.c retain_initrd_param()
    """
    if text:
        return False
    k.options["do_retain_initrd"] = True
    return True


def keepinitrd_setup(k: Kernel, _text: str) -> bool:
    """keepinitrd: ARM's own name of retain_initrd; whatever stands behind it does not matter.

    Source: init/initramfs.c keepinitrd_setup()
    """
    k.options["do_retain_initrd"] = True
    return True


SETUP_PARAMS = (
    SetupParam("keepinitrd", keepinitrd_setup, ("BLK_DEV_INITRD",)),
    SetupParam("retain_initrd", retain_initrd_param, ("BLK_DEV_INITRD",)),
)


def populate_rootfs(k: Kernel) -> None:
    """Unpack the initrd, and free it unless it is to be kept.

    Source: init/initramfs.c populate_rootfs()
    Differs: the initrd's content is not modelled: it is taken to unpack without a complaint.
    """
    if not k.initrd_start:
        return
    printk(k, KERN_INFO, "Trying to unpack rootfs image as initramfs..." if k.build.config.BLK_DEV_RAM
           else "Unpacking initramfs...")
    if not k.options.get("do_retain_initrd"):
        free_initrd_mem(k, k.initrd_start, k.initrd_end)
