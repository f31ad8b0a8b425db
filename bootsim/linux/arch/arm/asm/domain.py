"""Domains of the first-level tables (arch/arm/include/asm/domain.h)."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bootsim.inputs.build import Config

DOMAIN_USER, DOMAIN_VECTORS = 1, 3
DOMAIN_NOACCESS, DOMAIN_CLIENT, DOMAIN_MANAGER = 0, 1, 3


def DOMAIN_KERNEL(config: Config) -> int:
    """The domain of kernel memory, which leaves 0 to devices where they may lie above 4 GiB.

    Source: arch/arm/include/asm/domain.h DOMAIN_KERNEL
    """
    return 2 if config.IO_36 else 0


def DOMAIN_IO(config: Config) -> int:
    """The domain of devices: 0 where they may lie above 4 GiB, since supersections have no other.

    Source: arch/arm/include/asm/domain.h DOMAIN_IO
    """
    return 0 if config.IO_36 else 2


def domain_names(config: Config) -> dict[int, str]:
    """What each domain is called, by its number.

    Source: arch/arm/mm/dump.c get_domain_name()
    """
    return {DOMAIN_KERNEL(config): "KERNEL", DOMAIN_USER: "USER", DOMAIN_IO(config): "IO", DOMAIN_VECTORS: "VECTORS"}


def domain_val(domain: int, access: int) -> int:
    """The two bits of DACR that give `domain` its `access`.

    Source: arch/arm/include/asm/domain.h domain_val()
    """
    return access << 2 * domain


def DACR_INIT(config: Config) -> int:
    """DACR as the MMU is switched on: all clients, but no access to user pages with CPU_SW_DOMAIN_PAN.

    With CPU_USE_DOMAINS, of processors before ARMv6K, kernel memory is not asked for permissions.
    Source: arch/arm/include/asm/domain.h DACR_INIT, DOMAIN_MANAGER
    """
    kernel = DOMAIN_MANAGER if config.CPU_USE_DOMAINS else DOMAIN_CLIENT
    user = DOMAIN_NOACCESS if config.CPU_SW_DOMAIN_PAN else DOMAIN_CLIENT
    return (domain_val(DOMAIN_USER, user) | domain_val(DOMAIN_KERNEL(config), kernel)
            | domain_val(DOMAIN_IO(config), DOMAIN_CLIENT) | domain_val(DOMAIN_VECTORS, DOMAIN_CLIENT))
