"""SLOB (mm/slob.c): blocks out of pages, three lists, sizes written before objects."""

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
    ksize,
)
from bootsim.linux.init.main import kmem_cache_init
from bootsim.linux.mm.slab_common import SLAB_TYPESAFE_BY_RCU, SlabError

GFP_KERNEL = 0xCC0


@pytest.fixture
def k():
    build = load_build("3G/1G")
    k = bootsim.prepare("vexpress-ca15", build.replace(config=build.config.replace(SLUB=False, SLAB=False, SLOB=True)))
    bootsim.run(k, until="mem_init")
    kmem_cache_init(k)
    return k


def words(k, va, count):
    data = k.machine.ram.read(k.virt_to_phys(va), 2 * count)
    return [int.from_bytes(data[i:i + 2], "little", signed=True) for i in range(0, 2 * count, 2)]


def lists(k):
    return k.mm.slab.snapshot()["lists"]


def test_a_block_is_taken_from_the_start_of_the_first_page_with_room(k):
    s = kmem_cache_create(k, "cache", 100)
    before = lists(k)["small"]
    first, second = (kmem_cache_alloc(k, s, GFP_KERNEL) for _ in range(2))
    # 100 bytes aligned to 8: the next object begins at 104, and 4 bytes stay free between them
    assert second - first == 104
    blocks = lists(k)["small"][0]["blocks"]
    assert [first % 4096 + 100, 4] in blocks
    assert before != lists(k)["small"]


def test_a_free_block_tells_its_size_and_the_next_one_in_its_own_bytes(k):
    s = kmem_cache_create(k, "cache", 96, 32)
    objects = [kmem_cache_alloc(k, s, GFP_KERNEL) for _ in range(4)]
    kmem_cache_free(k, s, objects[1])
    after = next(at for at, _ in lists(k)["small"][0]["blocks"] if at > objects[1] % 4096)
    assert words(k, objects[1], 2) == [48, after // 2]
    page = f"in SLOB page {k.virt_to_phys(objects[1]) >> 12:#x}: "
    image = k.phys_to_virt(k.mm.phys_offset)  # below the kernel; no page of SLOB
    assert [k.mm.slab.owner_of(va) for va in (objects[1], objects[1] + 95, objects[2], image)] == [
        page + "in a free block", page + "in a free block", page + "handed out", ""]


def test_a_free_unit_alone_tells_only_the_next_block(k):
    s = kmem_cache_create(k, "cache", 2046)
    first, second = (kmem_cache_alloc(k, s, GFP_KERNEL) for _ in range(2))
    assert second - first == 2048
    assert lists(k)["large"][0]["blocks"] == [[2046, 2], [4094, 2]]
    assert words(k, first + 2046, 1) == [-4094 // 2]
    assert words(k, second + 2046, 1) == [-2048]  # the start of the next page: no block follows


@pytest.mark.parametrize(("size", "name"), [(255, "small"), (256, "medium"), (1023, "medium"), (1024, "large")])
def test_the_size_wanted_first_chooses_the_list_of_a_page(k, size, name):
    s = kmem_cache_create(k, "cache", size)
    pages = {key: len(rows) for key, rows in lists(k).items()}
    for _ in range(4096 // size + 1):
        kmem_cache_alloc(k, s, GFP_KERNEL)
    assert [key for key, rows in lists(k).items() if len(rows) > pages[key]] == [name]


def test_kmalloc_keeps_its_size_64_bytes_before_the_object(k):
    va = kmalloc(k, 77, GFP_KERNEL)
    assert words(k, va - 64, 2) == [77, 0]
    assert va % 64 == 0
    assert ksize(k, va) == 78
    assert kmalloc(k, 0, GFP_KERNEL) == 16


@pytest.mark.parametrize("size", [64, 128, 256, 512, 1024, 2048])
def test_a_power_of_two_is_aligned_to_itself(k, size):
    kmalloc(k, 20, GFP_KERNEL)
    assert kmalloc(k, size, GFP_KERNEL) % size == 0


def test_from_a_page_less_64_bytes_on_kmalloc_takes_pages(k):
    below, at = kmalloc(k, 4096 - 65, GFP_KERNEL), kmalloc(k, 4096 - 64, GFP_KERNEL)
    assert below % 4096 == 64
    assert at % 4096 == 0
    assert ksize(k, at) == 4096
    assert ksize(k, kmalloc(k, 4097, GFP_KERNEL)) == 8192
    kfree(k, at)


@pytest.mark.parametrize("size", [100, 100_000])
def test_objects_freed_by_rcu_have_a_footer(k, size):
    s = kmem_cache_create(k, "cache", size, 0, SLAB_TYPESAFE_BY_RCU)
    assert (s.object_size, s.size) == (size, size + 12)
    va = kmem_cache_alloc(k, s, GFP_KERNEL)
    kmem_cache_free(k, s, va)
    assert k.read(va + size + 8, 4) == (size + 12).to_bytes(4, "little")  # struct slob_rcu: rcu_head, size


def test_a_page_goes_back_with_its_last_block(k):
    s = kmem_cache_create(k, "cache", 1500)
    before = sum(len(rows) for rows in lists(k).values())
    objects = [kmem_cache_alloc(k, s, GFP_KERNEL) for _ in range(10)]
    assert sum(len(rows) for rows in lists(k).values()) == before + 5
    for va in objects:
        kmem_cache_free(k, s, va)
    assert sum(len(rows) for rows in lists(k).values()) == before


def test_nothing_is_shared_between_caches(k):
    a, b = kmem_cache_create(k, "a", 100), kmem_cache_create(k, "b", 100)
    assert a is not b
    assert a.va != b.va
    kmem_cache_destroy(k, a)
    kmem_cache_destroy(k, b)


def drain(k, s):
    for _ in range(60):
        kmem_cache_alloc(k, s, GFP_KERNEL)


def test_an_overwritten_free_block_is_told(k):
    s = kmem_cache_create(k, "cache", 96, 32)
    va = kmem_cache_alloc(k, s, GFP_KERNEL)
    kmem_cache_alloc(k, s, GFP_KERNEL)
    kmem_cache_free(k, s, va)
    page = lists(k)["small"][0]
    block = (page["pfn"] << 12) + next(at for at, size in page["blocks"] if at <= va % 4096 < at + size)
    k.machine.ram.write(block, (1).to_bytes(2, "little") + (block % 4096 // 2).to_bytes(2, "little"))
    with pytest.raises(SlabError, match="wrote into freed memory"):
        drain(k, s)
    with pytest.raises(SlabError, match="no page of SLOB"):
        kmem_cache_free(k, s, k.phys_to_virt(k.mm.phys_offset))


def test_random_traffic_hands_nothing_out_twice_and_loses_nothing(k):
    rnd = random.Random(5)
    caches = [kmem_cache_create(k, f"cache-{i}", rnd.randrange(1, 5000), rnd.choice((0, 64, 256))) for i in range(10)]
    start = {name: [p["units"] for p in rows] for name, rows in lists(k).items()}
    live = {}
    for step in range(20000):
        if rnd.random() < (0.7 if step // 3000 % 2 == 0 else 0.3):
            s = rnd.choice([*caches, None])
            size = rnd.randrange(1, 6000)
            va = kmalloc(k, size, GFP_KERNEL) if s is None else kmem_cache_alloc(k, s, GFP_KERNEL)
            assert va is not None
            assert va not in live
            live[va] = (s, size if s is None else s.size)
        elif live:
            va = rnd.choice(list(live)) if step % 16 == 0 else next(iter(live))
            s, _ = live.pop(va)
            if s is None:
                kfree(k, va)
            else:
                kmem_cache_free(k, s, va)
        if step % 1000 == 0:
            assert k.mm.slab.check() == []
    spans = sorted((va, va + size) for va, (_, size) in live.items())
    assert all(end <= begin for (_, end), (begin, _) in pairwise(spans))
    for va, (s, _) in live.items():
        if s is None:
            kfree(k, va)
        else:
            kmem_cache_free(k, s, va)
    assert k.mm.slab.check() == []
    assert sum(map(sum, (u for u in ([p["units"] for p in rows] for rows in lists(k).values())))) == sum(
        map(sum, start.values()))


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


def test_a_constructor_and_zeroed_memory_exclude_each_other(k):
    s = kmem_cache_create(k, "cache", 100, 0, 0, lambda va: None)
    start = len(k.log.records)
    assert kmem_cache_alloc(k, s, GFP_KERNEL | 0x100)
    assert kmem_cache_alloc(k, s, GFP_KERNEL | 0x100)
    assert sum("mm/slob.c:616" in record.text for record in k.log.records[start:]) == 1


def test_the_next_search_begins_at_the_page_that_gave_the_last_block(k):
    one, two = kmem_cache_create(k, "one", 128), kmem_cache_create(k, "two", 248)
    objects = [kmem_cache_alloc(k, one, GFP_KERNEL) for _ in range(200)]
    while objects[-1] % 4096 != 4096 - 128:  # until the last page is full, too
        objects.append(kmem_cache_alloc(k, one, GFP_KERNEL))
    full = sorted({va & -4096 for va in objects[50:150]})[:3]
    held = [[va for va in objects if va & -4096 == page] for page in full]
    for of_page in held:  # a page that was full comes first in its list: the first of the three is now the last
        kmem_cache_free(k, one, of_page[0])
    for va in held[0][1:4]:
        kmem_cache_free(k, one, va)
    assert kmem_cache_alloc(k, two, GFP_KERNEL) & -4096 == full[0]  # the others have holes of 128 bytes
    assert kmem_cache_alloc(k, one, GFP_KERNEL) & -4096 == full[0]
