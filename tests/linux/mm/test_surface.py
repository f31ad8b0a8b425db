"""The compiled modules take anything: every function a caller can reach gets arguments of every kind, in any order.

An answer or an exception, and the process lives. `make asan` makes many more calls, with checks compiled in.
"""

from __future__ import annotations

import faulthandler
import importlib
import inspect
import os
import random
import struct
from array import array
from pathlib import Path
from types import SimpleNamespace

import pytest

import bootsim
from bootsim.hw.machine import Machine
from bootsim.hw.mmu import Cp15
from bootsim.inputs.configfile import load_build
from bootsim.lab.mappings import MappingTraffic
from bootsim.lab.objects import ObjectTraffic
from bootsim.lab.pages import PageTraffic
from bootsim.lab.slabtraffic import SlabTraffic
from bootsim.lab.slobtraffic import SlobTraffic
from bootsim.linux import Kernel
from bootsim.linux.arch.arm.asm.mach.map import MapDesc
from bootsim.linux.arch.arm.asm.proc_fns import Processor
from bootsim.linux.arch.arm.mm.mmu.create_mapping import MemType
from bootsim.linux.include.linux import slab
from bootsim.linux.init.main import kmem_cache_init
from bootsim.linux.lib.rbtree import RbTree
from bootsim.linux.mm import page_alloc as pa
from bootsim.linux.mm.memblock import memblock_add, memblock_free_all, memblock_set_current_limit
from bootsim.linux.mm.migrate import page_holders
from bootsim.linux.mm.mmap.map import mmap_pgoff
from bootsim.linux.mm.mmap.structs import Processes, Task, UserMm, UserPages
from bootsim.linux.mm.slab import kmem_cache_init_late
from bootsim.linux.mm.slab.structs import SlabCache
from bootsim.linux.mm.slab_common import KmemCache, SlabError
from bootsim.linux.mm.slub.slabs import SlubCache

PACKAGE = Path(bootsim.__file__).parent
CALLS = int(os.environ.get("BOOTSIM_FUZZ", "4000"))
CALLS_A_MACHINE = 400
MODULES = [
    importlib.import_module(".".join(source.relative_to(PACKAGE.parent).with_suffix("").parts))
    for source in sorted(PACKAGE.rglob("*.pyx"))
]
# Handed on by `cimport` alone: nothing in them can be called from Python.
WITHOUT_FUNCTIONS = {
    "bootsim.lab.blocks",
    "bootsim.lab.contigrange",
    "bootsim.lab.hints",
    "bootsim.lab.kinds",
    "bootsim.lab.processors",
    "bootsim.lab.recorded",
    "bootsim.linux.arch.arm.asm.pgtable_2level",
    "bootsim.linux.mm.compaction.compact",
    "bootsim.linux.mm.compaction.free_scanner",
    "bootsim.linux.mm.page_alloc.events",
    "bootsim.linux.mm.page_alloc.fallback",
    "bootsim.linux.mm.page_alloc.free",
    "bootsim.linux.mm.page_alloc.rmqueue",
    "bootsim.linux.mm.page_alloc.slowpath",
    "bootsim.linux.mm.page_alloc.zonelist",
    "bootsim.linux.arch.arm.mm.mmap",
    "bootsim.linux.mm.gup.populate",
    "bootsim.linux.mm.filemap.cache",
    "bootsim.linux.mm.readahead",
    "bootsim.linux.mm.workingset",
    "bootsim.linux.mm.memory.swapin",
    "bootsim.linux.mm.memory.advice",
    "bootsim.linux.mm.vmscan.control",
    "bootsim.linux.mm.vmscan.pages",
    "bootsim.linux.mm.vmscan.lists",
    "bootsim.linux.mm.vmscan.direct",
    "bootsim.linux.mm.memory.fault",
    "bootsim.linux.mm.memory.migration",
    "bootsim.linux.mm.memory.tables",
    "bootsim.linux.mm.mmap.accounting",
    "bootsim.linux.mm.mmap.gaps",
    "bootsim.linux.mm.mmap.stack",
    "bootsim.linux.mm.mmap.structs",
    "bootsim.linux.mm.mmap.unmap",
    "bootsim.linux.mm.mmap.vma",
    "bootsim.linux.mm.mmu_gather",
    "bootsim.linux.mm.oom_kill.reap",
    "bootsim.linux.mm.rmap.anon_vma",
    "bootsim.linux.mm.slab.structs",
    "bootsim.linux.mm.swap",
    "bootsim.linux.mm.swap_slots",
    "bootsim.linux.mm.swapfile.count",
    "bootsim.linux.mm.swapfile.info",
    "bootsim.linux.mm.swapfile.scan",
}
FREES = ("__free_pages", "free_unref_page", "__free_pages_ok", "free_pages_exact", "free_contig_range", "split_page")
BASE_PFN = 0x60000
PAGES = 0x4000


def surface():
    """Every public function of the compiled modules, once, with the names of its parameters."""
    found = {}
    for module in MODULES:
        for name, function in vars(module).items():
            if type(function).__name__ != "cython_function_or_method" or function.__module__ != module.__name__:
                continue
            if not name.startswith("_") or name in FREES or name == "__setup_per_zone_wmarks":
                found[name] = (function, list(inspect.signature(function).parameters))
    return found


SURFACE = surface()
ALLOCATORS = ("SLUB", "SLAB", "SLOB", "SLUB with checks", "SLAB with checks")


def methods_of(objects):
    """Every public method of some objects of compiled classes, but what makes an allocator's first caches: once."""
    return [
        getattr(thing, name)
        for thing in objects
        for cls in type(thing).__mro__
        for name, method in vars(cls).items()
        if type(method).__name__ == "cython_function_or_method"
        and not name.startswith(("_", "init", "kmem_cache_init"))
    ]


def start_slab(k):
    kmem_cache_init(k)
    if k.build.config.SLAB:
        kmem_cache_init_late(k)


def machine(allocator="SLUB"):
    """A kernel whose 64 MiB are the allocator's, lowmem and highmem, and whose tables lie in RAM."""
    build = load_build("3G/1G")
    slabs = {name: allocator.startswith(name) for name in ("SLUB", "SLAB", "SLOB")}
    slabs["DEBUG_SLAB"] = allocator == "SLAB with checks"
    k = Kernel(build.replace(config=build.config.replace(CMA=True, HIGHMEM=True, SLUB_DEBUG=True, **slabs)), Machine())
    if allocator == "SLUB with checks":
        k.options["slub_debug"] = 0x10D00  # as slub_debug=FZPU
    k.processor = Processor()
    k.mm.memblock.zero = lambda *_: None  # there are no page tables to clear memory through
    k.mm.phys_offset, k.mm.init_mm.pgd_pa = BASE_PFN << 12, (BASE_PFN << 12) + 0x4000
    k.mm.mem_types = [MemType(prot_pte=0x3, prot_l1=0x1, prot_sect=0x2) for _ in range(16)] + [None]
    k.mm.vmlist, k.mm.static_vmlist, k.mm.pgprot_kernel, k.mm.pcpu_unit_size = [], [], 0x4F, 0x8000
    k.mm.layout.high_memory, k.mm.pkmap_page_table_pa = 0xC2000000, (BASE_PFN << 12) + 0x8000
    memblock_add(k.mm.memblock, BASE_PFN << 12, PAGES << 12)
    memblock_set_current_limit(k.mm.memblock, (BASE_PFN + PAGES // 2) << 12)
    k.mm.max_low_pfn, k.mm.max_pfn = BASE_PFN + PAGES // 2, BASE_PFN + PAGES
    pa.free_area_init(k, {"Normal": k.mm.max_low_pfn, "HighMem": k.mm.max_pfn})
    pa.build_all_zonelists(k)
    memblock_free_all(k)
    pa.setup_per_cpu_pageset(k)
    return k


def process(k):
    """A process with a few mappings of its own."""
    k.mm.totalram_pages = PAGES
    processes = Processes(k, 0xC0000000, list(range(16)), 0, UserPages())
    task = processes.tasks[1] = Task(processes, 1)
    task.mm = UserMm(processes)
    task.mm.topdown, task.mm.mmap_base = True, 0xB7000000
    for addr in (BASE_PFN << 12, (BASE_PFN + 2) << 12):
        mmap_pgoff(task, addr, 4096, 3, 0x32, -1, 0)
    return task


class Arguments:
    """Arguments by what a parameter is called: often sensible, often at an edge, sometimes of another type."""

    def __init__(self, seed):
        self.random = random.Random(seed)
        self.given = []
        self.addresses = []
        other = machine("SLUB")
        other.owners.mark("mem_init")
        start_slab(other)
        self.other = other
        self.strange = [other.mm.slab.slab_caches[0], KmemCache(), SlubCache(), SlabCache(), None]

    @staticmethod
    def caches(k):
        return k.mm.slab.slab_caches if k.mm.slab is not None else []

    def remember(self, got):
        """Addresses and frames that a call has answered are given to later ones."""
        for va in got if isinstance(got, list) else [got]:
            if isinstance(va, int) and not isinstance(va, bool) and va > 1 << 20:
                self.addresses = [*self.addresses[-50:], va]

    def number(self):
        choose = self.random
        kind = choose.randrange(8)
        if kind < 3:
            return choose.choice((0, 1, 2, 3, 5, 6, 7, 10, 11, 31, 32, 255, 4096, -1))
        if kind < 5:
            return choose.choice((BASE_PFN, BASE_PFN + PAGES)) + choose.randrange(-2, 3)
        if kind < 6:
            return (1 << choose.choice((12, 20, 31, 32, 63, 64))) + choose.randrange(-1025, 3)
        return choose.randrange(1 << choose.choice((4, 12, 32)))

    def pfn(self):
        if self.given and self.random.random() < 0.6:
            return self.random.choice(self.given)
        if self.random.random() < 0.6:
            return BASE_PFN + self.random.randrange(PAGES) & ~((1 << self.random.choice((0, 0, 3, 10))) - 1)
        return self.number()

    def value(self, name, k):
        if self.random.random() < 0.02:
            return self.random.choice((None, "x", b"", 1.5, [], SimpleNamespace()))
        special = {
            "k": lambda: k,
            "pgdat": lambda: k.mm.pgdat,
            "ram": lambda: k.machine.ram,
            "cp15": lambda: Cp15(*(self.random.randrange(1 << 32) for _ in range(8))),
            "md": lambda: MapDesc(self.number(), self.number(), self.number(), self.random.randrange(18)),
            "addresses": lambda: array("I", [self.random.randrange(1 << 32) for _ in range(5)]),
            "rounds": lambda: self.random.choice((0, 1, 3, -1)),
            "access": lambda: self.random.choice(("read", "write", "execute", "")),
            "order": lambda: self.random.choice((0, 0, 0, 1, 2, 3, 10, 11, 32, self.number())),
            "migratetype": lambda: self.random.choice((0, 1, 2, 3, 4, 5, 6, 7, self.number())),
            "size": lambda: self.random.choice((0, 4096, 8192, 12288, self.number())),
            "max_zone_pfn": lambda: {"Normal": self.pfn(), "HighMem": self.pfn()},
            "name": lambda: "x",
            "task": lambda: process(k),
            "parent": lambda: process(k),
            "tree": lambda: list(process(k).mm),
            "arg": lambda: self.random.choice(("1", "on", "64M", "50%", "mirror", None, "-1")),
        }
        if name in special:
            return special[name]()
        if name == "s":
            return self.random.choice((*self.caches(k)[-8:], *self.strange))
        if name == "objects":
            return [self.value("va", k) for _ in range(self.random.randrange(4))]
        if name == "flags":
            return self.random.choice((0xCC0, 0xA20, 0xDC0, 0, 0x2000, 0x20000, 0x80000, self.number()))
        if name == "va" and self.addresses and self.random.random() < 0.6:
            return self.random.choice(self.addresses) + self.random.choice((0, 0, 0, 0, 1, 8, 4096, -4))
        if "pfn" in name or name in ("start", "end"):
            return self.pfn()
        if name.endswith(("_pa", "_va", "addr", "va")):
            return self.random.choice((self.pfn() << 12, self.number(), 0xFFFFFFFF, 0xFFFFF000))
        return self.number()


# Whatever an argument is, one of these says so; anything else is a defect.
EXPECTED = (
    pa.PageFrameError,
    importlib.import_module("bootsim.errors").BootsimError,
    ArithmeticError,
    AttributeError,
    LookupError,
    TypeError,
    ValueError,
    struct.error,
)


@pytest.mark.parametrize("seed", range(max(1, CALLS // CALLS_A_MACHINE)))
def test_every_function_survives_every_argument(seed):
    arguments = Arguments(seed)
    k = machine(ALLOCATORS[seed % len(ALLOCATORS)])
    k.owners.mark("mem_init")
    start_slab(k)
    names = sorted(SURFACE)
    mappings = MappingTraffic(k, k.mm.pgdat)
    objects = [k.machine.main_tlb(), k.processor, k.mm.slab, k.mm.pgdat, page_holders(k), mappings.areas, mappings.kmap]
    others = methods_of([*objects, RbTree(augmented=True)])
    methods = [getattr(k.machine.ram, name) for name in ("read", "write", "read32", "write32", "fill32", "zero")]
    faulthandler.dump_traceback_later(60, exit=True)
    try:
        for _ in range(CALLS_A_MACHINE):
            choice = arguments.random.random()
            try:
                if choice < 0.25:
                    pfn = pa.alloc_pages(
                        k,
                        arguments.random.choice((pa.GFP_KERNEL, 0xA, 0x18, 0x620, 0x40000)),
                        arguments.random.choice((0, 0, 1, 3, 10)),
                    )
                    if pfn is not None:
                        arguments.given = [*arguments.given[-50:], pfn]
                elif choice < 0.35:
                    method = arguments.random.choice(methods)
                    args = [arguments.number() for _ in inspect.signature(method).parameters]
                    if method.__name__ == "write":
                        args[1] = bytes(args[1] % 5000) if isinstance(args[1], int) else b""
                    if method.__name__ in ("read", "fill32") and 1 << 24 < args[1] <= 1 << 32:
                        args[1] = 1 << 24  # the host's memory is not what is tried
                    method(*args)
                elif choice < 0.45:
                    method = arguments.random.choice(others)
                    method(*(arguments.value(p, k) for p in inspect.signature(method).parameters))
                elif choice < 0.55:
                    arguments.remember(
                        slab.kmalloc(k, arguments.random.choice((1, 8, 100, 5000, 1 << 17)), pa.GFP_KERNEL)
                    )
                else:
                    name = arguments.random.choice(names)
                    function, parameters = SURFACE[name]
                    args = [arguments.value(p, k) for p in parameters]
                    arguments.remember(function(*args))
            except EXPECTED:
                pass
    finally:
        faulthandler.cancel_dump_traceback_later()


def records(words):
    return memoryview(struct.pack(f"={len(words)}I", *words)).cast("I", shape=[len(words) // 4, 4])


@pytest.mark.parametrize("seed", range(max(4, CALLS // CALLS_A_MACHINE)))
def test_records_of_any_kind_are_replayed(seed):
    arguments = Arguments(seed)
    k = machine(ALLOCATORS[seed % len(ALLOCATORS)])
    kinds = [*range(68), 1, 1, 1, 21, 21, 22, 51, 64, 25, 54]

    def word():
        choose = arguments.random
        caches = [0, *traffic.allocator.cache_at]
        return choose.choice((choose.choice(caches), arguments.value("va", k), arguments.pfn(), arguments.number(),
                              choose.randrange(12), 0xCC0, 0x12A20, choose.randrange(1, 5000)))  # fmt: skip

    def some(count):
        words = []
        for _ in range(count):
            more = [word() for _ in range(3)]
            words += [arguments.random.choice(kinds), *(w & 0xFFFFFFFF if isinstance(w, int) else 0 for w in more)]
        return words

    traffic = None
    pages = PageTraffic(k.mm.pgdat)
    pages.mappings = MappingTraffic(k, k.mm.pgdat)
    if k.build.config.SLUB:
        traffic = ObjectTraffic(k, pages, records([24, 0, 0, 0] * 100), {})
    else:
        traffic = (SlabTraffic if k.build.config.SLAB else SlobTraffic)(k, pages, {})
    faulthandler.dump_traceback_later(60, exit=True)
    try:
        for _ in range(20):
            words = ([24, 0, 0, 0] * 100 if k.build.config.SLUB else []) + some(40)
            events, answers = records(words), memoryview(bytearray(struct.pack(f"={len(words)}I", *words)))
            answers = answers.cast("I", shape=[len(words) // 4, 4])
            at = 0
            while at < len(words) // 4:
                try:
                    at = traffic.run(events, answers, at, len(words) // 4) + 1
                except EXPECTED:
                    at += 1
            traffic.allocator.snapshot()
    finally:
        faulthandler.cancel_dump_traceback_later()


def test_records_have_four_words_and_an_answer_each():
    k = machine()
    pages = PageTraffic(k.mm.pgdat)
    three = memoryview(bytearray(48)).cast("I", shape=[4, 3])
    four = memoryview(bytearray(64)).cast("I", shape=[4, 4])
    short = memoryview(bytearray(48)).cast("I", shape=[3, 4])
    for events, answers in ((three, four), (four, three), (four, short)):
        with pytest.raises(ValueError, match=r"."):
            pages.run(events, answers, 0, 1)
    with pytest.raises(ValueError, match=r"."):
        ObjectTraffic(k, pages, three, {})


@pytest.mark.parametrize("allocator", ALLOCATORS)
def test_a_foreign_cache_and_page_are_refused(allocator):
    k, other = machine(allocator), machine(allocator)
    for each in (k, other):
        each.owners.mark("mem_init")
        start_slab(each)
    foreign = slab.kmem_cache_create(other, "x", 64)
    for told in (getattr(k.mm.slab, name, None) for name in ("slabinfo", "cache_info", "sysfs")):
        for s in (foreign, type(foreign)()):
            if told is not None:
                with pytest.raises(SlabError):
                    told(s)
    report = k.mm.slab.report() if hasattr(k.mm.slab, "report") else None
    for of, name, arguments in ((k.mm.slab, "blocks", (5,)), (report, "print_page_info", (5,)),
                                (report, "print_section", ("", 0, 1 << 31))):
        if hasattr(of, name):
            with pytest.raises(SlabError):
                getattr(of, name)(*arguments)
    assert slab.kmalloc(k, 100, pa.GFP_KERNEL)


def test_an_object_freed_by_rcu_lies_in_memory():
    k = machine("SLOB")
    start_slab(k)
    s = slab.kmem_cache_create(k, "x", 64, 0, 0x80000)
    with pytest.raises(SlabError):
        slab.kmem_cache_free(k, s, 0x1000)
    assert k.machine.ram.read(0xFFFFFFFF & k.virt_to_phys(0x1000 + s.size - 4) & ~3, 4) == bytes(4)


def test_the_surface_is_all_there():
    called = {function.__module__ for function, _ in SURFACE.values()}
    kinds = [machine(allocator) for allocator in ALLOCATORS]
    for k in kinds:
        k.owners.mark("mem_init")
        start_slab(k)
    objects = [k.mm.slab for k in kinds] + [kinds[0].mm.pgdat, page_holders(kinds[0]), kinds[0].machine.ram, RbTree()]
    mappings = MappingTraffic(kinds[0], kinds[0].mm.pgdat)
    objects += [mappings, mappings.areas, mappings.kmap, kinds[0].processor, kinds[0].machine.main_tlb()]
    called |= {cls.__module__ for thing in objects for cls in type(thing).__mro__}
    called |= {cls.__module__ for cls in (PageTraffic, ObjectTraffic, SlabTraffic, SlobTraffic)}
    assert {module.__name__ for module in MODULES} - called == WITHOUT_FUNCTIONS
    assert {
        "alloc_pages",
        "page_info",
        "translate",
        "create_mapping",
        "alloc_contig_range",
    } <= set(SURFACE)


@pytest.mark.parametrize(
    ("pfn", "order"), [(0xFFFFFFFF, 0), (0xFFFFFC00, 10), (0x5FFFF, 0), (0x63C00, 11), (0x64000, 0)]
)
def test_ranges_are_compared_in_64_bits(pfn, order):
    k = machine()
    with pytest.raises(pa.PageFrameError):
        k.mm.pgdat.free(pfn, order)
    with pytest.raises(pa.PageFrameError):
        pa.__free_pages(k, pfn, order)
    if order == 0:
        with pytest.raises(pa.PageFrameError):
            pa.page_info(k, pfn)


@pytest.mark.parametrize(("start", "end"), [(0xFFFFFC00, 0xFFFFFFFF), (0x63FFF, 0x64001), (0x60010, 0x60010), (5, 3)])
def test_ranges_of_pages_lie_in_the_memory_map(start, end):
    k = machine()
    with pytest.raises(pa.PageFrameError):
        pa.alloc_contig_range(k, start, end, pa.MIGRATE_MOVABLE)
    with pytest.raises(pa.PageFrameError):
        pa.free_pages_exact(k, 0x63FFF, 0xFFFFFFFF)


def test_nothing_to_look_at_is_said():
    with pytest.raises(TypeError):
        pa.check_buddy_invariants(None)
    with pytest.raises(AttributeError):
        pa.zones_snapshot(SimpleNamespace(mm=SimpleNamespace(pgdat=None), nr_cpu_ids=1))
    assert pa.check_buddy_invariants(pa.Pglist(load_build("3G/1G").config)) == []


def test_a_block_freed_twice_does_not_break_the_lists():
    k = machine()
    pfn = pa.alloc_pages(k, pa.GFP_KERNEL, 3)
    pa.__free_pages(k, pfn, 3)
    pa.__free_pages(k, pfn, 3)
    assert k.log.records[-1].text.startswith("bootsim: __free_pages: pfn")
    assert pa.check_buddy_invariants(k.mm.pgdat) == []
