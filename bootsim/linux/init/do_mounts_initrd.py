"""Options that say where the initrd is (init/do_mounts_initrd.c)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bootsim.linux.lib.cmdline import EarlyParam, memparse, value_of

if TYPE_CHECKING:
    from bootsim.linux import Kernel


def early_initrdmem(k: Kernel, arg: str | None) -> int:
    """initrd=START,SIZE and initrdmem=: where the bootloader put the initrd (pa, bytes). Returns 0.

    Source: init/do_mounts_initrd.c early_initrdmem()
    """
    start, rest = memparse(value_of("initrd", arg))
    if rest.startswith(","):
        k.phys_initrd_start = start & 0xFFFFFFFF
        k.phys_initrd_size = memparse(rest[1:])[0] & 0xFFFFFFFF
        for name in ("phys_initrd_start", "phys_initrd_size"):
            k.facts.add(name, getattr(k, name), "pa" if name.endswith("start") else "bytes", "initrd=START,SIZE",
                        ("cmdline:initrd",), "init/do_mounts_initrd.c early_initrdmem()")
    return 0


EARLY_PARAMS = (
    EarlyParam("initrd", early_initrdmem, ("BLK_DEV_INITRD",)),
    EarlyParam("initrdmem", early_initrdmem, ("BLK_DEV_INITRD",)),
)
