"""SLAB (mm/slab.c): how caches are laid out, what objects are handed out next, and what goes back."""

from __future__ import annotations

import random
from itertools import pairwise

import pytest

import bootsim
from bootsim.inputs.configfile import load_build
from bootsim.linux.include.linux.slab import (
    kfree,
    kmalloc,
    kmem_cache_alloc,
    kmem_cache_create,
    kmem_cache_destroy,
    kmem_cache_free,
    kmem_cache_shrink,
    ksize,
)
from bootsim.linux.init.main import kmem_cache_init
from bootsim.linux.mm.slab import kmem_cache_init_late
from bootsim.linux.mm.slab_common import SLAB_HWCACHE_ALIGN, SLAB_RECLAIM_ACCOUNT, SLAB_TYPESAFE_BY_RCU, SlabError

GFP_KERNEL = 0xCC0
PAGE = 4096


def machine(possible_cpus=1, cmdline="", **config):
    build = load_build("3G/1G")
    k = bootsim.prepare("vexpress-ca15", build.replace(config=build.config.replace(
        **{"SLUB": False, "SLAB": True, "SLOB": False, "SLAB_FREELIST_RANDOM": False, **config})), cmdline=cmdline)
    bootsim.run(k, until="mem_init")
    k.num_possible_cpus = possible_cpus
    kmem_cache_init(k)
    kmem_cache_init_late(k)
    return k


@pytest.fixture
def k():
    return machine()


def row(k, s):
    return next(c for c in k.mm.slab.snapshot() if c["addr"] == s.va)


def free_pages(k):
    return sum(zone["nr_free_pages"] for zone in k.zones) + sum(zone["pcp"][0]["count"] for zone in k.zones)


@pytest.mark.parametrize(("size", "flags", "num", "order", "colour", "where"), [
    # The page divides without rest, and the last free object holds the indices.
    (64, SLAB_HWCACHE_ALIGN, 64, 0, 0, "object"),
    (192, 0, 21, 0, 1, "object"),
    # 4 objects of 1000 bytes leave 96 bytes: colour 0 and 1.
    (1000, 0, 4, 0, 1, "object"),
    # Freed by RCU, so the objects stay as they are: indices behind them, if there is room.
    (64, SLAB_TYPESAFE_BY_RCU, 63, 0, 0, "slab"),
    # One object a page would waste half of two pages less than of one.
    (2100, 0, 3, 1, 29, "object"),
    # Reclaimable caches stay with the smallest order that holds one.
    (2100, SLAB_RECLAIM_ACCOUNT, 1, 0, 31, "object"),
    # Larger than two pages: the order that holds one object.
    (9000, 0, 1, 2, 115, "object"),
])  # fmt: skip
def test_layout_follows_size_and_flags(k, size, flags, num, order, colour, where):
    s = kmem_cache_create(k, "cache", size, 0, flags)
    assert (s.num, s.gfporder, s.colour) == (num, order, colour)
    assert ("object" if s.flags >> 30 & 1 else "off" if s.flags >> 31 else "slab") == where


@pytest.mark.parametrize(("size", "limit"), [(64, 120), (256, 120), (260, 54), (1024, 54), (1028, 24), (4096, 24),
                                             (5000, 8), (131072, 8), (262144, 1)])
def test_arrays_are_shorter_for_larger_objects(k, size, limit):
    s = kmem_cache_create(k, "cache", size, 0, SLAB_TYPESAFE_BY_RCU)
    assert (s.limit, s.batchcount) == (limit, (limit + 1) // 2)


def test_a_shared_array_is_there_on_several_cpus_for_objects_up_to_a_page():
    k = machine(possible_cpus=4)
    small, large = (kmem_cache_create(k, name, size) for name, size in (("small", 100), ("large", 5000)))
    assert (small.shared, large.shared) == (8, 0)
    assert row(k, small)["node"]["shared"]["limit"] == 8 * small.batchcount
    assert row(k, large)["node"]["shared"] is None


def test_a_slab_hands_out_the_last_of_a_batch_first(k):
    # The array is a stack, filled from the slab's start: 16 objects on the first refill, of which the 16th goes out.
    s = kmem_cache_create(k, "cache", 128, 0, SLAB_TYPESAFE_BY_RCU)
    first = [kmem_cache_alloc(k, s, GFP_KERNEL) for _ in range(16)]
    assert first == [first[0] - i * s.size for i in range(16)]
    # Touched since: now a whole batch, or what is left of the slab.
    assert kmem_cache_alloc(k, s, GFP_KERNEL) == first[0] + (s.num - 16) * s.size


def test_colours_move_the_objects_of_the_next_slab(k):
    s = kmem_cache_create(k, "cache", 2000, 0, SLAB_TYPESAFE_BY_RCU)
    assert (s.num, s.gfporder) == (2, 0)  # 94 bytes are left: colours 0 and, after it, 0 again
    s = kmem_cache_create(k, "cache", 1900, 0, SLAB_TYPESAFE_BY_RCU)
    assert s.colour == (PAGE - 2 * 1900 - 2) // 64
    for _ in range(6 * s.num):
        kmem_cache_alloc(k, s, GFP_KERNEL)
    slabs = row(k, s)["node"]["slabs_full"]
    assert [slab["s_mem"] % PAGE // 64 for slab in reversed(slabs)] == [1, 2, 3, 0, 1, 2]


def test_a_full_array_gives_its_oldest_objects_back(k):
    s = kmem_cache_create(k, "cache", 2048, 2048, SLAB_TYPESAFE_BY_RCU)
    objects = [kmem_cache_alloc(k, s, GFP_KERNEL) for _ in range(s.limit + 1)]
    held = row(k, s)["cpu"][0]["avail"]
    for va in objects[: s.limit - held]:
        kmem_cache_free(k, s, va)
    assert row(k, s)["cpu"][0]["avail"] == s.limit
    oldest = row(k, s)["cpu"][0]["entries"][: s.batchcount]
    kmem_cache_free(k, s, objects[s.limit - held])
    after = row(k, s)["cpu"][0]["entries"]
    assert len(after) == s.limit - s.batchcount + 1
    assert after[-1] == objects[s.limit - held]
    assert not set(oldest) & set(after)


def test_shrink_gives_back_every_empty_slab(k):
    s = kmem_cache_create(k, "cache", 300, 0, SLAB_TYPESAFE_BY_RCU)
    before = free_pages(k)
    objects = [kmem_cache_alloc(k, s, GFP_KERNEL) for _ in range(500)]
    assert free_pages(k) == before - s.total_slabs
    for va in objects[1:]:
        kmem_cache_free(k, s, va)
    assert row(k, s)["node"]["free_slabs"] > 0
    assert kmem_cache_shrink(k, s) == 1
    assert s.total_slabs == 1
    kmem_cache_free(k, s, objects[0])
    assert kmem_cache_shrink(k, s) == 0
    assert [row(k, s)["node"][name] for name in ("total_slabs", "free_slabs", "free_objects")] == [0, 0, 0]
    assert free_pages(k) == before


def test_destroying_a_cache_leaves_nothing(k):
    kmalloc_before = k.mm.slab.snapshot()
    before = free_pages(k)
    s = kmem_cache_create(k, "cache", 700, 0, SLAB_TYPESAFE_BY_RCU)
    kmem_cache_free(k, s, kmem_cache_alloc(k, s, GFP_KERNEL))
    kmem_cache_destroy(k, s)
    assert [c["name"] for c in k.mm.slab.snapshot()] == [c["name"] for c in kmalloc_before]
    for cache in k.mm.slab.slab_caches:
        kmem_cache_shrink(k, cache)
    assert free_pages(k) >= before


def test_the_reaper_lets_what_was_used_be_for_one_round(k):
    s = kmem_cache_create(k, "cache", 64, 0, SLAB_TYPESAFE_BY_RCU)
    kmem_cache_free(k, s, kmem_cache_alloc(k, s, GFP_KERNEL))
    held = row(k, s)["cpu"][0]["avail"]
    k.mm.slab.cache_reap()
    assert row(k, s)["cpu"][0] == {**row(k, s)["cpu"][0], "avail": held, "touched": 0}
    k.mm.slab.cache_reap()
    assert row(k, s)["cpu"][0]["avail"] == held - (held + 1) // 2  # (120 + 4) / 5 are more than it holds


@pytest.mark.parametrize(("avail", "left"), [(25, 1), (24, 0), (23, 11)])
def test_the_reaper_takes_a_fifth_of_the_limit_or_half_of_what_there_is(k, avail, left):
    # drain_array_locked(): (120 + 4) / 5 objects, of fewer than that (avail + 1) / 2
    s = kmem_cache_create(k, "cache", 64, 0, SLAB_TYPESAFE_BY_RCU)
    objects = [kmem_cache_alloc(k, s, GFP_KERNEL) for _ in range(60)]
    while row(k, s)["cpu"][0]["avail"] != avail:
        kmem_cache_free(k, s, objects.pop())
    for _ in range(2):
        k.mm.slab.cache_reap()
    assert row(k, s)["cpu"][0]["avail"] == left


def test_a_node_keeps_a_slab_and_a_batch_for_each_processor_and_one_more(k):
    s = kmem_cache_create(k, "cache", 64, 0, SLAB_TYPESAFE_BY_RCU)
    found = row(k, s)
    assert found["node"]["free_limit"] == (1 + k.nr_online_cpus) * found["cpu"][0]["batchcount"] + s.num


def test_the_indices_of_free_objects_are_bytes_in_ram(k):
    s = kmem_cache_create(k, "cache", 1000, 0, SLAB_TYPESAFE_BY_RCU)
    kmem_cache_alloc(k, s, GFP_KERNEL)
    slab = (row(k, s)["node"]["slabs_full"] + row(k, s)["node"]["slabs_partial"])[0]
    assert k.machine.ram.read(k.virt_to_phys(slab["freelist"]), s.num) == bytes(range(s.num))


@pytest.mark.parametrize(("cmdline", "flags", "ctor", "cleared"), [
    ("", 0, None, False), ("init_on_free=1", 0, None, True),
    ("init_on_free=1", SLAB_TYPESAFE_BY_RCU, None, False), ("init_on_free=1", 0, lambda va: None, False),
])  # fmt: skip
def test_what_is_cleared_as_it_is_freed(cmdline, flags, ctor, cleared):
    # slab_want_init_on_free(): nobody may look at the object any more, and nothing was made of it beforehand
    k = machine(cmdline=cmdline)
    s = kmem_cache_create(k, "cache", 200, 0, flags, ctor)
    va = kmem_cache_alloc(k, s, GFP_KERNEL)
    k.machine.ram.write(k.virt_to_phys(va), b"y" * 200)
    kmem_cache_free(k, s, va)
    assert k.read(va, 200) == (bytes(200) if cleared else b"y" * 200)


def test_what_is_no_object_is_refused(k):
    s = kmem_cache_create(k, "cache", 1000, 0, SLAB_TYPESAFE_BY_RCU)
    va = kmem_cache_alloc(k, s, GFP_KERNEL)
    with pytest.raises(SlabError, match="no object of this cache begins there"):
        kmem_cache_free(k, s, va + 4)
    with pytest.raises(SlabError, match="in none of its slabs"):
        kmem_cache_free(k, s, k.phys_to_virt(k.mm.phys_offset))
    kmem_cache_free(k, s, va)


def test_kmalloc_steps_to_the_next_class_and_ends_at_the_largest_order(k):
    assert ksize(k, kmalloc(k, 1, GFP_KERNEL)) == 64
    assert ksize(k, kmalloc(k, 65, GFP_KERNEL)) == 128
    assert ksize(k, kmalloc(k, 192, GFP_KERNEL)) == 192
    assert ksize(k, kmalloc(k, 4 << 20, GFP_KERNEL)) == 4 << 20
    assert kmalloc(k, (4 << 20) + 1, GFP_KERNEL) is None


@pytest.mark.parametrize("possible_cpus", [1, 4])
def test_random_traffic_hands_nothing_out_twice(possible_cpus):
    k = machine(possible_cpus)
    rnd = random.Random(possible_cpus)
    caches = [kmem_cache_create(k, f"cache-{i}", rnd.randrange(8, 6000), rnd.choice((0, 64, 128)),
                                rnd.choice((0, SLAB_HWCACHE_ALIGN, SLAB_TYPESAFE_BY_RCU))) for i in range(12)]
    live = {}
    for step in range(30000):
        if rnd.random() < (0.7 if step // 5000 % 2 == 0 else 0.3):
            s = rnd.choice(caches)
            va = kmem_cache_alloc(k, s, GFP_KERNEL)
            assert va is not None
            assert va not in live
            assert va % s.align == 0
            live[va] = s
        elif live:
            va = rnd.choice(list(live)) if step % 16 == 0 else next(iter(live))
            kmem_cache_free(k, live.pop(va), va)
        if step % 1000 == 0:
            assert k.mm.slab.check() == []
            k.mm.slab.cache_reap(step % 2000 == 0)
    spans = sorted((va, va + s.object_size) for va, s in live.items())
    assert all(end <= start for (_, end), (start, _) in pairwise(spans))
    for va, s in live.items():
        kmem_cache_free(k, s, va)
    for s in set(caches):
        kmem_cache_shrink(k, s)
        assert s.total_slabs == 0
    assert k.mm.slab.check() == []


def test_memory_of_kmalloc_is_its_owners_alone(k):
    rnd = random.Random(7)
    live = {}
    for step in range(3000):
        if rnd.random() < 0.6 or not live:
            size = rnd.choice((8, 100, 500, 2000, 9000))
            va = kmalloc(k, size, GFP_KERNEL)
            live[va] = bytes([step & 0xFF]) * size
            k.machine.ram.write(k.virt_to_phys(va), live[va])
        else:
            va = rnd.choice(list(live))
            assert k.machine.ram.read(k.virt_to_phys(va), len(live[va])) == live.pop(va)
            kfree(k, va)
    assert k.mm.slab.check() == []


def test_slabinfo_counts_what_is_handed_out(k):
    s = kmem_cache_create(k, "cache", 1000, 0, SLAB_TYPESAFE_BY_RCU)
    assert k.mm.slab.slabinfo(s) == ("cache                  0      0   1000    4    1 : tunables   54   27    0"
                                     " : slabdata      0      0      0")
    kmem_cache_alloc(k, s, GFP_KERNEL)
    assert k.mm.slab.slabinfo(s).split()[1:3] == ["4", "4"]


def test_a_copy_goes_its_own_way(k):
    rnd = random.Random(3)
    s = kmem_cache_create(k, "cache", 300)
    objects = [kmem_cache_alloc(k, s, GFP_KERNEL) for _ in range(300)]
    other = k.copy()
    assert other.mm.slab.snapshot() == k.mm.slab.snapshot()
    t = other.mm.slab.cache_at[s.va]
    for va in rnd.sample(objects, 200):
        kmem_cache_free(other, t, va)
    assert other.mm.slab.snapshot() != k.mm.slab.snapshot()
    assert (k.mm.slab.check(), other.mm.slab.check()) == ([], [])
    third = k.copy()
    for _ in range(50):
        assert kmem_cache_alloc(k, s, GFP_KERNEL) == kmem_cache_alloc(third, third.mm.slab.cache_at[s.va], GFP_KERNEL)
        assert kmalloc(k, 700, GFP_KERNEL) == kmalloc(third, 700, GFP_KERNEL)
    assert k.mm.slab.snapshot() == third.mm.slab.snapshot()


@pytest.mark.parametrize(("config", "size", "first"), [
    ({}, 64, "kmalloc-64"),
    ({"SMP": False}, 60, "kmalloc-64"),  # a lock of nothing
    ({"DEBUG_SPINLOCK": True}, 76, "kmalloc-128"),
    ({"DEBUG_SPINLOCK": True, "ARM_L1_CACHE_SHIFT": 5}, 76, "kmalloc-96"),
    ({"ARM_L1_CACHE_SHIFT": 7}, 64, "kmalloc-128"),
    ({"DEBUG_SPINLOCK": True, "DEBUG_LOCK_ALLOC": True}, 96, "kmalloc-128"),
])  # fmt: skip
def test_the_first_cache_of_kmalloc_is_that_of_a_node(config, size, first):
    k = machine(**config)
    assert k.mm.slab.node_bytes == size
    assert [s.name for s in k.mm.slab.slab_caches[:2]] == ["kmem_cache", first]
    assert kmem_cache_create(k, "cache", 100).node_va


def warned(k, start):
    return [record.text for record in k.log.records[start:] if record.kernel and "mm/sl" in record.text]


def test_a_constructor_and_zeroed_memory_exclude_each_other():
    for config, places in (({}, ["mm/slab.c:2580"]), ({"DEBUG_SLAB": True}, ["mm/slab.c:2580", "mm/slab.c:2992"])):
        k = machine(**config)
        s = kmem_cache_create(k, "cache", 100, 0, 0, lambda va: None)
        start = len(k.log.records)
        assert kmem_cache_alloc(k, s, GFP_KERNEL | 0x100)
        assert kmem_cache_alloc(k, s, GFP_KERNEL | 0x100)
        assert [place for place in places for text in warned(k, start) if place in text] == places


def test_flags_that_no_slab_can_have_are_fixed_up_and_told(k):
    s = kmem_cache_create(k, "cache", 100)
    start = len(k.log.records)
    va = kmem_cache_alloc(k, s, GFP_KERNEL | 0x2)  # __GFP_HIGHMEM
    assert k.page(k.virt_to_phys(va) >> 12).zone == "Normal"
    said = [record.text for record in k.log.records[start:] if "Unexpected gfp" in record.text]
    assert said == ["Unexpected gfp: 0x2 (__GFP_HIGHMEM). Fixing up to gfp: 0xcc0 (GFP_KERNEL). Fix your code!"]


def test_kfree_of_what_is_no_object_is_warned_of_once(k):
    start = len(k.log.records)
    kfree(k, k.phys_to_virt(k.mm.phys_offset))
    kfree(k, k.phys_to_virt(k.mm.phys_offset))
    assert warned(k, start) == ["WARNING: CPU: 0 PID: 0 at mm/slab.h:435 kfree"]


def test_an_object_that_no_slab_can_hold_is_refused(k):
    # calculate_slab_order(): up to 1 << KMALLOC_MAX_ORDER pages
    start = len(k.log.records)
    assert kmem_cache_create(k, "fits", 4 << 20) is not None
    assert kmem_cache_create(k, "large", (4 << 20) + 1) is None
    said = [record.text for record in k.log.records[start:] if record.kernel]
    assert said[0] == "kmem_cache_create(large) failed with error -7"


def test_a_kernel_that_checks_itself_refuses_large_objects():
    k = machine(DEBUG_VM=True)
    start = len(k.log.records)
    assert kmem_cache_create(k, "large", 1 << 26) is None
    assert kmem_cache_create(k, "two words", 100) is not None
    said = [record.text for record in k.log.records[start:] if record.kernel]
    assert said[:2] == ["kmem_cache_create(large) integrity check failed",
                        "kmem_cache_create(large) failed with error -22"]
    assert sum("mm/slab_common.c:95" in text for text in said) == 1
