"""Domains of the first-level tables (arch/arm/include/asm/domain.h)."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bootsim.inputs.build import Config

DOMAIN_KERNEL, DOMAIN_USER, DOMAIN_IO, DOMAIN_VECTORS = 0, 1, 2, 3
DOMAIN_NOACCESS, DOMAIN_CLIENT = 0, 1


def domain_val(domain: int, access: int) -> int:
    """The two bits of DACR that give `domain` its `access`.

    Source: arch/arm/include/asm/domain.h domain_val()
    """
    return access << 2 * domain


def DACR_INIT(config: Config) -> int:
    """DACR as the MMU is switched on: all clients, but no access to user pages with CPU_SW_DOMAIN_PAN.

    Source: arch/arm/include/asm/domain.h DACR_INIT
    Differs: CONFIG_IO_36 and CONFIG_CPU_USE_DOMAINS belong to processors before ARMv7 and are not modelled.
    """
    user = DOMAIN_NOACCESS if config.CPU_SW_DOMAIN_PAN else DOMAIN_CLIENT
    return (domain_val(DOMAIN_USER, user) | domain_val(DOMAIN_KERNEL, DOMAIN_CLIENT)
            | domain_val(DOMAIN_IO, DOMAIN_CLIENT) | domain_val(DOMAIN_VECTORS, DOMAIN_CLIENT))
