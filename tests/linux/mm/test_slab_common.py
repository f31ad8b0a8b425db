"""What the slab allocators share (mm/slab_common.c, include/linux/slab.h)."""

from __future__ import annotations

import pytest

import bootsim
from bootsim.inputs.configfile import load_build
from bootsim.linux.include.linux.slab import kmalloc
from bootsim.linux.mm import slab_common as slab


def booted(until="mem_init", **config):
    build = load_build("3G/1G")
    k = bootsim.prepare("vexpress-ca15", build.replace(config=build.config.replace(**config)))
    bootsim.run(k, until=until)
    return k


def test_flags_are_the_kernels():
    # include/linux/slab.h
    assert slab.SLAB_HWCACHE_ALIGN == 0x2000
    assert slab.SLAB_PANIC | slab.SLAB_RECLAIM_ACCOUNT == 0x60000
    assert slab.SLAB_TYPESAFE_BY_RCU == 0x80000


@pytest.mark.parametrize(("config", "high", "largest"), [
    ({"SLUB": True, "SLAB": False, "SLOB": False}, 13, 22),
    ({"SLUB": False, "SLAB": True, "SLOB": False}, 22, 22),
    ({"SLUB": False, "SLAB": True, "SLOB": False, "FORCE_MAX_ZONEORDER": 16}, 25, 25),
    ({"SLUB": False, "SLAB": False, "SLOB": True}, 12, 22),
])  # fmt: skip
def test_kmalloc_sizes_are_the_builds(config, high, largest):
    k = booted(**config)
    a = slab.SlabAllocator(k)
    assert (a.kmalloc_shift_high, a.kmalloc_shift_max) == (high, largest)
    assert a.kmalloc_min_size == 1 << k.build.config.ARM_L1_CACHE_SHIFT


def test_nothing_is_allocated_before_the_allocator_is_up():
    k = booted(until="mem_init:entry")
    with pytest.raises(slab.SlabError, match="no slab allocator yet"):
        kmalloc(k, 100, 0xCC0)
