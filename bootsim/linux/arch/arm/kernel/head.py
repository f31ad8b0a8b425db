"""The kernel's first instructions (arch/arm/kernel/head.S, head-common.S): first page table, MMU on.

The code runs at its physical address until __turn_mmu_on writes SCTLR; the identity section keeps the instruction after
that one mapped, and a jump to __mmap_switched leaves for the linked addresses.

    swapper_pg_dir    index              maps to
                      pa of __turn_mmu_on >> 20    itself (identity)
                      PAGE_OFFSET >> 20            PHYS_OFFSET, up to _end
                      FDT_FIXED_BASE >> 20         two sections from the tree's
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from bootsim.errors import InputError, KernelPanic
from bootsim.hw.soc import SCU_CONFIG
from bootsim.inputs.buildcheck import PROCESSORS
from bootsim.linux.arch.arm.asm.cp15 import CR_A, CR_C, CR_I, CR_M, CR_Z
from bootsim.linux.arch.arm.asm.domain import DACR_INIT
from bootsim.linux.arch.arm.asm.memory import FDT_FIXED_BASE, SECTION_MASK, SZ_16M, record_layout
from bootsim.linux.arch.arm.asm.pgtable_2level import PMD_SECT_XN, SECTION_SHIFT, SECTION_SIZE
from bootsim.linux.arch.arm.asm.proc_fns import Processor
from bootsim.linux.arch.arm.asm.system_info import linux_arm_arch
from bootsim.linux.arch.arm.mm.mmu import mmu_data
from bootsim.linux.kernel.printk import KERN_WARNING, step

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bootsim.hw.machine import Machine
    from bootsim.inputs.build import Config
    from bootsim.linux import Kernel
    from bootsim.linux.arch.arm.asm.procinfo import ProcInfo

PG_DIR_SIZE = 0x4000
OF_DT_MAGIC = 0xEDFE0DD0
ATAG_CORE = 0x54410001
ATAG_CORE_SIZE = 5
ATAG_CORE_SIZE_EMPTY = 2
U32 = 0xFFFFFFFF


def stext(k: Kernel) -> None:
    """Run from the kernel's first instruction to start_kernel's.

    Sets k.procinfo, k.processor, k.mm.phys_offset, k.mm.init_mm.pgd_pa, k.is_smp, k.processor_id, k.atags_pointer (pa
    of the tree, or 0) and k.cr_alignment. Raises KernelPanic where the real kernel loops in __error or runs off its
    mappings.
    Source: arch/arm/kernel/head.S stext
    Differs: __hyp_stub_install and the machine number in r1 leave no trace in memory and are not modelled.
    """
    machine, symbols = k.machine, k.build.symbols
    for line in machine.told:
        step(k, "{line}", func="bootloader", line=line)
    k.processor_id = machine.cpu.midr
    k.procinfo = lookup_processor_type(k, k.processor_id)
    k.processor = Processor(k.procinfo.set_pte, k.build.config.CPU_DCACHE_WRITETHROUGH)
    k.mm.phys_offset = machine.kernel_pa - (symbols.text - k.build.config.PAGE_OFFSET) & U32
    k.facts.add("PHYS_OFFSET", k.mm.phys_offset, "pa", "address the kernel was loaded at - TEXT_OFFSET",
                ("option:load-addr", "symbol:_text", "CONFIG_PAGE_OFFSET"), "arch/arm/kernel/head.S stext")
    record_layout(k)
    mmu_data(k)
    step(k, "{cpu}, MIDR {midr:#010x}; kernel at {kernel_pa:#010x}, so PHYS_OFFSET is {phys_offset:#010x}; r2 is "
         "{dtb_pa:#010x}", cpu=machine.cpu.name, midr=k.processor_id, kernel_pa=machine.kernel_pa,
         phys_offset=k.mm.phys_offset, dtb_pa=machine.dtb_pa)
    k.atags_pointer = vet_atags(k, machine.dtb_pa)
    k.is_smp = fixup_smp(machine) if k.build.config.SMP_ON_UP else k.build.config.SMP
    fixup_pv_table(k)
    create_page_tables(k)
    cr = k.procinfo.setup(k, k.mm.init_mm.pgd_pa)
    enable_mmu(k, cr)
    mmap_switched(k)


def lookup_processor_type(k: Kernel, midr: int) -> ProcInfo:
    """The first entry of the kernel's processor list that matches MIDR. Raises KernelPanic without one.

    Source: arch/arm/kernel/head-common.S __lookup_processor_type
    """
    for info in proc_info_list(k.build.config):
        if midr & info.cpu_mask == info.cpu_val:
            return info
    raise KernelPanic(None, f"this kernel ({k.build.name}) does not know the processor with MIDR {midr:#010x}, "
                      f"{k.machine.cpu.name} (__error_p)")


def knows(config: Config, midr: int) -> bool:
    """Whether a build has an entry for a processor in its list.

    Source: arch/arm/kernel/head-common.S __lookup_processor_type
    """
    return any(midr & info.cpu_mask == info.cpu_val for info in proc_info_list(config))


def proc_info_list(config: Config) -> Iterator[ProcInfo]:
    """The processors that a build knows, in the linker's order.

    Source: arch/arm/mm/Makefile, .proc.info.init
    """
    for symbol in PROCESSORS:
        if (symbol == "CPU_V6K" and config.CPU_V6) or not getattr(config, symbol):
            continue
        name = "v6" if symbol == "CPU_V6K" else _FILES.get(symbol, symbol.removeprefix("CPU_").lower())
        infos: tuple[ProcInfo, ...] = import_module(f"bootsim.linux.arch.arm.mm.proc_{name}").PROC_INFO
        for info in infos:
            if info.name == "__feroceon_old_id_proc_info" and not config.CPU_FEROCEON_OLD_ID:
                continue
            yield info


_FILES = {"CPU_ARM720T": "arm720", "CPU_ARM920T": "arm920", "CPU_ARM922T": "arm922", "CPU_ARM925T": "arm925",
          "CPU_ARM926T": "arm926"}  # fmt: skip


def vet_atags(k: Kernel, pointer: int) -> int:
    """Return `pointer` (pa) when a device tree or a tagged list seems to lie there, else 0.

    Source: arch/arm/kernel/head-common.S __vet_atags
    """
    if pointer & 3 == 0:
        first = k.machine.ram.read32(pointer)
        if first == OF_DT_MAGIC:
            if k.build.config.ARM_ATAG_DTB_COMPAT and not k.machine.told:
                step(k, "warning: this build has CONFIG_ARM_ATAG_DTB_COMPAT: where a bootloader passes ATAGs, the "
                     "decompressor writes their memory, command line and initrd into the tree behind it; the tree is "
                     "taken as it is", func="atags_to_fdt", level=KERN_WARNING)
            return pointer
        if first in (ATAG_CORE_SIZE, ATAG_CORE_SIZE_EMPTY) and k.machine.ram.read32(pointer + 4) == ATAG_CORE:
            return pointer
    step(k, "no device tree at r2 = {pointer:#010x}: the pointer is dropped", func="__vet_atags", pointer=pointer)
    return 0


def fixup_smp(machine: Machine) -> bool:
    """Whether an SMP kernel stays one on this processor; otherwise head.S patches it into a UP kernel.

    Source: arch/arm/kernel/head.S __fixup_smp
    """
    cpu, scu_pa = machine.cpu, machine.soc.scu_base_pa
    if cpu.midr & 0x000F0000 != 0x000F0000:
        return False
    model = cpu.midr & 0xFF00FFF0
    if model == 0x4100B020:  # ARM11 MPCore
        return True
    if cpu.mpidr & 0xC0000000 != 0x80000000:
        return False
    if model != 0x4100C090:
        return True
    # a Cortex-A9 is asked how many processors its Snoop Control Unit has
    return scu_pa != 0 and machine.read32(scu_pa + SCU_CONFIG) & 3 != 0


def fixup_pv_table(k: Kernel) -> None:
    """Take PHYS_OFFSET from where the kernel runs; patched add instructions can express multiples of 16 MiB only.

    Source: arch/arm/kernel/head.S __fixup_pv_table
    """
    config = k.build.config
    if config.ARM_PATCH_PHYS_VIRT:
        if (k.mm.phys_offset - config.PAGE_OFFSET) % SZ_16M:
            raise KernelPanic(None, f"the kernel was loaded at {k.machine.kernel_pa:#x}, which makes PHYS_OFFSET "
                              f"{k.mm.phys_offset:#x}: expected a multiple of 16 MiB (__fixup_pv_table, __error)")
    elif config.PHYS_OFFSET is not None and k.mm.phys_offset != config.PHYS_OFFSET:
        raise KernelPanic(None, f"the kernel was loaded at {k.machine.kernel_pa:#x}, which makes PHYS_OFFSET "
                          f"{k.mm.phys_offset:#x}: expected CONFIG_PHYS_OFFSET={config.PHYS_OFFSET:#x}, as this kernel "
                          "has no CONFIG_ARM_PATCH_PHYS_VIRT")


def create_page_tables(k: Kernel) -> None:
    """Write the first page table: the identity section, the kernel up to _end, the device tree, the debug port.

    Source: arch/arm/kernel/head.S __create_page_tables
    """
    symbols, ram = k.build.symbols, k.machine.ram
    func = "__create_page_tables"
    pgd = k.mm.init_mm.pgd_pa = k.virt_to_phys(symbols.swapper_pg_dir)
    k.facts.add("swapper_pg_dir", pgd, "pa", "symbol - PAGE_OFFSET + PHYS_OFFSET",
                ("symbol:swapper_pg_dir", "PAGE_OFFSET", "PHYS_OFFSET"), "arch/arm/kernel/head.S __create_page_tables")
    ram.zero(pgd, PG_DIR_SIZE)
    step(k, "swapper_pg_dir: {bytes} bytes at {pa:#010x} cleared", func=func, bytes=PG_DIR_SIZE, pa=pgd)
    flags = k.procinfo.mm_mmuflags(k.is_smp)
    code = k.virt_to_phys(symbols.turn_mmu_on)
    _map_sections(k, "identity for __turn_mmu_on", code, code, k.virt_to_phys(symbols.turn_mmu_on_end), flags=flags)
    _map_sections(k, "kernel", k.build.config.PAGE_OFFSET, k.mm.phys_offset, k.virt_to_phys(symbols.end - 1),
                  flags=flags)
    if k.atags_pointer:
        tree = k.atags_pointer & SECTION_MASK
        _map_sections(k, "device tree", FDT_FIXED_BASE, tree, tree + SECTION_SIZE, flags=flags)
    if k.build.config.DEBUG_LL:
        _map_debug_port(k)


# Map whole sections from the one that holds `pa` through the one that holds `last_pa`, at the section that holds `va`.
def _map_sections(k: Kernel, what: str, va: int, pa: int, last_pa: int, *, flags: int) -> None:
    first = va >> SECTION_SHIFT
    pa &= SECTION_MASK
    count = (last_pa - pa >> SECTION_SHIFT) + 1
    for i in range(count):
        entry = k.mm.init_mm.pgd_pa + 4 * (first + i)
        k.machine.ram.write32(entry, (pa + i * SECTION_SIZE & U32) | flags)
    start = first << SECTION_SHIFT
    step(k, "{what}: {start:#010x}-{last:#010x} -> {pa:#010x}, {sections} section(s), descriptor bits {flags:#x}",
         func="__create_page_tables", what=what, start=start, last=start + count * SECTION_SIZE - 1, pa=pa,
         sections=count, flags=flags)


def _map_debug_port(k: Kernel) -> None:
    config = k.build.config
    if config.DEBUG_UART_PHYS is None or config.DEBUG_UART_VIRT is None:
        raise InputError(f"build {k.build.name}: DEBUG_LL without DEBUG_UART_PHYS and DEBUG_UART_VIRT; expected both")
    pa = config.DEBUG_UART_PHYS
    _map_sections(k, "debug port", config.DEBUG_UART_VIRT, pa, pa, flags=k.procinfo.io_mmuflags | PMD_SECT_XN)


def enable_mmu(k: Kernel, cr: int) -> None:
    """Load the domain register and TTBR0, then switch the MMU on.

    Source: arch/arm/kernel/head.S __enable_mmu
    """
    config, cp15 = k.build.config, k.cpus[0].cp15
    cr = cr | CR_A if config.ALIGNMENT_TRAP and linux_arm_arch(config) < 6 else cr & ~CR_A
    for disabled, bit in ((config.CPU_DCACHE_DISABLE, CR_C), (config.CPU_BPREDICT_DISABLE, CR_Z),
                          (config.CPU_ICACHE_DISABLE, CR_I)):
        if disabled:
            cr &= ~bit
    cp15.dacr = DACR_INIT(config)
    turn_mmu_on(k, cr)


def turn_mmu_on(k: Kernel, cr: int) -> None:
    """Write SCTLR. The next instruction is fetched through the tables, at the same address; then a jump to the kernel.

    Raises KernelPanic when an instruction on the way would not be found where it lies.
    Source: arch/arm/kernel/head.S __turn_mmu_on
    """
    cp15, symbols = k.cpus[0].cp15, k.build.symbols
    cp15.sctlr = cr | k.machine.cpu.sctlr_ones
    k.cr_alignment = cr
    here, end = k.virt_to_phys(symbols.turn_mmu_on), k.virt_to_phys(symbols.turn_mmu_on_end)
    for pa in (here, end - 1):
        _expect_fetch(k, pa, pa, "the identity mapping")
    _expect_fetch(k, symbols.sinittext, k.virt_to_phys(symbols.sinittext), "the kernel's mapping")
    step(k, "MMU on: SCTLR {sctlr:#010x} (was {before:#010x}), TTBR0 {ttbr0:#010x}, DACR {dacr:#010x}, PRRR "
         "{prrr:#010x}, NMRR {nmrr:#010x}; the code at {here:#010x} stays where it is", func="__turn_mmu_on",
         sctlr=cr, before=cr & ~CR_M, ttbr0=cp15.ttbr0, dacr=cp15.dacr, prrr=cp15.prrr, nmrr=cp15.nmrr, here=here)


def _expect_fetch(k: Kernel, va: int, pa: int, what: str) -> None:
    found = k.machine.translate(va, "execute")
    if not found:
        raise KernelPanic(None, f"{what} lacks the instruction at {va:#010x}: {found.level} {found.kind} fault "
                          "with no vectors to take it")
    if found.pa != pa:
        raise KernelPanic(None, f"{what} of {va:#010x} leads to {found.pa:#010x}: expected {pa:#010x}")


def mmap_switched(k: Kernel) -> None:
    """Run at linked addresses at last: clear .bss, save the processor id, the tree's address and SCTLR.

    Source: arch/arm/kernel/head-common.S __mmap_switched
    """
    symbols = k.build.symbols
    start, size = symbols.bss_start, symbols.bss_stop - symbols.bss_start
    k.machine.ram.zero(k.virt_to_phys(start), size)
    step(k, ".bss: {size} bytes at {start:#010x} ({pa:#010x}) cleared", func="__mmap_switched", size=size, start=start,
         pa=k.virt_to_phys(start))
