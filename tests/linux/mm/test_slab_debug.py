"""SLAB with DEBUG_SLAB (mm/slab.c): where red zones and poison lie, and what is found when they do not."""

from __future__ import annotations

import pytest

import bootsim
from bootsim.inputs.configfile import load_build
from bootsim.linux.include.linux.slab import (
    kfree,
    kmalloc,
    kmem_cache_alloc,
    kmem_cache_alloc_bulk,
    kmem_cache_create,
    kmem_cache_destroy,
    kmem_cache_free,
    kmem_cache_shrink,
    ksize,
    kzalloc,
)
from bootsim.linux.mm.slab_common import (
    SLAB_HWCACHE_ALIGN,
    SLAB_POISON,
    SLAB_RED_ZONE,
    SLAB_STORE_USER,
    SLAB_TYPESAFE_BY_RCU,
)
from bootsim.views import alive

GFP_KERNEL = 0xCC0
GFP_NOWARN = 0x2000
PAGE = 4096
ALL = SLAB_RED_ZONE | SLAB_POISON | SLAB_STORE_USER
INACTIVE = (0x09F911029D74E35B).to_bytes(8, "little")
ACTIVE = (0xD84156C5635688C0).to_bytes(8, "little")


def machine(mem="64M", cmdline="", **config):
    build = load_build("3G/1G")
    config = {"SLUB": False, "SLAB": True, "SLOB": False, "SLAB_FREELIST_RANDOM": False, "DEBUG_SLAB": True, **config}
    k = bootsim.prepare("vexpress.dts", build.replace(config=build.config.replace(**config)), mem=mem, cmdline=cmdline)
    bootsim.run(k)
    return k


@pytest.fixture
def k():
    return machine()


def read(k, va, size):
    return k.read(va, size)


def write(k, va, data):
    k.machine.ram.write(va - k.build.config.PAGE_OFFSET + k.mm.phys_offset, data)


def said(k, action):
    """What the kernel said while it did something, and its answer."""
    start = len(k.log.records)
    answer = action()
    return [record.text for record in k.log.records[start:] if record.kernel], answer


TAINT = "Disabling lock debugging due to kernel taint"


def stop(place, nth=1):
    """What the kernel says where it stops, for the nth time."""
    return ["------------[ cut here ]------------", f"kernel BUG at {place}!",
            f"Internal error: Oops - BUG: 0 [#{nth}] SMP ARM"]


def poison(size):
    return b"\x6b" * (size - 1) + b"\xa5"


@pytest.mark.parametrize(("size", "align", "flags", "expected"), [
    # 100 bytes become 104 between two zones of 8, then 8 for the last user, whose word is the last.
    (100, 0, 0, (ALL, 8, 128)),
    (8, 0, 0, (ALL, 8, 32)),
    (64, 8, 0, (ALL, 8, 88)),
    # Aligned to a line of the cache: poison alone.
    (64, 0, SLAB_HWCACHE_ALIGN, (SLAB_POISON, 0, 64)),
    (100, 16, 0, (SLAB_POISON, 0, 112)),
    # Freed by RCU: may be read while it is free, so no poison.
    (100, 0, SLAB_TYPESAFE_BY_RCU, (SLAB_RED_ZONE | SLAB_STORE_USER, 8, 128)),
    # Zones would take 4096 bytes past a power of two, 4200 not.
    (4095, 0, 0, (ALL, 8, 4120)),
    (4096, 0, 0, (SLAB_POISON, 0, 4096)),
    (4200, 0, 0, (ALL, 8, 4224)),
])  # fmt: skip
def test_which_checks_and_where(k, size, align, flags, expected):
    s = kmem_cache_create(k, "cache", size, align, flags)
    assert (s.flags & ALL, s.obj_offset, s.size) == expected
    assert s.object_size == size


def test_an_object_lies_between_its_zones(k):
    s = kmem_cache_create(k, "cache", 100)
    va = kmem_cache_alloc(k, s, GFP_KERNEL)
    assert va % 8 == 0
    assert read(k, va - 8, 8) == ACTIVE == read(k, va + 104, 8)
    assert read(k, va, 100) == b"\x5a" * 99 + b"\xa5"
    assert int.from_bytes(read(k, va + 116, 4), "little") == k.build.symbols.stext
    other = kmem_cache_alloc(k, s, GFP_KERNEL)
    assert abs(other - va) == s.size
    lines, _ = said(k, lambda: kmem_cache_free(k, s, va))
    assert not lines
    assert read(k, va - 8, 8) == INACTIVE == read(k, va + 104, 8)
    assert read(k, va, 100) == poison(100)


def test_kmalloc_has_poison_alone(k):
    va = kmalloc(k, 100)
    assert ksize(k, va) == 128
    assert read(k, va, 128) == b"\x5a" * 127 + b"\xa5"
    assert kzalloc(k, 100) != va
    kfree(k, va)
    assert read(k, va, 128) == poison(128)


def test_zeroed_memory_is_zero_to_its_end(k):
    assert read(k, kzalloc(k, 200), 256) == bytes(256)


def test_no_cache_is_shared(k):
    first, second = kmem_cache_create(k, "one", 64), kmem_cache_create(k, "two", 64)
    assert first is not second


def test_writing_past_the_end_is_found_when_the_object_is_freed(k):
    s = kmem_cache_create(k, "cache", 104)
    va = kmem_cache_alloc(k, s, GFP_KERNEL)
    write(k, va + 104, b"\0")
    lines, _ = said(k, lambda: kmem_cache_free(k, s, va))
    assert lines == [
        "slab error in verify_redzone_free(): cache `cache': memory outside object was overwritten",
        TAINT,
        f"{va - 8:08x}: redzone 1:0xd84156c5635688c0, redzone 2:0xd84156c563568800",
    ]
    assert not said(k, lambda: kmem_cache_free(k, s, kmem_cache_alloc(k, s, GFP_KERNEL)))[0]


def test_four_bytes_behind_an_odd_size_are_nobodys(k):
    s = kmem_cache_create(k, "cache", 100)
    va = kmem_cache_alloc(k, s, GFP_KERNEL)
    write(k, va + 100, b"abcd")
    assert not said(k, lambda: kmem_cache_free(k, s, va))[0]


def test_writing_after_free_is_found_when_the_object_is_given_again(k):
    s = kmem_cache_create(k, "cache", 100)
    objects = kmem_cache_alloc_bulk(k, s, GFP_KERNEL, 3)
    for va in objects:
        kmem_cache_free(k, s, va)
    va = objects[2]  # goes out first
    write(k, va + 20, b"A")
    lines, again = said(k, lambda: kmem_cache_alloc(k, s, GFP_KERNEL))
    assert again == va
    stext = k.symbol(k.build.symbols.stext).name
    assert lines[:3] == [
        f"Slab corruption (Not tainted): cache start={va:08x}, len=100",
        "Redzone: 0x9f911029d74e35b/0x9f911029d74e35b",
        f"Last user: ({stext})",
    ]
    assert lines[3] == "010: 6b 6b 6b 6b 41 6b 6b 6b 6b 6b 6b 6b 6b 6b 6b 6b  kkkkAkkkkkkkkkkk"
    neighbours = [line for line in lines if " obj: start=" in line]
    assert neighbours == [f"{name} obj: start={va + by:08x}, len=100" for name, by in (("Prev", -128), ("Next", 128))]
    at = lines.index(neighbours[0])
    assert lines[at + 3].startswith("000: 6b 6b")
    assert lines[at + 4].startswith("010: 6b 6b")
    assert read(k, va, 100) == b"\x5a" * 99 + b"\xa5"


def test_a_flipped_bit_is_called_so(k):
    s = kmem_cache_create(k, "cache", 64, 8)
    va = kmem_cache_alloc(k, s, GFP_KERNEL)
    kmem_cache_free(k, s, va)
    write(k, va + 3, b"\x6a")
    lines, _ = said(k, lambda: kmem_cache_alloc(k, s, GFP_KERNEL))
    at = lines.index("Single bit error detected. Probably bad RAM.")
    assert lines[at - 1].startswith("000: 6b 6b 6b 6a 6b")
    assert lines[at + 1] == "Run a memory test tool."


def test_six_lines_are_shown_at_most(k):
    s = kmem_cache_create(k, "cache", 200)
    va = kmem_cache_alloc(k, s, GFP_KERNEL)
    kmem_cache_free(k, s, va)
    write(k, va, b"A" * 200)
    lines, _ = said(k, lambda: kmem_cache_alloc(k, s, GFP_KERNEL))
    assert sum(line[5:].startswith("41 41") for line in lines) == 6


def test_a_byte_behind_a_line_that_was_shown_is_not_looked_at(k):
    s = kmem_cache_create(k, "cache", 64, 8)
    va = kmem_cache_alloc(k, s, GFP_KERNEL)
    for wrong, shown in (((15, 16), ["000: "]), ((15, 17), ["000: ", "010: "])):
        kmem_cache_free(k, s, va)
        for offset in wrong:
            write(k, va + offset, b"A")
        lines, _ = said(k, lambda: kmem_cache_alloc(k, s, GFP_KERNEL))
        head = next(i for i, line in enumerate(lines) if " obj: " in line)
        assert [line[:5] for line in lines[3:head]] == shown


def test_freeing_twice_is_found_at_once_where_there_are_zones(k):
    s = kmem_cache_create(k, "cache", 100)
    va = kmem_cache_alloc(k, s, GFP_KERNEL)
    kmem_cache_free(k, s, va)
    lines, _ = said(k, lambda: kmem_cache_free(k, s, va))
    assert lines == [
        "slab error in verify_redzone_free(): cache `cache': double free detected",
        TAINT,
        f"{va - 8:08x}: redzone 1:0x9f911029d74e35b, redzone 2:0x9f911029d74e35b",
    ]
    assert "Tainted: G    B" in said(k, lambda: [write(k, va, b"A"), kmem_cache_alloc(k, s, GFP_KERNEL)])[0][0]


def test_freeing_twice_is_found_in_the_slab_where_there_are_none(k):
    va = kmalloc(k, 100)
    kfree(k, va)
    assert not said(k, lambda: kfree(k, va))[0]
    cache = next(s for s in k.mm.slab.slab_caches if s.name == "kmalloc-128")
    lines, _ = said(k, lambda: kmem_cache_shrink(k, cache))
    assert lines == [f"slab: double free detected in cache 'kmalloc-128', objp {va:08x}",
                     *stop("mm/slab.c:2536")]
    assert k.mm.slab.check() == []
    assert len({kmalloc(k, 100) for _ in range(100)}) == 100


def test_what_is_not_the_caches_stops_the_kernel(k):
    s, other = kmem_cache_create(k, "cache", 100), kmem_cache_create(k, "other", 100)
    va, strange = kmem_cache_alloc(k, s, GFP_KERNEL), kmem_cache_alloc(k, other, GFP_KERNEL)
    assert said(k, lambda: kmem_cache_free(k, s, strange))[0] == stop("mm/slab.c:2711")
    lines, _ = said(k, lambda: kmem_cache_free(k, s, va + 8))
    assert lines[0].endswith("memory outside object was overwritten")
    assert lines[-3:] == stop("mm/slab.c:2728", 2)
    lines, _ = said(k, lambda: kfree(k, 0xF8000000))
    assert lines == ["kfree_debugcheck: out of range ptr f8000000h", *stop("mm/slab.c:2679", 3)]


def test_a_constructor_runs_each_time_a_poisoned_object_is_given(k):
    made = []

    def ctor(va):
        made.append(va)
        write(k, va, b"constructed")

    s = kmem_cache_create(k, "cache", 100, 0, 0, ctor)
    va = kmem_cache_alloc(k, s, GFP_KERNEL)
    kmem_cache_free(k, s, va)
    assert kmem_cache_alloc(k, s, GFP_KERNEL) == va
    assert made == [va, va]
    assert read(k, va, 12) == b"constructed\x5a"


def test_a_constructor_runs_once_for_objects_freed_by_rcu(k):
    made = []
    s = kmem_cache_create(k, "cache", 100, 0, SLAB_TYPESAFE_BY_RCU, made.append)
    va = kmem_cache_alloc(k, s, GFP_KERNEL)
    assert len(made) == s.num == len(set(made))
    assert va in made
    kmem_cache_free(k, s, va)
    kmem_cache_alloc(k, s, GFP_KERNEL)
    assert len(made) == s.num


def test_a_constructor_that_writes_past_the_end_is_told(k):
    s = kmem_cache_create(k, "cache", 104, 0, SLAB_TYPESAFE_BY_RCU, lambda va: write(k, va + 104, b"\0"))
    lines, _ = said(k, lambda: kmem_cache_alloc(k, s, GFP_KERNEL))
    what = "slab error in cache_init_objs_debug(): cache `cache': constructor overwrote the end of an object"
    assert lines.count(what) == s.num


def test_a_slab_that_goes_is_looked_through(k):
    s = kmem_cache_create(k, "cache", 104)
    va = kmem_cache_alloc(k, s, GFP_KERNEL)
    kmem_cache_free(k, s, va)
    write(k, va - 1, b"\0")
    lines, left = said(k, lambda: kmem_cache_shrink(k, s))
    assert lines == ["slab error in slab_destroy_debugcheck(): cache `cache': start of a freed object was overwritten",
                     TAINT]
    assert left == 0


def test_the_object_that_held_the_indices_is_poisoned_again(k):
    """Full slabs and empty ones come and go, and nothing is found."""
    s = kmem_cache_create(k, "cache", 100)
    assert s.flags >> 30 & 1  # the last free object holds them
    lines, objects = said(k, lambda: [kmem_cache_alloc(k, s, GFP_KERNEL) for _ in range(5 * s.num)])
    for va in objects[::2] + objects[1::2]:
        lines += said(k, lambda va=va: kmem_cache_free(k, s, va))[0]
    lines += said(k, lambda: kmem_cache_shrink(k, s))[0]
    assert lines == []
    assert k.mm.slab.check() == []
    kmem_cache_destroy(k, s)
    assert said(k, lambda: None)[0] == []


def test_arrays_are_short_and_slabinfo_counts(k):
    s = kmem_cache_create(k, "cache", 100)
    assert (s.limit, s.batchcount) == (32, 16)
    taken = [kmem_cache_alloc(k, s, GFP_KERNEL) for _ in range(20)]
    for va in taken:
        kmem_cache_free(k, s, va)
    text = str(alive.text(k, "slabinfo")[0]).splitlines()
    assert text[0] == "slabinfo - version: 2.1 (statistics)"
    assert text[1].endswith(" : globalstat <listallocs> <maxobjs> <grown> <reaped> <error> <maxfreeable> <nodeallocs> "
                            "<remotefrees> <alienoverflow> : cpustat <allochit> <allocmiss> <freehit> <freemiss>")
    line = next(line for line in text if line.startswith("cache "))
    # Two batches of 16 of one slab; the array holds 32, so that no free missed it.
    assert line.endswith(" : globalstat      32     32     1    0    0    0    0    0    0"
                         " : cpustat     18      2     20      0")


def test_a_slab_that_cannot_be_made_is_told(k):
    s = kmem_cache_create(k, "cache", 3000)
    taken = []
    while (va := kmalloc(k, 1 << 20, GFP_KERNEL | GFP_NOWARN)) is not None:
        taken.append(va)
    while kmem_cache_alloc(k, s, GFP_KERNEL | GFP_NOWARN):
        pass
    lines, va = said(k, lambda: kmem_cache_alloc(k, s, GFP_KERNEL))
    assert va is None
    at = next(i for i, line in enumerate(lines) if line.startswith("SLAB: Unable"))
    assert lines[at].startswith("SLAB: Unable to allocate memory on node 0, gfp=0x")
    assert "(GFP_KERNEL|__GFP_COMP)" in lines[at]
    assert lines[at + 1] == f"  cache: cache, object size: {s.size}, order: {s.gfporder}"
    assert lines[at + 2].startswith(f"  node 0: slabs: {s.total_slabs}/{s.total_slabs}, objs: ")


def test_with_debug_pagealloc_large_objects_have_pages_of_their_own():
    k = machine(DEBUG_PAGEALLOC=True, PAGE_POISONING=True, cmdline="debug_pagealloc=on")
    s = kmem_cache_create(k, "cache", 1000)
    assert s.size == PAGE
    assert s.flags >> 31
    assert not s.flags & (SLAB_RED_ZONE | SLAB_STORE_USER)
    va = kmem_cache_alloc(k, s, GFP_KERNEL)
    assert va % PAGE == PAGE - 1024 + 8  # 1000, two zones, the user: 1024 bytes at the end of the page
    assert kmem_cache_create(k, "small", 100).size == 128


def test_a_copy_has_the_same_checks(k):
    s = kmem_cache_create(k, "cache", 100)
    va = kmem_cache_alloc(k, s, GFP_KERNEL)
    other = k.copy()
    same = next(c for c in other.mm.slab.slab_caches if c.name == "cache")
    kmem_cache_free(other, same, va)
    assert said(other, lambda: kmem_cache_free(other, same, va))[0]
    assert not said(k, lambda: kmem_cache_free(k, s, va))[0]
