"""A kernel in its first instructions, made from numbers: those of a 3G/1G vexpress build with HIGHMEM."""

import pytest

from bootsim.hw.cpu import CORTEX_A9
from bootsim.hw.machine import Machine
from bootsim.hw.mmu import Cp15
from bootsim.inputs.build import Config, KernelBuild, Sizeof, Symbols
from bootsim.linux import Kernel
from bootsim.linux.arch.arm.asm.system_info import CPU_ARCH_ARMv7
from bootsim.linux.arch.arm.kernel.head import stext
from bootsim.linux.arch.arm.mm.mmu import init_default_cache_policy
from bootsim.linux.mm.memblock import memblock_add, memblock_reserve

DTB_PA = 0x68000000
MIB = 1 << 20

CONFIG = {
    "PAGE_OFFSET": 0xC0000000, "HIGHMEM": True, "ARM_PATCH_PHYS_VIRT": True, "SMP": True, "SMP_ON_UP": True,
    "NR_CPUS": 8, "SWP_EMULATE": True, "CPU_SW_DOMAIN_PAN": True, "KUSER_HELPERS": True,
    "CPU_V7": True,
}
SYMBOLS = {
    "swapper_pg_dir": 0xC0004000, "text": 0xC0008000, "stext": 0xC0100000, "etext": 0xC0800000,
    "turn_mmu_on": 0xC0100000, "turn_mmu_on_end": 0xC0100020, "init_begin": 0xC0B00000, "sinittext": 0xC0B00460,
    "einittext": 0xC0B40000, "bm_pte": 0xC0B44000, "init_end": 0xC0C00000, "sdata": 0xC0C00000, "edata": 0xC0C91F50,
    "bss_start": 0xC0C91F50, "bss_stop": 0xC0CC39E8, "end": 0xC0CC39E8,
}


def make_build(page_offset=0xC0000000, **config):
    symbols = {name: SYMBOLS.get(name, 0xC0000000) - 0xC0000000 + page_offset for name in Symbols.KERNEL_NAMES}
    sizeof = dict.fromkeys(Sizeof.KERNEL_NAMES, 32) | {"static_vm": 40, "memblock_region": 12}
    return KernelBuild(schema=1, name="test", summary="", provenance="derived", origin="", banner="",
                       config=Config(**(CONFIG | {"PAGE_OFFSET": page_offset} | config)), symbols=Symbols(**symbols),
                       sizeof=Sizeof(**sizeof), machines=())


class Maker:
    """Kernels in the states the tests need."""

    dtb_pa = DTB_PA
    build = staticmethod(make_build)

    def powered_on(self, *, cpu=CORTEX_A9, cpus=1, dtb_pa=DTB_PA, kernel_pa=0x60008000, build=None, **config):
        machine = Machine(cpu=cpu, cpus=cpus, dtb_pa=dtb_pa, kernel_pa=kernel_pa,
                          cp15=Cp15(sctlr=cpu.sctlr, id_mmfr0=cpu.id_mmfr0))
        if dtb_pa:
            machine.ram.write(dtb_pa, b"\xd0\x0d\xfe\xed")
        return Kernel(build or make_build(**config), machine)

    def started(self, **options):
        """After head.S: MMU on through the first table."""
        k = self.powered_on(**options)
        k.mdesc = None
        stext(k)
        k.cpu_architecture = CPU_ARCH_ARMv7
        init_default_cache_policy(k, k.procinfo.mm_mmuflags(k.is_smp))
        return k

    def with_banks(self, *banks, **options):
        """As `started`, with memory (base, size) and the kernel image reserved."""
        k = self.started(**options)
        for base, size in banks:
            memblock_add(k.mm.memblock, base, size)
        memblock_reserve(k.mm.memblock, k.mm.init_mm.pgd_pa, 16384, "test")
        memblock_reserve(k.mm.memblock, k.virt_to_phys(k.build.symbols.stext),
                         k.build.symbols.end - k.build.symbols.stext, "test")
        return k


@pytest.fixture
def make():
    return Maker()
