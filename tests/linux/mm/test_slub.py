"""SLUB (mm/slub.c): how caches are laid out, which object comes next, what goes back; nothing is given twice."""

from __future__ import annotations

import random
from itertools import pairwise

import pytest

import bootsim
from bootsim.inputs.configfile import load_build
from bootsim.linux.include.linux.slab import (
    kcalloc,
    kfree,
    kmalloc,
    kmalloc_array,
    kmem_cache_alloc,
    kmem_cache_alloc_bulk,
    kmem_cache_create,
    kmem_cache_create_usercopy,
    kmem_cache_destroy,
    kmem_cache_free,
    kmem_cache_free_bulk,
    kmem_cache_shrink,
    kmem_cache_zalloc,
    krealloc,
    ksize,
    kzalloc,
)
from bootsim.linux.mm.slab_common import (
    SLAB_HWCACHE_ALIGN,
    SLAB_RECLAIM_ACCOUNT,
    SLAB_TYPESAFE_BY_RCU,
    SlabError,
)

GFP_KERNEL = 0xCC0
GFP_DMA = 1
GFP_ZERO = 0x100
GFP_RECLAIMABLE = 0x10


def machine(cmdline="", **config):
    build = load_build("3G/1G")
    k = bootsim.prepare("vexpress-ca15", build.replace(config=build.config.replace(**{"SLUB_DEBUG": True, **config})),
                        cmdline=cmdline)
    bootsim.run(k)
    return k


@pytest.fixture
def k():
    return machine()


def free_pages(k):
    listed = sum(len(pfns) << order for zone in k.zones for order, area in enumerate(zone["free_area"])
                 for pfns in area["lists"])
    return listed + sum(zone["pcp"][0]["count"] for zone in k.zones)


def row(k, s):
    return k.mm.slab.cache_info(s)


def test_the_first_objects_come_in_order_and_the_last_freed_comes_first(k):
    s = kmem_cache_create(k, "x", 100)
    objects = [kmem_cache_alloc(k, s, GFP_KERNEL) for _ in range(5)]
    assert [b - a for a, b in pairwise(objects)] == [104] * 4
    assert objects[0] & 0xFFF == 0
    kmem_cache_free(k, s, objects[1])
    kmem_cache_free(k, s, objects[3])
    assert [kmem_cache_alloc(k, s, GFP_KERNEL) for _ in range(2)] == [objects[3], objects[1]]


def test_free_pointers_lie_in_the_middle_of_free_objects(k):
    s = kmem_cache_create(k, "x", 128, 8)
    a, b = (kmem_cache_alloc(k, s, GFP_KERNEL) for _ in range(2))
    kmem_cache_free(k, s, b)
    kmem_cache_free(k, s, a)
    assert k.read(a + 64, 4) == b.to_bytes(4, "little")


@pytest.mark.parametrize(("flags", "ctor"), [(SLAB_TYPESAFE_BY_RCU, None), (0, lambda va: None)])
def test_an_object_that_must_stay_has_its_free_pointer_behind_it(k, flags, ctor):
    s = kmem_cache_create(k, "x", 128, 8, flags, ctor)
    assert (s.offset, s.size) == (128, 136)


def test_a_constructor_sees_every_object_once(k):
    seen = []
    s = kmem_cache_create(k, "x", 1000, 0, 0, seen.append)
    first = kmem_cache_alloc(k, s, GFP_KERNEL)
    assert seen[0] == first
    assert len(set(seen)) == len(seen) == s.oo & 0xFFFF
    kmem_cache_free(k, s, first)
    kmem_cache_alloc(k, s, GFP_KERNEL)
    assert len(seen) == s.oo & 0xFFFF


@pytest.mark.parametrize(("size", "cache"), [(1, 64), (64, 64), (65, 128), (129, 192), (193, 256), (4096, 4096),
                                             (8192, 8192)])  # fmt: skip
def test_kmalloc_takes_the_next_size(k, size, cache):
    va = kmalloc(k, size, GFP_KERNEL)
    assert ksize(k, va) == cache
    assert va % 64 == 0
    kfree(k, va)


def test_a_large_kmalloc_is_pages(k):
    before = free_pages(k)
    va = kmalloc(k, 8193, GFP_KERNEL)
    assert va & 0x3FFF == 0
    assert ksize(k, va) == 0x4000
    assert free_pages(k) == before - 4
    kfree(k, va)
    assert free_pages(k) == before
    assert kmalloc(k, 0, GFP_KERNEL) == 16
    assert kmalloc(k, (4 << 20) + 1, GFP_KERNEL) is None
    assert kmalloc_array(k, 1 << 16, 1 << 16, GFP_KERNEL) is None


def test_reclaimable_objects_have_caches_of_their_own(k):
    a, b = kmalloc(k, 100, GFP_KERNEL), kmalloc(k, 100, GFP_KERNEL | GFP_RECLAIMABLE)
    slab = k.mm.slab
    assert "cache kmalloc-128," in slab.owner_of(a)
    assert "cache kmalloc-rcl-128," in slab.owner_of(b)


def test_krealloc_keeps_the_content_and_moves_only_when_it_must(k):
    va = kzalloc(k, 60, GFP_KERNEL)
    k.machine.ram.write(k.virt_to_phys(va), b"0123456789")
    assert krealloc(k, va, 64, GFP_KERNEL) == va
    moved = krealloc(k, va, 65, GFP_KERNEL)
    assert moved != va
    assert k.read(moved, 10) == b"0123456789"
    assert krealloc(k, moved, 0, GFP_KERNEL) == 16
    zeros = kcalloc(k, 10, 10, GFP_KERNEL)
    assert k.read(zeros, 100) == bytes(100)


def test_caches_of_like_sizes_are_one(k):
    a = kmem_cache_create(k, "a", 100)
    assert kmem_cache_create(k, "b", 104) is a
    assert a.refcount == 2
    assert kmem_cache_create(k, "c", 100, 0, SLAB_RECLAIM_ACCOUNT) is not a
    assert kmem_cache_create(k, "d", 100, 0, 0, lambda va: None) is not a
    assert kmem_cache_create(k, "e", 90) is not a
    assert kmem_cache_create_usercopy(k, "f", 100, 0, 0, 0, 50) is not a
    kmem_cache_destroy(k, a)
    assert a.refcount == 1


def test_nomerge_keeps_them_apart():
    for k in (machine(SLAB_MERGE_DEFAULT=False), machine("slub_nomerge"), machine("slab_nomerge")):
        assert kmem_cache_create(k, "a", 100) is not kmem_cache_create(k, "b", 100)


def test_an_alignment_to_cache_lines_shrinks_with_the_object(k):
    assert kmem_cache_create(k, "a", 20, 0, SLAB_HWCACHE_ALIGN).size == 32
    assert kmem_cache_create(k, "b", 200, 0, SLAB_HWCACHE_ALIGN).size == 256


def test_a_destroyed_cache_gives_everything_back(k):
    before = kmalloc(k, 1, GFP_KERNEL)
    pages = free_pages(k)
    s = kmem_cache_create(k, "x", 700, 0, 0, lambda va: None)
    objects = [kmem_cache_alloc(k, s, GFP_KERNEL) for _ in range(100)]
    kmem_cache_free_bulk(k, s, objects)
    kmem_cache_destroy(k, s)
    kmem_cache_shrink(k, k.mm.slab.kmem_cache)
    kmem_cache_shrink(k, k.mm.slab.kmem_cache_node)
    kfree(k, before)
    assert pages - free_pages(k) <= 1
    with pytest.raises(SlabError, match="destroyed"):
        kmem_cache_alloc(k, s, GFP_KERNEL)


def test_a_cache_in_use_stays(k):
    s = kmem_cache_create(k, "x", 700, 0, 0, lambda va: None)
    va = kmem_cache_alloc(k, s, GFP_KERNEL)
    kmem_cache_destroy(k, s)
    assert k.log.records[-1].text == "kmem_cache_destroy x: Slab cache still has objects"
    assert s in k.mm.slab.slab_caches
    kmem_cache_free(k, s, va)
    assert k.mm.slab.check() == []


def test_shrinking_sorts_slabs_by_what_is_free_and_drops_the_empty(k):
    s = kmem_cache_create(k, "x", 1024, 0, 0, lambda va: None)
    per_slab = s.oo & 0xFFFF
    objects = [kmem_cache_alloc(k, s, GFP_KERNEL) for _ in range(4 * per_slab)]
    for slab, freed in enumerate((3, per_slab, 1)):
        kmem_cache_free_bulk(k, s, objects[slab * per_slab:slab * per_slab + freed])
    assert kmem_cache_shrink(k, s) == 1
    free = [slab["objects"] - slab["inuse"] for slab in row(k, s)["node"]["partial"]]
    assert free == [1, 3]
    assert s.nr_slabs == 3


def test_the_fifth_slab_that_would_wait_goes_back_as_it_becomes_empty():
    # MIN_PARTIAL, the slab itself among them; the processor's own slab is on no list
    k = machine(SLUB_CPU_PARTIAL=False)
    s = kmem_cache_create(k, "x", 1024, 0, 0, lambda va: None)
    per_slab = s.oo & 0xFFFF
    objects = [kmem_cache_alloc(k, s, GFP_KERNEL) for _ in range(10 * per_slab)]
    for va in objects:
        kmem_cache_free(k, s, va)
    waiting = row(k, s)["node"]["partial"]
    assert [slab["inuse"] for slab in waiting] == [0] * 4
    assert s.nr_slabs == 5


def test_init_on_free_clears_the_room_behind_the_object_too():
    k = machine("init_on_free=1")
    s = kmem_cache_create(k, "x", 20, 8)
    va = kmem_cache_alloc(k, s, GFP_KERNEL)
    k.machine.ram.write(k.virt_to_phys(va), b"\xff" * 24)
    kmem_cache_free(k, s, va)
    left = k.read(va, 24)
    assert left[:s.offset] + left[s.offset + 4:] == bytes(20)  # the free pointer lies between


def test_what_is_no_object_of_the_cache_is_refused(k):
    s = kmem_cache_create(k, "x", 96)
    va = kmem_cache_alloc(k, s, GFP_KERNEL)
    for wrong in (va + 4, 0x10, 0xFFFFFFF0, kmalloc(k, 100, GFP_KERNEL)):
        with pytest.raises(SlabError):
            kmem_cache_free(k, s, wrong)
    assert k.mm.slab.check() == []


def test_without_memory_there_is_no_object_and_the_kernel_says_so():
    k = machine("mem=20M")
    s = kmem_cache_create(k, "x", 4096)
    while kmem_cache_alloc(k, s, GFP_KERNEL):
        pass
    texts = [record.text for record in k.log.records]
    assert any(text.startswith("SLUB: Unable to allocate memory on node -1") for text in texts)
    assert kmem_cache_alloc_bulk(k, s, GFP_KERNEL, 3) == []
    assert k.mm.slab.check() == []


def test_a_copy_goes_its_own_way(k):
    s = kmem_cache_create(k, "x", 96)
    kept = kmem_cache_alloc(k, s, GFP_KERNEL)
    other = k.copy()
    twin = other.mm.slab.cache_at[s.va]
    assert kmem_cache_alloc(k, s, GFP_KERNEL) == kmem_cache_alloc(other, twin, GFP_KERNEL)
    kmem_cache_free(other, twin, kept)
    assert kmem_cache_alloc(other, twin, GFP_KERNEL) == kept
    assert kmem_cache_alloc(k, s, GFP_KERNEL) != kept
    assert k.mm.slab.check() == other.mm.slab.check() == []


@pytest.mark.parametrize("config", [{}, {"SLUB_CPU_PARTIAL": False}, {"SLUB_DEBUG": False, "SLUB_CPU_PARTIAL": False},
                                    {"SLAB_FREELIST_HARDENED": True}])  # fmt: skip
@pytest.mark.parametrize("seed", range(3))
def test_random_traffic_gives_nothing_twice(config, seed):
    k = machine(**config)
    rng = random.Random(seed)
    caches = [kmem_cache_create(k, f"c{size}", size, 0, flags)
              for size, flags in ((24, 0), (200, SLAB_HWCACHE_ALIGN), (1500, 0), (5000, SLAB_RECLAIM_ACCOUNT))]
    pages, held = free_pages(k), {}
    for step in range(4000):
        what = rng.random()
        s = rng.choice([None, *caches])
        if what < 0.5:
            size = rng.randrange(1, 9000) if s is None else s.object_size
            va = kmalloc(k, size, GFP_KERNEL) if s is None else kmem_cache_alloc(k, s, GFP_KERNEL)
            held[va] = (s, size)
        elif what < 0.55 and s is not None:
            some = kmem_cache_alloc_bulk(k, s, GFP_KERNEL, rng.randrange(1, 40))
            held.update((va, (s, s.object_size)) for va in some)
        elif what < 0.6 and s is not None:
            kmem_cache_shrink(k, s)
        elif what < 0.65 and s is not None:
            some = [va for va, (owner, _) in held.items() if owner is s][:rng.randrange(1, 40)]
            if some:
                kmem_cache_free_bulk(k, s, some)
            for va in some:
                del held[va]
        elif held:
            va = rng.choice(list(held))
            s, _ = held.pop(va)
            kfree(k, va) if s is None else kmem_cache_free(k, s, va)
        if step % 500 == 0:
            assert k.mm.slab.check() == []
    ends = sorted((va, va + size) for va, (_, size) in held.items())
    assert all(a[1] <= b[0] for a, b in pairwise(ends))
    assert k.mm.slab.check() == []
    for va, (s, _) in held.items():
        kfree(k, va) if s is None else kmem_cache_free(k, s, va)
    for s in k.mm.slab.slab_caches:
        kmem_cache_shrink(k, s)
    assert k.mm.slab.check() == []
    assert pages - free_pages(k) < 60  # slabs of kmalloc's caches and of the descriptors


def test_a_zeroed_object_is_zero_though_others_used_it(k):
    s = kmem_cache_create(k, "x", 96)
    va = kmem_cache_alloc(k, s, GFP_KERNEL)
    k.machine.ram.write(k.virt_to_phys(va), b"\xff" * 96)
    kmem_cache_free(k, s, va)
    assert kmem_cache_zalloc(k, s, GFP_KERNEL) == va
    assert k.read(va, 96) == bytes(96)


@pytest.mark.parametrize(("option", "said"), [("SLAB_FREELIST_RANDOM", "hand out objects is random"),
                                              ("SLAB_FREELIST_HARDENED", "mixes a random number")])
def test_what_nobody_can_know_of_a_build_is_said_when_its_allocator_starts(option, said):
    build = load_build("3G/1G")
    for on in (False, True):
        k = bootsim.prepare("vexpress.dts", build.replace(config=build.config.replace(**{option: on})))
        bootsim.run(k)
        assert any(said in record.text for record in k.log.records) is on


def test_a_free_object_that_lies_nowhere_is_not_cleared(k):
    s = kmem_cache_create(k, "large", 8192)
    first, second = (kmem_cache_alloc(k, s, GFP_KERNEL) for _ in range(2))
    kmem_cache_free(k, s, second)
    kmem_cache_free(k, s, first)
    end_of_memory = k.phys_to_virt(0xFFFFF800) & 0xFFFFFFFF
    k.machine.ram.write32(k.virt_to_phys(first) + s.offset, end_of_memory)
    assert kmem_cache_zalloc(k, s, GFP_KERNEL) == first
    with pytest.raises(SlabError, match="where no RAM is"):
        kmem_cache_zalloc(k, s, GFP_KERNEL)
    assert kmem_cache_zalloc(k, s, GFP_KERNEL)


@pytest.mark.parametrize(("cmdline", "ctor", "gfp_mask", "cleared"), [
    ("", None, GFP_KERNEL, False), ("", None, GFP_KERNEL | GFP_ZERO, True),
    ("", lambda va: None, GFP_KERNEL | GFP_ZERO, True),
    ("init_on_alloc=1", None, GFP_KERNEL, True), ("init_on_alloc=1", None, GFP_KERNEL | GFP_ZERO, True),
    ("init_on_alloc=1", lambda va: None, GFP_KERNEL | GFP_ZERO, False),
])  # fmt: skip
def test_who_is_given_a_cleared_object(cmdline, ctor, gfp_mask, cleared):
    # slab_want_init_on_alloc(): the option knows of constructors, __GFP_ZERO alone does not
    k = machine(cmdline)
    s = kmem_cache_create(k, "x", 100, ctor=ctor)
    va = kmem_cache_alloc(k, s, GFP_KERNEL)
    k.machine.ram.write(k.virt_to_phys(va), b"y" * 100)
    kmem_cache_free(k, s, va)
    assert kmem_cache_alloc(k, s, gfp_mask) == va
    assert k.read(va, 8) == (bytes(8) if cleared else b"y" * 8)
    assert k.read(va + 92, 8) == k.read(va, 8)


@pytest.mark.parametrize(("preempt", "step"), [(False, 1), (True, 8)])
def test_every_change_of_a_processors_list_raises_its_number(preempt, step):
    # next_tid(): by TID_STEP, which is 1, or with preemption the processors of the build, rounded up to a power of 2
    k = machine(PREEMPT=preempt, NR_CPUS=8)
    s = kmem_cache_create(k, "x", 100)
    changes = []

    def changed(action):
        before = k.mm.slab.cache_info(s)["cpu"][0]["tid"]
        answer = action()
        changes.append((k.mm.slab.cache_info(s)["cpu"][0]["tid"] - before) // step)
        return answer

    per_slab = 4096 // s.size
    first, *_, last = [changed(lambda: kmem_cache_alloc(k, s, GFP_KERNEL)) for _ in range(per_slab + 1)]
    assert changes == [1] * per_slab + [2]  # get_freelist() found nothing, and there is a new list
    changes.clear()
    changed(lambda: kmem_cache_free(k, s, last))
    changed(lambda: kmem_cache_free(k, s, first))  # of a slab that is nobody's own
    changed(lambda: kmem_cache_shrink(k, s))  # deactivate_slab(); and the first slab is the node's again
    changed(lambda: kmem_cache_alloc_bulk(k, s, GFP_KERNEL, 1))  # before it looks for a slab, with it, at the end
    assert changes == [1, 0, 1, 3]


def test_a_full_slab_among_the_partial_ones_stops_the_kernel(k):
    s = kmem_cache_create(k, "x", 200)
    objects = [kmem_cache_alloc(k, s, GFP_KERNEL) for _ in range(200)]
    for va in objects[:5]:
        kmem_cache_free(k, s, va)
    kmem_cache_shrink(k, s)
    page = k.page(k.virt_to_phys(objects[0]) >> 12)
    inuse = page.private
    page.private = inuse & ~0xFFFF | inuse >> 16
    assert kmem_cache_shrink(k, s) == 1
    assert "kernel BUG at mm/slub.c:4173!" in [record.text for record in k.log.records]
    page.private = inuse
    for va in objects[5:]:
        kmem_cache_free(k, s, va)
    assert kmem_cache_shrink(k, s) == 0
