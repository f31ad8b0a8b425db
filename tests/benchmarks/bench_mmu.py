"""How long page tables take to write and to walk. Run by `make bench`."""

import time
from array import array

import pytest

from bootsim.hw.cpu import CORTEX_A9
from bootsim.hw.machine import Machine
from bootsim.hw.memory import PhysicalMemory
from bootsim.hw.mmu import Cp15, translate
from bootsim.hw.tlb import Tlb
from bootsim.inputs.build import Config, KernelBuild, Sizeof, Symbols
from bootsim.linux import Kernel
from bootsim.linux.arch.arm.asm.mach.map import MT_MEMORY_DMA_READY, MapDesc
from bootsim.linux.arch.arm.kernel.head import stext
from bootsim.linux.arch.arm.mm.mmu import (
    adjust_lowmem_bounds,
    create_mapping,
    early_mm_init,
    init_default_cache_policy,
    map_lowmem,
    prepare_page_table,
)
from bootsim.linux.mm.memblock import memblock_add, memblock_reserve

pytestmark = pytest.mark.benchmarks
MIB = 1 << 20


@pytest.fixture
def kernel():
    """A kernel with 1 GiB of memory, about to build its page tables."""
    symbols = dict.fromkeys(Symbols.KERNEL_NAMES, 0xC0100000) | {
        "swapper_pg_dir": 0xC0004000, "text": 0xC0008000, "turn_mmu_on_end": 0xC0100020, "sinittext": 0xC0B00000,
        "init_end": 0xC0C00000, "bss_start": 0xC0C80000, "bss_stop": 0xC0CC0000, "end": 0xC0CC0000}
    build = KernelBuild(schema=1, name="bench", summary="", provenance="derived", origin="", banner="", machines=(),
                        config=Config(PAGE_OFFSET=0xC0000000, ARM_PATCH_PHYS_VIRT=True, HIGHMEM=True, CPU_V7=True),
                        symbols=Symbols(**symbols), sizeof=Sizeof(**dict.fromkeys(Sizeof.KERNEL_NAMES, 32)))
    machine = Machine(cpu=CORTEX_A9, kernel_pa=0x60008000, cp15=Cp15(sctlr=CORTEX_A9.sctlr))
    k = Kernel(build, machine)
    k.mm.memblock.zero = lambda *_: None  # no page tables yet
    stext(k)
    k.cpu_architecture = 9
    init_default_cache_policy(k, k.procinfo.mm_mmuflags(k.is_smp))
    memblock_add(k.mm.memblock, 0x60000000, 1024 * MIB)
    memblock_reserve(k.mm.memblock, 0x60000000, 16 * MIB, "bench")
    early_mm_init(k)
    adjust_lowmem_bounds(k)
    prepare_page_table(k)
    map_lowmem(k)
    return k


def test_map_768_mib_of_lowmem_by_sections(benchmark, kernel):
    benchmark(map_lowmem, kernel)


def test_map_16_mib_by_pages(benchmark, kernel):
    benchmark(create_mapping, kernel, MapDesc(0xF8000000, 0x70000, 16 * MIB, MT_MEMORY_DMA_READY))


def test_translate_a_section(benchmark, kernel):
    ram, cp15 = kernel.machine.ram, kernel.machine.cp15
    assert benchmark(translate, ram, cp15, 0xC0123456).pa == 0x60123456


def test_translate_a_page(benchmark, kernel):
    create_mapping(kernel, MapDesc(0xF8000000, 0x70000, 4096, MT_MEMORY_DMA_READY))
    ram, cp15 = kernel.machine.ram, kernel.machine.cp15
    assert benchmark(translate, ram, cp15, 0xF8000123).pa == 0x70000123


def test_a_new_physical_memory(benchmark):
    benchmark(PhysicalMemory)


def test_ten_thousand_hits_of_the_tlb(benchmark, kernel):
    tlb, ram, cp15 = Tlb(128, 2), kernel.machine.ram, kernel.machine.cp15
    stream = array("I", [0xC0000000 + (n << 20) for n in range(100)])
    tlb.run(ram, cp15, stream)
    benchmark(tlb.run, ram, cp15, stream, rounds=100)
    assert tlb.misses == 100


def test_ten_thousand_misses_of_the_tlb(benchmark, kernel):
    tlb, ram, cp15 = Tlb(128, 2), kernel.machine.ram, kernel.machine.cp15
    stream = array("I", [0xC0000000 + (n << 20) for n in range(0, 768, 3)])
    benchmark(tlb.run, ram, cp15, stream, rounds=39)
    assert tlb.hits == 0


def test_budget_of_a_walk(kernel):
    ram, cp15 = kernel.machine.ram, kernel.machine.cp15
    start = time.perf_counter()
    for va in range(0xC0000000, 0xC0000000 + 100_000):
        translate(ram, cp15, va)
    assert (time.perf_counter() - start) / 100_000 < 3e-6


@pytest.mark.parametrize(("step", "most"), [(1, 60e-9), (3, 300e-9)], ids=["hit", "walk"])
def test_budget_of_the_tlb_from_cython(kernel, step, most):
    # 100 sections fit; of every third of 768 none is found again: each access walks, fills and evicts
    tlb, ram, cp15 = Tlb(128, 2), kernel.machine.ram, kernel.machine.cp15
    stream = array("I", [0xC0000000 + (n << 20) for n in range(0, 100 if step == 1 else 768, step)])
    tlb.run(ram, cp15, stream)
    start = time.perf_counter()
    tlb.run(ram, cp15, stream, rounds=1000)
    assert (time.perf_counter() - start) / (1000 * len(stream)) < most
