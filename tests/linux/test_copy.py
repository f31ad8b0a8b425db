"""A copy of a machine: in the same state, and from then on a machine of its own."""

import gc
import types
import weakref
from copy import deepcopy
from pathlib import Path

import pytest

import bootsim
from bootsim.hw.memory import PhysicalMemory
from bootsim.hw.mmu import Cp15
from bootsim.inputs.configfile import load_build
from bootsim.linux import Kernel
from bootsim.linux.arch.arm.mm.init import free_initmem
from bootsim.linux.arch.arm.mm.ioremap.remap import ioremap
from bootsim.linux.include.linux import slab
from bootsim.linux.include.linux.highmem import kmap, kmap_atomic
from bootsim.linux.kernel.printk import Record, printk
from bootsim.linux.mm import page_alloc as pa
from bootsim.linux.mm.cma import cma_alloc, cma_init_reserved_areas, cma_release
from bootsim.linux.mm.memblock import memblock_reserve
from bootsim.linux.mm.percpu import __alloc_percpu, free_percpu
from bootsim.linux.mm.vmalloc.alloc import vfree, vmalloc
from bootsim.linux.mm.vmalloc.block import vm_map_ram
from bootsim.shared import Shared
from bootsim.stages import STAGES
from bootsim.state import digest
from bootsim.state.snapshot import take

ATOMS = (int, float, str, bytes, bool, type(None), type, types.ModuleType, types.BuiltinFunctionType)
free_block = pa.__free_pages  # inside a class the name would be mangled


def sparse():
    build = load_build("3G/1G")
    return build.replace(config=build.config.replace(SPARSEMEM=True))


MACHINES = {
    "1 GiB": {"mem": "1G"},
    "QEMU's": {"mem": "512M", "bootloader": "qemu", "config": "2G/2G"},
    "four processors, options": {"smp": 4, "cmdline": "cma=32M vmalloc=300M earlycon=pl011,0x10009000 foo=1 bar"},
    "SPARSEMEM": {"config": sparse()},
}


def booted(observer=None, until=None, **inputs):
    k = bootsim.prepare("vexpress.dts", observer=observer, **inputs)
    bootsim.run(k, until=until)
    return k


def in_use(**choice):
    """A machine with pages, objects, per-cpu and kernel areas handed out, by the build's slab allocator."""
    build = load_build("3G/1G")
    k = booted(config=build.replace(config=build.config.replace(**choice)), smp=2)
    for i in range(40):
        slab.kmalloc(k, 50 * (i + 1), pa.GFP_KERNEL)
    s = slab.kmem_cache_create(k, "mine", 700)
    objects = slab.kmem_cache_alloc_bulk(k, s, pa.GFP_KERNEL, 30)
    for va in objects[::3]:
        slab.kmem_cache_free(k, s, va)
    free_percpu(k, __alloc_percpu(k, 3000, 8))
    __alloc_percpu(k, 30000, 8)  # in a chunk of its own
    areas = [vmalloc(k, size) for size in (100, 50000, 5 << 20)]
    vfree(k, areas[1])
    vm_map_ram(k, [pa.alloc_pages(k, pa.GFP_KERNEL, 0)], 1)
    ioremap(k, 0x10009000, 100)
    kmap(k, pa.alloc_pages(k, pa.GFP_HIGHUSER, 0))
    kmap_atomic(k, pa.alloc_pages(k, pa.GFP_HIGHUSER, 0))
    return k


USED = {"SLUB": {}, "SLAB": {"SLUB": False, "SLAB": True}, "SLOB": {"SLUB": False, "SLOB": True}}


@pytest.fixture(params=[*MACHINES, *USED])
def k(request):
    if request.param in USED:
        return in_use(**USED[request.param])
    return booted(**MACHINES[request.param])


def state_of(k):
    return digest.of_stages("".join(r.text for r in k.log.records), [take(k, "free_initmem")])


# ------------------------------------------------------------------ a machine as a graph of objects


def is_shared(value):
    """What a machine and its copy have in common, by its own word."""
    hook = getattr(type(value), "__deepcopy__", None)
    return isinstance(value, (*ATOMS, Shared)) or (hook is not None and value.__deepcopy__({}) is value)


def parts(value):
    """What a value is made of, by name; the attributes of a class written in Cython are those that Python sees."""
    if isinstance(value, dict):
        return value
    if isinstance(value, list | tuple):
        return dict(enumerate(value))
    if isinstance(value, set | frozenset):
        return dict(enumerate(sorted(value, key=repr)))
    if isinstance(value, types.MethodType):
        return {"self": value.__self__, "func": value.__func__}
    if isinstance(value, types.FunctionType):
        return {i: cell.cell_contents for i, cell in enumerate(value.__closure__ or ())}
    if hasattr(value, "__reduce__") and type(value).__name__ == "partial":
        return {"func": value.func, "args": value.args, "keywords": value.keywords}
    if isinstance(value, BaseException):
        return {"args": value.args, **vars(value)}
    names = [name for cls in type(value).__mro__ for name in getattr(cls, "__slots__", ())]
    names += vars(value) if hasattr(value, "__dict__") else []
    kinds = (types.GetSetDescriptorType, types.MemberDescriptorType, property)
    names += [n for n, kind in vars(type(value)).items() if isinstance(kind, kinds) and not n.startswith("__")]
    return {name: getattr(value, name) for name in names if hasattr(value, name)}


def told(root):
    """Every value that can be reached from a machine, as text, one a line; a second way to it names the first."""
    seen = {}
    lines = []

    def visit(path, value):
        if isinstance(value, weakref.ProxyType):
            lines.append(f"{path}: weakly the machine: {value.__repr__.__self__ is root}")
        elif isinstance(value, Record):
            lines.append(f"{path}: {value}")
        elif is_shared(value):
            lines.append(f"{path}: {value!r}")
        elif id(value) in seen:
            lines.append(f"{path}: the same as {seen[id(value)]}")
        else:
            seen[id(value)] = path
            keep.append(value)
            lines.append(f"{path}: a {type(value).__name__}")
            for name, part in parts(value).items():
                visit(f"{path}.{name}", part)

    keep = []  # an id may serve twice once its object is gone
    visit("k", root)
    return lines


def reached(root):
    """Every object that the garbage collector finds from a machine, but what is shared by its own word."""
    found = {}
    todo = [root.__dict__]
    while todo:
        value = todo.pop()
        if id(value) in found or is_shared(value) or isinstance(value, weakref.ProxyType):
            continue
        found[id(value)] = value
        if isinstance(value, types.FunctionType):
            todo += [cell.cell_contents for cell in value.__closure__ or ()]
        else:
            todo += gc.get_referents(value)
    return found


def is_value(value):
    """Whether nobody can change it."""
    return isinstance(value, tuple | frozenset | types.FunctionType | types.CodeType)


def test_copy_is_equal_down_to_each_field(k):
    assert told(k.copy()) == told(k)


def test_nothing_that_changes_is_in_both(k):
    first, second = reached(k), reached(k.copy())
    both = [value for at, value in first.items() if at in second and not is_value(value)]
    assert both == []


def test_the_comparisons_can_fail(k):
    other = k.copy()
    other.options = k.options
    assert any(value is k.options for value in reached(other).values())
    other = k.copy()
    other.cpus[0].cp15 = Cp15()
    assert told(other) != told(k)
    other = k.copy()
    other.mm.pgdat.min_free_kbytes += 1
    assert told(other) != told(k)


def test_copy_has_the_same_state(k):
    assert state_of(k.copy()) == state_of(k)
    assert state_of(k.copy().copy()) == state_of(k)


def test_copy_at_every_stage():
    differing = []
    passed = []

    def look(stage, k):
        passed.append(stage)
        k.observer = None
        if told(k.copy()) != told(k):
            differing.append(stage)
        k.observer = look

    booted(observer=look)
    assert passed == list(STAGES)
    assert differing == []


# ------------------------------------------------------------------ used apart


def traffic(k, seed):
    held = []
    for i in range(200):
        order = (i * seed) % 4
        held.append((pa.alloc_pages(k, (pa.GFP_KERNEL, pa.GFP_HIGHUSER_MOVABLE)[i * seed % 2], order), order))
        if i % 3 == 0:
            free_block(k, *held.pop(i * seed % len(held)))
    return held


def test_neither_sees_what_is_done_to_the_other(k):
    before = state_of(k)
    other = k.copy()
    traffic(other, 3)
    other.machine.ram.write32(k.mm.init_mm.pgd_pa, 0xDEAD)
    other.machine.ram.zero(k.machine.dtb_pa, 1 << 16)
    memblock_reserve(other.mm.memblock, 0x61000000, 0x1000, "test")
    printk(other, 6, "only here")
    other.machine.cp15.sctlr = 0
    other.facts.add("new", 1, "pages", "one")
    assert state_of(k) == before
    assert "new" not in k.facts
    assert k.translate(k.phys_to_virt(k.mm.phys_offset + 0x8000))
    third = k.copy()
    assert state_of(third) == before
    traffic(k, 5)
    assert state_of(third) == before
    assert state_of(k) != before
    assert pa.check_buddy_invariants(k.mm.pgdat) == pa.check_buddy_invariants(other.mm.pgdat) == []


def test_both_answer_the_same_requests_alike(k):
    other = k.copy()
    assert traffic(other, 7) == traffic(k, 7)
    assert [vmalloc(other, size) for size in (1, 70000)] == [vmalloc(k, size) for size in (1, 70000)]
    assert state_of(other) == state_of(k)


def test_memory_blocks_of_the_copy_are_told_to_the_copy(k):
    other = k.copy()
    other.mm.memblock.debug = True
    changes, records = len(k.owners.changes), len(k.log.records)
    memblock_reserve(other.mm.memblock, 0x61000000, 0x1000, "test")
    assert len(other.owners.changes) == changes + 1
    assert len(other.log.records) == records + 1
    assert other.log.records[-1].seq == records
    assert (len(k.owners.changes), len(k.log.records)) == (changes, records)


def test_a_boot_goes_on_in_both():
    def to_the_end(k):
        pa.setup_per_cpu_pageset(k)
        k.mm.pgdat.gfp_allowed_mask = pa.__GFP_BITS_MASK
        cma_init_reserved_areas(k)
        pa.init_per_zone_wmark_min(k)
        free_initmem(k)
        return state_of(k)

    k = booted(until="mem_init", mem="512M")
    other = k.copy()
    assert to_the_end(other) == to_the_end(k)


def test_contiguous_areas_are_the_copys_own():
    k = booted(cmdline="cma=32M")
    other = k.copy()
    assert other.mm.dma_contiguous_default_area in other.mm.cma_areas
    area = other.mm.dma_contiguous_default_area
    pfn = cma_alloc(other, area, 16, 0)
    assert area.set_bits == [[0, 64 + 16]]  # DMA's pool, and these
    assert k.mm.dma_contiguous_default_area.set_bits == [[0, 64]]
    assert cma_release(other, area, pfn, 16)
    assert area.set_bits == [[0, 64]]


def test_nobody_observes_a_copy():
    k = booted(observer=lambda stage, k: None)
    assert k.copy().observer is None


def test_a_panicked_machine_can_be_copied():
    k = bootsim.prepare("vexpress.dts", cmdline="mem=1M")
    with pytest.raises(bootsim.errors.KernelPanic):
        bootsim.run(k)
    other = k.copy()
    assert str(other.panicked) == str(k.panicked)
    assert (other.panicked.reason, other.panicked.cause) == (k.panicked.reason, k.panicked.cause)
    assert other.panicked.__traceback__ is None


def test_a_copy_goes_at_once_when_nobody_uses_it():
    gc.collect()
    gc.disable()
    try:
        other = booted().copy()
        gone = weakref.ref(other.mm.pgdat)
        del other
        assert gone() is None
    finally:
        gc.enable()


def test_a_copy_outlives_its_original():
    k = booted()
    other = k.copy()
    before = state_of(k)
    del k
    gc.collect()
    assert state_of(other) == before
    traffic(other, 3)


def test_a_kernel_that_has_not_begun_can_be_copied():
    k = bootsim.prepare("vexpress.dts")
    other = k.copy()
    bootsim.run(other)
    bootsim.run(k)
    assert state_of(other) == state_of(k)
    assert isinstance(other, Kernel)


# ------------------------------------------------------------------ memory


def test_memory_is_copied_whole():
    ram = PhysicalMemory()
    places = [0, 0xFFC, 0x1000, 0x60000000, 0x9FFFFFFC, 0xFFFFF000, 0xFFFFFFFC]
    for i, pa_ in enumerate(places):
        ram.write32(pa_, i + 1)
    other = deepcopy(ram)
    assert [other.read32(pa_) for pa_ in places] == list(range(1, len(places) + 1))
    other.write32(0, 99)
    ram.zero(0x60000000, 0x10000)
    assert ram.read32(0) == 1
    assert other.read32(0x60000000) == 4


def test_what_nobody_wrote_costs_nothing():
    def resident_pages():
        return int(Path("/proc/self/statm").read_text().split()[1])

    ram = PhysicalMemory()
    ram.write32(0x60000000, 1)
    before = resident_pages()
    copies = [deepcopy(ram) for _ in range(4)]
    assert resident_pages() - before < 4096  # of the 4 million that four times 4 GiB would be
    assert all(other.read32(0x60000000) == 1 for other in copies)


def test_allocations_of_the_copy_are_cleared_as_the_originals():
    k = booted(cmdline="init_on_alloc=1")
    other = k.copy()
    for pfn in {pa.alloc_pages(machine, pa.GFP_KERNEL, 0) for machine in (k, other)}:
        for machine in (k, other):
            pa.__free_pages(machine, pfn, 0)
            machine.machine.ram.write32(pfn << 12, 1)
            assert pa.alloc_pages(machine, pa.GFP_KERNEL, 0) == pfn
            assert machine.machine.ram.read32(pfn << 12) == 0


@pytest.mark.parametrize("choice", USED)
def test_objects_of_both_are_alike_and_apart(choice):
    k = in_use(**USED[choice])
    other = k.copy()

    def work(machine, sizes):
        return [slab.kmalloc(machine, size, pa.GFP_KERNEL) for size in sizes]

    assert work(other, range(8, 3000, 100)) == work(k, range(8, 3000, 100))
    assert state_of(other) == state_of(k)
    mine = next(s for s in other.mm.slab.slab_caches if s.name == "mine")
    assert mine not in k.mm.slab.slab_caches
    before = told(k)
    work(other, range(8, 3000, 10))
    slab.kmem_cache_destroy(other, slab.kmem_cache_create(other, "yours", 3000))
    assert told(k) == before
