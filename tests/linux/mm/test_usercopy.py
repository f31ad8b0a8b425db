"""What of the kernel's memory may be copied to programs (mm/usercopy.c); the words are held in test_mistakes.py."""

from __future__ import annotations

import pytest

import bootsim
from bootsim.inputs.configfile import load_build
from bootsim.linux.include.linux.slab import kmalloc, kmem_cache_alloc, kmem_cache_create_usercopy
from bootsim.linux.mm.usercopy import check_object_size

GFP_KERNEL = 0xCC0


def machine(cmdline="", allocator="SLUB", **config):
    build = load_build("3G/1G")
    kinds = {name: name == allocator for name in ("SLAB", "SLUB", "SLOB")}
    config = {"HARDENED_USERCOPY": True, "SLAB_FREELIST_RANDOM": False, **kinds, **config}
    build = build.replace(config=build.config.replace(**config))
    k = bootsim.prepare("vexpress.dts", build, mem="64M", cmdline=cmdline)
    bootsim.run(k)
    return k


def part(k):
    """An object of which bytes 20 to 59 may be copied."""
    return kmem_cache_alloc(k, kmem_cache_create_usercopy(k, "part", 100, 0, 0, 20, 40), GFP_KERNEL)


@pytest.mark.parametrize("allocator", ["SLAB", "SLUB"])
@pytest.mark.parametrize(("at", "size", "allowed"), [
    (20, 40, True), (59, 1, True), (60, 0, True), (19, 1, False), (59, 2, False), (0, 100, False),
])  # fmt: skip
def test_a_part_of_an_object(allocator, at, size, allowed):
    k = machine(allocator=allocator)
    assert check_object_size(k, part(k) + at, size, True) is allowed
    assert sum("usercopy: Kernel memory exposure" in record.text for record in k.log.records) == (not allowed)


def test_all_that_kmalloc_gave():
    k = machine()
    va = kmalloc(k, 100)
    assert check_object_size(k, va, 128, False)
    assert not check_object_size(k, va, 129, False)


def test_a_red_zone_is_no_part_of_an_object():
    k = machine("slub_debug=Z", SLUB_DEBUG=True)
    assert check_object_size(k, part(k) + 20, 40, True)
    assert not check_object_size(k, part(k) - 4, 4, True)
    assert any("from SLUB object in left red zone 'part' (offset 4, size 4)!" in r.text for r in k.log.records)


def test_a_build_may_warn_once_instead():
    k = machine(HARDENED_USERCOPY_FALLBACK=True)
    assert check_object_size(k, part(k), 100, True)
    assert check_object_size(k, part(k), 100, True)
    assert sum(record.text.startswith("Bad or missing usercopy whitelist?") for record in k.log.records) == 1
    assert not check_object_size(k, part(k), 200, True)


@pytest.mark.parametrize(("cmdline", "there"), [("hardened_usercopy=off", True), ("", False)])
def test_without_the_checks_all_may_be_copied(cmdline, there):
    k = machine(cmdline, HARDENED_USERCOPY=there)
    assert check_object_size(k, 0, 100, True)
    assert check_object_size(k, part(k), 4000, True)


def test_sizes_and_addresses_have_32_bits():
    k = machine()
    va = kmalloc(k, 100, GFP_KERNEL)
    assert not check_object_size(k, va, -1, True)
    assert f"Kernel memory exposure attempt detected from wrapped address (offset 0, size {va - 1})!" in [
        record.text.removeprefix("usercopy: ") for record in k.log.records]
    assert check_object_size(k, va + (1 << 32), 100, True)
