"""/proc/slabinfo and /sys/kernel/slab of a booted machine (mm/slub.c)."""

from __future__ import annotations

import pytest

import bootsim
from bootsim.errors import InputError
from bootsim.inputs.configfile import load_build
from bootsim.linux.include.linux.slab import kmem_cache_alloc, kmem_cache_create, kmem_cache_free
from bootsim.views import catalog
from bootsim.views.held import END, LiveState, NotHeld

GFP_KERNEL = 0xCC0


@pytest.fixture
def k():
    build = load_build("3G/1G")
    k = bootsim.prepare("vexpress-ca15", build.replace(config=build.config.replace(SLUB_DEBUG=True)))
    bootsim.run(k)
    return k


def show(k, path):
    return catalog.find(path).lines(LiveState(k, END))


def test_a_boot_that_has_not_come_to_its_allocator_has_no_caches():
    k = bootsim.prepare("vexpress-ca15", "3G/1G")
    bootsim.run(k, until="mem_init")
    with pytest.raises(NotHeld, match="has not come to kmem_cache_init"):
        show(k, "/proc/slabinfo")


def test_a_booted_machine_has_the_caches_of_its_allocators_start(k):
    names = [line.split()[0] for line in show(k, "/proc/slabinfo")[2:]]
    assert names[0] == "kmalloc-rcl-8k"
    assert names[-2:] == ["kmem_cache_node", "kmem_cache"]


def test_a_cache_has_a_line_and_a_folder(k):
    s = kmem_cache_create(k, "x", 1000, 0, 0, lambda va: None)
    per_slab = s.oo & 0xFFFF
    objects = [kmem_cache_alloc(k, s, GFP_KERNEL) for _ in range(2 * per_slab)]
    kmem_cache_free(k, s, objects[0])
    lines = show(k, "/proc/slabinfo")
    assert lines[0] == "slabinfo - version: 2.1"
    pages = 1 << (s.oo >> 16)
    assert lines[2].split() == ["x", str(2 * per_slab), str(2 * per_slab), "1008", str(per_slab), str(pages), ":",
                                "tunables", "0", "0", "0", ":", "slabdata", "2", "2", "0"]
    assert show(k, "/sys/kernel/slab/x/order") == [str(s.oo >> 16)]
    assert show(k, "/sys/kernel/slab/x/cpu_slabs") == ["2"]
    assert show(k, "/sys/kernel/slab/x/slabs_cpu_partial") == ["1(1) C0=1(1)"]
    assert show(k, "/sys/kernel/slab/x/object_size") == ["1000"]
    assert "poison 0" in show(k, "/sys/kernel/slab/x")
    with pytest.raises(InputError, match="no such cache"):
        show(k, "/sys/kernel/slab/y")
    with pytest.raises(InputError, match="there are slab_size"):
        show(k, "/sys/kernel/slab/x/nonsense")


# mm/slub.c slab_attrs[] of a kernel with SLUB_DEBUG, without NUMA, SLUB_STATS and FAILSLAB, and without ZONE_DMA
ATTRIBUTES = [
    "slab_size", "object_size", "objs_per_slab", "order", "min_partial", "cpu_partial", "objects", "objects_partial",
    "partial", "cpu_slabs", "ctor", "aliases", "align", "hwcache_align", "reclaim_account", "destroy_by_rcu", "shrink",
    "slabs_cpu_partial", "total_objects", "slabs", "sanity_checks", "trace", "red_zone", "poison", "store_user",
    "validate", "alloc_calls", "free_calls", "usersize",
]


def test_a_folder_has_the_files_that_the_build_gives_it(k):
    def make(_va):
        pass

    kmem_cache_create(k, "x", 1000, 0, 0, make)
    lines = show(k, "/sys/kernel/slab/x")
    assert [line.split(" ")[0] for line in lines] == ATTRIBUTES
    assert {"ctor make", "shrink ", "validate ", "alloc_calls -ENOSYS"} <= set(lines)
    assert show(k, "/sys/kernel/slab/x/ctor") == ["make"]
    assert show(k, "/sys/kernel/slab/kmalloc-64/shrink") == [""]
    with pytest.raises(InputError, match=r"x/free_calls: the kernel answers with -ENOSYS.*slub_debug=U"):
        show(k, "/sys/kernel/slab/x/free_calls")


def test_who_allocated_and_freed_is_told_where_it_is_kept():
    build = load_build("3G/1G")
    k = bootsim.prepare("vexpress-ca15", build.replace(config=build.config.replace(SLUB_DEBUG=True)), smp=4,
                        cmdline="slub_debug=U,x")
    bootsim.run(k)
    s = kmem_cache_create(k, "x", 1000)
    assert show(k, "/sys/kernel/slab/x/alloc_calls") == ["No data"]
    objects = []
    for cpu in (0, 1, 3):
        k.mm.pgdat.cpu = cpu
        objects.append(kmem_cache_alloc(k, s, GFP_KERNEL))
    assert show(k, "/sys/kernel/slab/x/alloc_calls")[0].split() == ["3", "_stext", "age=0/1/2", "pid=1", "cpus=0-1,3"]
    kmem_cache_free(k, s, objects[2])
    assert kmem_cache_alloc(k, s, GFP_KERNEL) == objects[2]
    # ages count allocations and frees: two of them since the free, five since there was nothing
    free_calls = [line.split() for text in show(k, "/sys/kernel/slab/x/free_calls") for line in text.split("\n")]
    assert free_calls == [["2", "<not-available>", "age=5", "pid=0", "cpus=0"],
                          ["1", "_stext", "age=1", "pid=1", "cpus=3"]]
