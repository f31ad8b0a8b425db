"""slub_debug (mm/slub.c): each mistake of a driver is reported in the kernel's words, and the machine stays usable."""

from __future__ import annotations

import re

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
)
from bootsim.linux.mm import page_alloc as pa
from bootsim.linux.mm.slab_common import SLAB_CONSISTENCY_CHECKS, SLAB_POISON, SLAB_RED_ZONE, SLAB_STORE_USER
from bootsim.linux.mm.slub import slab_flags

GFP_KERNEL = 0xCC0
ALL = SLAB_CONSISTENCY_CHECKS | SLAB_RED_ZONE | SLAB_POISON | SLAB_STORE_USER


def machine(cmdline="slub_debug", **config):
    build = load_build("3G/1G")
    k = bootsim.prepare("vexpress-ca15", build.replace(config=build.config.replace(**{"SLUB_DEBUG": True, **config})),
                        cmdline=cmdline)
    bootsim.run(k)
    kfree(k, kmalloc(k, 1, GFP_KERNEL))
    return k


@pytest.fixture
def k():
    return machine()


def told(k, since):
    return [record.text for record in k.log.records[since:]]


def poke(k, va, data):
    k.machine.ram.write(k.virt_to_phys(va), data)


def test_objects_lie_between_red_zones_with_poison(k):
    s = kmem_cache_create(k, "x", 20)
    assert s.flags & ALL == ALL
    a = kmem_cache_alloc(k, s, GFP_KERNEL)
    assert (s.inuse, s.offset, s.red_left_pad) == (24, 24, 8)
    assert k.read(a - 8, 8) == b"\xcc" * 8
    assert k.read(a, 20) == b"\x6b" * 19 + b"\xa5"
    assert k.read(a + 20, 4) == b"\xcc" * 4
    kmem_cache_free(k, s, a)
    assert k.read(a - 8, 8) == b"\xbb" * 8


def test_writing_past_the_end_is_found_when_the_object_is_freed(k):
    s = kmem_cache_create(k, "x", 20)
    a = kmem_cache_alloc(k, s, GFP_KERNEL)
    poke(k, a + 20, b"\0")
    since = len(k.log.records)
    kmem_cache_free(k, s, a)
    lines = told(k, since)
    assert lines[:5] == ["=" * 77, "BUG x (Not tainted): Right Redzone overwritten", "-" * 77, "",
                         "Disabling lock debugging due to kernel taint"]
    lines.pop(4)
    offset = a & 0xFFF
    assert lines[4] == f"INFO: 0x{a + 20:08x}-0x{a + 20:08x} @offset={offset + 20}. First byte 0x0 instead of 0xcc"
    assert lines[5].startswith("INFO: Allocated in ")
    assert f"Redzone  {a + 20:08x}: {'00 cc cc cc':<49}...." in lines
    assert f"FIX x: Restoring 0x{a + 20:08x}-0x{a + 20:08x}=0xcc" in lines
    assert lines[-1] == f"FIX x: Object at 0x{a:08x} not freed"
    assert kmem_cache_alloc(k, s, GFP_KERNEL) != a


def test_writing_after_free_is_found_when_the_object_is_given_again(k):
    s = kmem_cache_create(k, "x", 20)
    a = kmem_cache_alloc(k, s, GFP_KERNEL)
    kmem_cache_free(k, s, a)
    poke(k, a + 3, b"xyz")
    since = len(k.log.records)
    b = kmem_cache_alloc(k, s, GFP_KERNEL)
    lines = told(k, since)
    assert "BUG x (Not tainted): Poison overwritten" in lines
    assert any("First byte 0x78 instead of 0x6b" in line for line in lines)
    tracks = [re.fullmatch(r"INFO: (\w+) in \S+ age=(\d) cpu=0 pid=1", line) for line in lines]
    assert [track.groups() for track in tracks if track] == [("Allocated", "2"), ("Freed", "1")]
    assert lines[-1] == "FIX x: Marking all objects used"
    assert b is not None
    assert b != a
    kmem_cache_free(k, s, b)


def test_freeing_twice_is_found(k):
    s = kmem_cache_create(k, "x", 20)
    a, b = (kmem_cache_alloc(k, s, GFP_KERNEL) for _ in range(2))
    kmem_cache_free(k, s, a)
    since = len(k.log.records)
    kmem_cache_free(k, s, a)
    lines = told(k, since)
    assert lines[1] == "BUG x (Not tainted): Object already free"
    assert lines[-1] == f"FIX x: Object at 0x{a:08x} not freed"
    since = len(k.log.records)
    kmem_cache_free(k, s, b + 4)
    assert told(k, since)[1] == f"BUG x (Tainted: G    B            ): Invalid object pointer 0x{b + 4:08x}"
    # the hook before the checks has cut the list of free objects at `a`: the next free counts them
    since = len(k.log.records)
    kmem_cache_free(k, s, b)
    assert any("Wrong object count. Counter is 1 but counted were 55" in line for line in told(k, since))
    assert len({kmem_cache_alloc(k, s, GFP_KERNEL) for _ in range(100)}) == 100


def test_free_objects_behind_an_overwritten_free_pointer_are_given_up(k):
    # With checks every allocation gives its slab back: deactivate_slab() goes along the free objects, and
    # freelist_corrupted() ends the list before the one whose pointer leads out of the slab.
    s = kmem_cache_create(k, "x", 20)
    a = kmem_cache_alloc(k, s, GFP_KERNEL)
    first, second, *_ = k.mm.slab.cache_info(s)["node"]["partial"][0]["freelist"]
    poke(k, second + s.offset, (a + 1).to_bytes(4, "little"))
    since = len(k.log.records)
    assert kmem_cache_alloc(k, s, GFP_KERNEL) == first
    lines = told(k, since)
    assert lines[1] == "BUG x (Not tainted): Freechain corrupt"
    assert lines[-1] == "FIX x: Isolate corrupted freechain"
    assert k.mm.slab.cache_info(s)["node"]["partial"] == []
    assert not a & -4096 <= kmem_cache_alloc(k, s, GFP_KERNEL) < (a & -4096) + 4096


def test_counters_that_were_written_over_are_put_right(k):
    s = kmem_cache_create(k, "x", 20)
    a, b = (kmem_cache_alloc(k, s, GFP_KERNEL) for _ in range(2))
    page = k.page(k.virt_to_phys(a) >> 12)
    objects = page.private >> 16
    page.private -= 3 << 16
    since = len(k.log.records)
    kmem_cache_free(k, s, a)
    lines = told(k, since)
    assert any(f"Wrong number of objects. Found {objects - 3} but should be {objects}" in line for line in lines)
    assert "FIX x: Number of objects adjusted." in lines
    counter = page.private & 0xFFFF
    poke(k, a + s.offset, a.to_bytes(4, "little"))  # the list of free objects is a circle
    since = len(k.log.records)
    kmem_cache_free(k, s, b)
    assert any(f"Wrong object count. Counter is {counter} but counted were -1" in line for line in told(k, since))
    assert (page.private >> 16, page.private & 0xFFFF) == (objects, 0xFFFE)  # b is free, of 65535


def test_the_kernel_cuts_what_it_says_of_a_slab(k):
    s = kmem_cache_create(k, "x" * 90, 20)
    kmem_cache_alloc(k, s, GFP_KERNEL)
    since = len(k.log.records)
    kmem_cache_destroy(k, s)
    said = told(k, since)[1].partition(": ")[2]
    assert len(said) == 99
    assert said.startswith("Objects remaining in xxx")


def test_a_destroyed_cache_names_what_is_left(k):
    s = kmem_cache_create(k, "x", 20)
    a = kmem_cache_alloc(k, s, GFP_KERNEL)
    since = len(k.log.records)
    kmem_cache_destroy(k, s)
    lines = told(k, since)
    assert lines[1] == "BUG x (Not tainted): Objects remaining in x on __kmem_cache_shutdown()"
    assert f"INFO: Object 0x{a:08x} @offset={a & 0xFFF}" in lines
    assert lines[-1] == "kmem_cache_destroy x: Slab cache still has objects"


def test_kmalloc_is_checked_too_and_all_stays_usable(k):
    objects = [kmalloc(k, size, GFP_KERNEL) for size in range(1, 3000, 7)]
    assert all(va % 64 == 0 for va in objects)
    for va in objects[::2]:
        kfree(k, va)
    poke(k, objects[1] + 64, b"\1")
    since = len(k.log.records)
    for va in objects[1::2]:
        kfree(k, va)
    assert sum("Right Redzone overwritten" in line for line in told(k, since)) == 1
    for s in k.mm.slab.slab_caches:
        kmem_cache_shrink(k, s)
    assert k.mm.slab.check() == []


def test_a_traced_cache_speaks():
    k = machine("slub_debug=T,x")
    s, y = kmem_cache_create(k, "x", 20), kmem_cache_create(k, "y", 24)
    assert y is not s
    since = len(k.log.records)
    a = kmem_cache_alloc(k, s, GFP_KERNEL)
    assert told(k, since)[0].startswith(f"TRACE x alloc 0x{a:08x} inuse=")
    since = len(k.log.records)
    kmem_cache_alloc(k, y, GFP_KERNEL)
    assert told(k, since) == []


def test_without_the_option_nothing_is_checked():
    k = machine("")
    s = kmem_cache_create(k, "x", 20)
    assert s.flags & ALL == 0
    assert machine("", SLUB_DEBUG_ON=True).mm.slab.slab_caches[0].flags & ALL == ALL


@pytest.mark.parametrize(("name", "flags"), [
    ("kmalloc-64", 0x100), ("kmalloc-128", 0x100), ("dentry", 0x800), ("dentry_x", 0x400), ("inode", 0x400),
])  # fmt: skip
def test_flags_are_for_the_caches_that_are_named(name, flags):
    blocks = [(0x100, "kmalloc-*"), (0x800, "filp,dentry")]
    assert slab_flags(0, name, 0x400, blocks) == flags


def test_metadata_that_makes_slabs_larger_can_be_left_out():
    k = machine("slub_debug=PO")
    assert kmem_cache_create(k, "x", 4096).flags & ALL == 0
    assert kmem_cache_create(k, "y", 100).flags & ALL == SLAB_POISON


def test_what_is_in_no_slab_is_warned_of_once(k):
    s = kmem_cache_create(k, "one", 100)
    page = k.phys_to_virt(pa.alloc_pages(k, pa.GFP_KERNEL, 0) << 12)
    for _ in range(3):
        kmem_cache_free(k, s, page)
    said = [r.text for r in k.log.records if r.text.startswith("WARNING: CPU")]
    assert said == ["WARNING: CPU: 0 PID: 1 at mm/slab.h:435 kmem_cache_free"]


def test_another_caches_object_is_warned_of_each_time_with_its_tracks(k):
    one, other = kmem_cache_create(k, "one", 100), kmem_cache_create(k, "other", 300)
    for _ in range(2):
        kmem_cache_free(k, one, kmem_cache_alloc(k, other, 0xCC0))
    lines = [r.text for r in k.log.records]
    assert lines.count("WARNING: CPU: 0 PID: 1 at mm/slab.h:467 kmem_cache_free") == 2
    assert lines.count("cache_from_obj: Wrong slab cache. one but object is from other") == 2
    assert any(line.startswith("INFO: Allocated in ") for line in lines)


def test_a_track_that_was_written_over_is_told_as_a_number(k):
    # print_track() prints the caller with %pS: what is no address of the kernel's is a number
    s = kmem_cache_create(k, "x", 20)
    a = kmem_cache_alloc(k, s, GFP_KERNEL)
    since = len(k.log.records)
    poke(k, a + 20, b"\x6b" * 12)  # the red zone, the free pointer, and who allocated the object
    kmem_cache_free(k, s, a)
    assert any(line.startswith("INFO: Allocated in 0x6b6b6b6b ") for line in told(k, since))


def test_writing_between_two_objects_is_found_when_the_object_is_freed(k):
    s = kmem_cache_create(k, "x", 20)
    a = kmem_cache_alloc(k, s, GFP_KERNEL)
    last = a + s.size - s.red_left_pad - 1  # behind the tracks, before the next object's red zone
    poke(k, last, b"\0")
    start = len(k.log.records)
    kmem_cache_free(k, s, a)
    assert any("Object padding overwritten" in text for text in told(k, start))
    assert f"FIX x: Restoring 0x{last:08x}-0x{last:08x}=0x5a" in told(k, start)
