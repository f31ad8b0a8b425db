"""What the slab allocators share (mm/slab_common.c, include/linux/slab.h)."""

from __future__ import annotations

import pytest

import bootsim
from bootsim.errors import KernelPanic
from bootsim.inputs.configfile import load_build
from bootsim.linux.include.linux.slab import kmalloc, kmem_cache_create
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


@pytest.mark.parametrize("allocator", ["SLUB", "SLAB", "SLOB"])
def test_an_alignment_below_the_least_is_the_least(allocator):
    k = booted(**{name: name == allocator for name in ("SLUB", "SLAB", "SLOB")}, until=None)
    for align in (0, 1, 3, 5, 7, 8):
        assert kmem_cache_create(k, f"of{align}", 100, align, 0, lambda va: None).align == 8
    with pytest.raises(slab.SlabError, match="aligned to 12"):
        kmem_cache_create(k, "of12", 100, 12)


def test_a_cache_that_must_be_there_is_the_end_with_the_kernels_last_words():
    k = booted(until=None)
    with pytest.raises(KernelPanic) as death:
        kmem_cache_create(k, "pan", (1 << 22) + 1, 0, slab.SLAB_PANIC)
    reason = "kmem_cache_create: Failed to create slab 'pan'. Error -22"
    assert k.panicked is death.value
    assert [r.text for r in k.log.records[-3:-1]] == [f"Kernel panic - not syncing: {reason}",
                                                      f"---[ end Kernel panic - not syncing: {reason} ]---"]
