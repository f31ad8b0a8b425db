"""What kinds the level-1 caches are (arch/arm/include/asm/cachetype.h)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bootsim.linux.arch.arm.asm.system_info import linux_arm_arch

if TYPE_CHECKING:
    from bootsim.linux import Kernel

CACHEID_VIVT = 1 << 0
CACHEID_VIPT_NONALIASING = 1 << 1
CACHEID_VIPT_ALIASING = 1 << 2
CACHEID_VIPT = CACHEID_VIPT_ALIASING | CACHEID_VIPT_NONALIASING
CACHEID_ASID_TAGGED = 1 << 3
CACHEID_VIPT_I_ALIASING = 1 << 4
CACHEID_PIPT = 1 << 5


def cacheid_is(k: Kernel, mask: int) -> bool:
    """Whether the caches are of a kind in `mask`, as far as the build can tell: some it never, some it always is.

    Source: arch/arm/include/asm/cachetype.h cacheid_is()
    """
    config = k.build.config
    always = never = 0
    if config.CPU_CACHE_VIVT and not config.CPU_CACHE_VIPT:
        always, never = CACHEID_VIVT, ~CACHEID_VIVT
    elif not config.CPU_CACHE_VIVT and config.CPU_CACHE_VIPT:
        never = CACHEID_VIVT
    if mask & always:
        return True
    return bool(mask & ~never & _arch_min(linux_arm_arch(config)) & k.cacheid)


def _arch_min(arch: int) -> int:
    # __CACHEID_ARCH_MIN
    if arch >= 7:
        return CACHEID_VIPT_NONALIASING | CACHEID_ASID_TAGGED | CACHEID_VIPT_I_ALIASING | CACHEID_PIPT
    return ~CACHEID_VIVT if arch >= 6 else ~0


def cache_is_vivt(k: Kernel) -> bool:
    """Whether caches are looked up by virtual address alone.

    Source: arch/arm/include/asm/cachetype.h cache_is_vivt()
    """
    return cacheid_is(k, CACHEID_VIVT)


def cache_is_vipt_aliasing(k: Kernel) -> bool:
    """Whether one line of memory may lie in several lines of the data cache.

    Source: arch/arm/include/asm/cachetype.h cache_is_vipt_aliasing()
    """
    return cacheid_is(k, CACHEID_VIPT_ALIASING)


def cache_is_vipt_nonaliasing(k: Kernel) -> bool:
    """Whether the data cache is, or behaves like, a physically indexed one.

    Source: arch/arm/include/asm/cachetype.h cache_is_vipt_nonaliasing()
    """
    return cacheid_is(k, CACHEID_VIPT_NONALIASING)
