"""Architectures as the kernel numbers them (arch/arm/include/asm/system_info.h), and what it calls them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bootsim.inputs.build import Config

CPU_ARCH_UNKNOWN, CPU_ARCH_ARMv3, CPU_ARCH_ARMv4, CPU_ARCH_ARMv4T = 0, 1, 2, 3
CPU_ARCH_ARMv5, CPU_ARCH_ARMv5T, CPU_ARCH_ARMv5TE, CPU_ARCH_ARMv5TEJ = 4, 5, 6, 7
CPU_ARCH_ARMv6, CPU_ARCH_ARMv7, CPU_ARCH_ARMv7M = 8, 9, 10

PROC_ARCH = ("undefined/unknown", "3", "4", "4T", "5", "5T", "5TE", "5TEJ", "6TEJ", "7", "7M")


def linux_arm_arch(config: Config) -> int:
    """__LINUX_ARM_ARCH__: the oldest architecture that a build runs on.

    Source: arch/arm/Makefile arch-y
    """
    if config.CPU_32v4 or config.CPU_32v4T:
        return 4
    return 5 if config.CPU_32v5 else 6 if config.CPU_32v6 else 7
