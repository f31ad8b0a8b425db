"""Domains of the first-level tables (arch/arm/include/asm/domain.h)."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bootsim.inputs.build import Config

DOMAIN_KERNEL, DOMAIN_USER, DOMAIN_IO, DOMAIN_VECTORS = 0, 1, 2, 3
DOMAIN_NOACCESS, DOMAIN_CLIENT, DOMAIN_MANAGER = 0, 1, 3


def domain_val(domain: int, access: int) -> int:
    """The two bits of DACR that give `domain` its `access`.

    Source: arch/arm/include/asm/domain.h domain_val()
    """
    return access << 2 * domain


def DACR_INIT(config: Config) -> int:
    """DACR as the MMU is switched on: all clients, but no access to user pages with CPU_SW_DOMAIN_PAN.

    With CPU_USE_DOMAINS, of processors before ARMv6K, kernel memory is not asked for permissions.
    Source: arch/arm/include/asm/domain.h DACR_INIT, DOMAIN_MANAGER
    Differs: CONFIG_IO_36, which numbers domains otherwise, is not modelled, and refused.
    """
    kernel = DOMAIN_MANAGER if config.CPU_USE_DOMAINS else DOMAIN_CLIENT
    user = DOMAIN_NOACCESS if config.CPU_SW_DOMAIN_PAN else DOMAIN_CLIENT
    return (domain_val(DOMAIN_USER, user) | domain_val(DOMAIN_KERNEL, kernel)
            | domain_val(DOMAIN_IO, DOMAIN_CLIENT) | domain_val(DOMAIN_VECTORS, DOMAIN_CLIENT))
