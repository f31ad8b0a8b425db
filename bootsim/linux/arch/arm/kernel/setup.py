"""setup_arch() and what it does itself (arch/arm/kernel/setup.c)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bootsim.causes import cause, unheeded
from bootsim.errors import KernelPanic
from bootsim.linux.arch.arm.asm.cachetype import (
    CACHEID_ASID_TAGGED,
    CACHEID_PIPT,
    CACHEID_VIPT_ALIASING,
    CACHEID_VIPT_I_ALIASING,
    CACHEID_VIPT_NONALIASING,
    CACHEID_VIVT,
    cacheid_is,
)
from bootsim.linux.arch.arm.asm.mach.arch import run_hook
from bootsim.linux.arch.arm.asm.system_info import (
    CPU_ARCH_UNKNOWN,
    PROC_ARCH,
    CPU_ARCH_ARMv3,
    CPU_ARCH_ARMv4T,
    CPU_ARCH_ARMv6,
    CPU_ARCH_ARMv7,
)
from bootsim.linux.arch.arm.kernel.devtree import arm_dt_init_cpu_maps, setup_machine_fdt
from bootsim.linux.arch.arm.kernel.smp import smp_init_cpus, smp_set_ops
from bootsim.linux.arch.arm.mm.init import arm_memblock_init, setup_dma_zone
from bootsim.linux.arch.arm.mm.mmu import (
    adjust_lowmem_bounds,
    early_fixmap_init,
    early_mm_init,
    init_default_cache_policy,
    paging_init,
)
from bootsim.linux.arch.arm.xen.enlighten import xen_early_init
from bootsim.linux.drivers.firmware.psci.psci import psci_dt_init
from bootsim.linux.drivers.of.fdt import unflatten_device_tree
from bootsim.linux.include.linux.err import Err
from bootsim.linux.kernel.crash_core import parse_crashkernel
from bootsim.linux.kernel.printk import KERN_CRIT, KERN_ERR, KERN_INFO, KERN_WARNING, printk, step
from bootsim.linux.lib.cmdline import EarlyParam, memparse, value_of
from bootsim.linux.mm.memblock import (
    for_each_mem_range,
    memblock_add,
    memblock_alloc,
    memblock_end_of_DRAM,
    memblock_find_in_range,
    memblock_remove,
    memblock_reserve,
    memblock_start_of_DRAM,
)
from bootsim.owners import Purpose
from bootsim.page import PAGE_SHIFT, PAGE_SIZE, page_align

if TYPE_CHECKING:
    from bootsim.hw.cpu import Cpu
    from bootsim.linux import Kernel

ULONG_MAX = 0xFFFFFFFF
CRASH_ALIGN = 128 << 20
SECTION_SIZE = 1 << 20


def smp_setup_processor_id(k: Kernel) -> None:
    """The first line of every boot.

    Source: arch/arm/kernel/setup.c smp_setup_processor_id()
    """
    mpidr = k.machine.cpu.mpidr & 0xFFFFFF if k.is_smp else 0
    k.cpus[0].logical_map = mpidr
    printk(k, KERN_INFO, "Booting Linux on physical CPU {mpidr:#x}", mpidr=mpidr)


def __get_cpu_architecture(cpu: Cpu) -> int:
    """The processor's architecture as CPU_ARCH_*, by MIDR and, where that points there, the memory model features.

    Source: arch/arm/kernel/setup.c __get_cpu_architecture()
    """
    midr = cpu.midr
    if midr & 0x0008F000 == 0:
        return CPU_ARCH_UNKNOWN
    if midr & 0x0008F000 == 0x00007000:
        return CPU_ARCH_ARMv4T if midr & 1 << 23 else CPU_ARCH_ARMv3
    if midr & 0x00080000 == 0:
        arch = midr >> 16 & 7
        return arch + CPU_ARCH_ARMv3 if arch else CPU_ARCH_UNKNOWN
    if midr & 0x000F0000 != 0x000F0000:
        return CPU_ARCH_UNKNOWN
    vmsa, pmsa = cpu.id_mmfr0 & 0xF, cpu.id_mmfr0 & 0xF0
    if vmsa >= 3 or pmsa >= 0x30:
        return CPU_ARCH_ARMv7
    return CPU_ARCH_ARMv6 if vmsa == 2 or pmsa == 0x20 else CPU_ARCH_UNKNOWN


def setup_processor(k: Kernel) -> None:
    """Name the processor and its architecture, and patch division where it has the instructions.

    Sets k.cpu_architecture. Raises KernelPanic for an architecture that nobody knows.
    Source: arch/arm/kernel/setup.c setup_processor(), patch_aeabi_idiv()
    """
    cpu, config = k.machine.cpu, k.build.config
    k.cpu_architecture = __get_cpu_architecture(cpu)
    if k.cpu_architecture == CPU_ARCH_UNKNOWN:
        raise KernelPanic(None, f"BUG in cpu_architecture: MIDR {cpu.midr:#010x} with ID_MMFR0 {cpu.id_mmfr0:#010x} is "
                          "of no architecture that the kernel knows")
    name = k.procinfo.cpu_name
    if name == "ARM1020":
        from bootsim.linux.arch.arm.mm.proc_arm1020 import cpu_arm1020_name  # the one name that the build decides

        name = cpu_arm1020_name(config)
    printk(k, KERN_INFO, "CPU: {name} [{midr:08x}] revision {revision} (ARMv{arch}), cr={cr:08x}",
           name=name, midr=cpu.midr, revision=cpu.midr & 15, arch=PROC_ARCH[k.cpu_architecture],
           cr=k.cpus[0].cp15.sctlr)
    if config.ARM_PATCH_IDIV and cpu.divides >= (1 if config.THUMB2_KERNEL else 2):
        printk(k, KERN_INFO, "CPU: div instructions available: patching division code", func="patch_aeabi_idiv")
    init_default_cache_policy(k, k.procinfo.mm_mmuflags(k.is_smp))
    cacheid_init(k)


def cacheid_init(k: Kernel) -> None:
    """Name the kinds of the level-1 caches from the cache type register. Sets k.cacheid (CACHEID_*).

    Source: arch/arm/kernel/setup.c cacheid_init(), cpu_has_aliasing_icache()
    """
    cpu = k.machine.cpu
    k.cacheid = CACHEID_VIVT
    if k.cpu_architecture >= CPU_ARCH_ARMv6:
        if cpu.ctr >> 29 == 4:
            k.cacheid = CACHEID_VIPT_NONALIASING
            k.cacheid |= {1: CACHEID_ASID_TAGGED, 3: CACHEID_PIPT}.get(cpu.ctr >> 14 & 3, 0)
            aliases = cpu.l1i_way_bytes > PAGE_SIZE
        else:
            k.cacheid = CACHEID_VIPT_ALIASING if cpu.ctr & 1 << 23 else CACHEID_VIPT_NONALIASING
            aliases = bool(cpu.ctr & 1 << 11)
        if aliases and not cacheid_is(k, CACHEID_PIPT):
            k.cacheid |= CACHEID_VIPT_I_ALIASING
    kinds = ((CACHEID_VIVT, "VIVT"), (CACHEID_VIPT_ALIASING, "VIPT aliasing"),
             (CACHEID_VIPT_NONALIASING, "PIPT / VIPT nonaliasing"))
    ikinds = ((CACHEID_VIVT, "VIVT"), (CACHEID_ASID_TAGGED, "VIVT ASID tagged"),
              (CACHEID_VIPT_I_ALIASING, "VIPT aliasing"), (CACHEID_PIPT, "PIPT"),
              (CACHEID_VIPT_NONALIASING, "VIPT nonaliasing"))
    dcache, icache = (next((word for mask, word in table if cacheid_is(k, mask)), "unknown")
                      for table in (kinds, ikinds))
    printk(k, KERN_INFO, "CPU: {dcache} data cache, {icache} instruction cache", dcache=dcache, icache=icache)


def early_mem(k: Kernel, arg: str | None) -> int:
    """mem=SIZE[@START]: the first one throws away what the tree said. Returns 0.

    Source: arch/arm/kernel/setup.c early_mem()
    """
    mb = k.mm.memblock
    if not k.usermem:
        k.usermem = True
        start = memblock_start_of_DRAM(mb)
        size = memblock_end_of_DRAM(mb) - start
        ret = memblock_remove(mb, start, size, "early_mem", Purpose("bank", "mem= option", "cmdline:mem"))
        unheeded(k, ret, f"cmdline: mem= taking {start:#010x}-{start + size - 1:#010x} away")
    size, rest = memparse(value_of("mem", arg))
    start = memparse(rest[1:])[0] if rest.startswith("@") else k.mm.phys_offset
    arm_add_memory(k, start, size)
    return 0


EARLY_PARAMS = (EarlyParam("mem", early_mem),)


def arm_add_memory(k: Kernel, start: int, size: int) -> int:
    """Add [start, start + size) (64-bit pa, bytes) in whole pages; returns 0 or a negative errno.

    Source: arch/arm/kernel/setup.c arm_add_memory()
    """
    aligned = page_align(start)
    size = 0 if aligned > start + size else size - (aligned - start)
    if aligned > ULONG_MAX:
        printk(k, KERN_CRIT, "Ignoring memory at {start:#010x} outside 32-bit physical address space", start=start)
        step(k, "cause: cmdline: mem= gives memory that a kernel without LPAE cannot address")
        return -22
    if aligned + size > ULONG_MAX:
        printk(k, KERN_CRIT, "Truncating memory at {start:#010x} to fit in 32-bit physical address space", start=start)
        step(k, "cause: cmdline: mem= gives {size:#x} bytes from {start:#010x} on, and a kernel without LPAE addresses "
             "4 GiB", size=size, start=aligned)
        size = ULONG_MAX - aligned
    if aligned < k.mm.phys_offset:
        end = min(aligned + size, k.mm.phys_offset)
        printk(k, KERN_INFO, "Ignoring memory below PHYS_OFFSET: {start:#010x}-{end:#010x}", start=aligned, end=end)
        step(k, "cause: cmdline: mem= begins below PHYS_OFFSET {phys_offset:#x}, which is where the kernel was loaded",
             phys_offset=k.mm.phys_offset)
        if aligned + size <= k.mm.phys_offset:
            return -22
        size -= k.mm.phys_offset - aligned
        aligned = k.mm.phys_offset
    size &= ~(PAGE_SIZE - 1)
    if size == 0:
        step(k, "cause: cmdline: mem= leaves no whole page (sizes are in bytes)")
        return -22
    ret = memblock_add(k.mm.memblock, aligned, size, "arm_add_memory", Purpose("bank", "mem= option", "cmdline:mem"))
    if unheeded(k, ret, f"cmdline: mem=: adding {aligned:#010x}-{aligned + size - 1:#010x}"):
        return 0
    source = "arch/arm/kernel/setup.c arm_add_memory()"
    k.facts.add("mem_option.base", aligned, "pa", "mem=SIZE[@START]", ("cmdline:mem", "PHYS_OFFSET"), source)
    k.facts.add("mem_option.size", size, "bytes", "mem=SIZE[@START], whole pages", ("cmdline:mem",), source)
    step(k, "memory {base:#010x}-{end:#010x} from mem=", base=aligned, end=aligned + size - 1)
    if not (k.machine.has_ram(aligned) and k.machine.has_ram(aligned + size - 1)):
        step(k, "cmdline: mem=: not all of {base:#010x}-{end:#010x} is RAM; the kernel will use it all the same",
             level=KERN_WARNING, base=aligned, end=aligned + size - 1)
    return 0


def request_standard_resources(k: Kernel) -> None:
    """Make a "System RAM" resource of every mapped bank, with kernel code and data inside.

    Source: arch/arm/kernel/setup.c request_standard_resources()
    """
    sym = k.build.symbols
    code = (k.virt_to_phys(sym.text), k.virt_to_phys(sym.init_begin - 1))
    data = (k.virt_to_phys(sym.sdata), k.virt_to_phys(sym.end - 1))
    for start, end in for_each_mem_range(k.mm.memblock):
        size = k.build.sizeof.resource
        pa = memblock_alloc(k.mm.memblock, size, k.mm.smp_cache_bytes, "request_standard_resources",
                            Purpose("other", f"resource System RAM {start:#010x}"))
        if isinstance(pa, Err):
            raise KernelPanic(f"request_standard_resources: Failed to allocate {size} bytes", cause(k, pa.why))
        k.iomem.append(("System RAM", start, end - 1))
        for name, (first, last) in (("Kernel code", code), ("Kernel data", data)):
            if start <= first and last <= end - 1:
                k.iomem.append((name, first, last))
        step(k, "resource System RAM {start:#010x}-{end:#010x}", start=start, end=end - 1)


def get_total_mem(k: Kernel) -> int:
    """All lowmem in bytes, holes too.

    Source: arch/arm/kernel/setup.c get_total_mem()
    """
    return (k.mm.max_low_pfn - k.mm.min_low_pfn << PAGE_SHIFT) & ULONG_MAX


def reserve_crashkernel(k: Kernel) -> None:
    """Keep the memory that crashkernel= asks for: where it says, or at a multiple of 128 MiB.

    Source: arch/arm/kernel/setup.c reserve_crashkernel()
    """
    total_mem = get_total_mem(k)
    asked = parse_crashkernel(k, k.boot_command_line, total_mem)
    if asked is None:
        return
    crash_size, crash_base = asked
    mb, size = k.mm.memblock, crash_size & ULONG_MAX
    if crash_base == 0:
        crash_max = min(ULONG_MAX, k.virt_to_phys(k.mm.high_memory - 1) + 1)
        crash_base = memblock_find_in_range(mb, CRASH_ALIGN, crash_max, size, CRASH_ALIGN)
        if isinstance(crash_base, Err):
            printk(k, KERN_ERR, "crashkernel reservation failed - No suitable area found.")
            step(k, "cause: cmdline: crashkernel=: {why}", why=cause(k, crash_base.why))
            return
    else:
        found = memblock_find_in_range(mb, crash_base & ULONG_MAX, (crash_base + crash_size) & ULONG_MAX, size,
                                       SECTION_SIZE)
        if found != crash_base:
            printk(k, KERN_ERR, "crashkernel reservation failed - memory is in use.")
            step(k, "cause: cmdline: crashkernel=: {why}", why=cause(k, found.why) if isinstance(found, Err) else
                 f"{crash_base:#x} is no multiple of 1 MiB")
            return
    ret = memblock_reserve(mb, crash_base, size, "reserve_crashkernel",
                           Purpose("other", "crash kernel", "cmdline:crashkernel"))
    if isinstance(ret, Err):
        printk(k, KERN_WARNING, "crashkernel reservation failed - memory is in use ({base:#x})", base=crash_base)
        step(k, "cause: cmdline: crashkernel=: {why}", why=cause(k, ret.why))
        return
    printk(k, KERN_INFO, "Reserving {mib}MB of memory at {at}MB for crashkernel (System RAM: {total}MB)",
           mib=(crash_size >> 20) & ULONG_MAX, at=crash_base >> 20, total=total_mem >> 20)
    source = "arch/arm/kernel/setup.c reserve_crashkernel()"
    k.facts.add("crashkernel.base", crash_base, "pa", "crashkernel=, or the highest free multiple of 128 MiB",
                ("cmdline:crashkernel", "high_memory"), source)
    k.facts.add("crashkernel.size", size, "bytes", "crashkernel=",
                ("cmdline:crashkernel", "max_low_pfn", "min_low_pfn"), source)
    k.iomem.append(("Crash kernel", crash_base, crash_base + crash_size - 1))


def hyp_mode_check(k: Kernel) -> None:
    """Say in which mode the processors started.

    Source: arch/arm/kernel/setup.c hyp_mode_check()
    Differs: bootsim's bootloaders always enter the kernel in SVC mode.
    """
    if k.build.config.ARM_VIRT_EXT:
        printk(k, KERN_INFO, "CPU: All CPU(s) started in SVC mode.")


def setup_arch(k: Kernel) -> None:
    """Everything the ARM port does before the generic kernel takes over.

    Source: arch/arm/kernel/setup.c setup_arch()
    """
    from bootsim.linux.init.main.parameters import parse_early_param

    k.stage = "setup_processor"
    setup_processor(k)
    k.stage = "setup_machine_fdt"
    mdesc = setup_machine_fdt(k, k.atags_pointer) if k.atags_pointer else None
    if mdesc is None:
        dump_no_machine(k)
    reserve_dtb(k)

    k.stage = "parse_early_param"
    early_fixmap_init(k)
    parse_early_param(k)
    early_mm_init(k, mdesc)
    setup_dma_zone(k)
    xen_early_init(k)
    if k.build.config.EFI:
        from bootsim.linux.drivers.firmware.efi.efi_init import efi_init  # few builds need it

        efi_init(k)
    k.reached("setup_machine_fdt")  # where boots are captured: early parameters have had their say
    k.stage = "adjust_lowmem_bounds"
    adjust_lowmem_bounds(k)
    k.reached("adjust_lowmem_bounds")
    k.stage = "arm_memblock_init"
    arm_memblock_init(k)
    k.reached("arm_memblock_init")
    k.stage = "adjust_lowmem_bounds"
    adjust_lowmem_bounds(k)
    k.reached("adjust_lowmem_bounds_2")
    k.reached("paging_init:entry")
    k.stage = "paging_init"
    paging_init(k)
    k.stage = "request_standard_resources"
    request_standard_resources(k)
    k.reached("request_standard_resources")
    k.stage = "unflatten_device_tree"
    unflatten_device_tree(k)
    k.stage = "setup_arch"
    arm_dt_init_cpu_maps(k)
    psci = psci_dt_init(k)
    if k.build.config.SMP and k.is_smp:
        smp_set_ops(k, psci)
        smp_init_cpus(k)
    if not k.is_smp:
        hyp_mode_check(k)
    if k.build.config.KEXEC:
        reserve_crashkernel(k)
    run_hook(k, "init_early")


def reserve_dtb(k: Kernel) -> None:
    """Reserve the whole blob, where the bootloader put it.

    Source: arch/arm/kernel/setup.c setup_arch()
    """
    base, size = k.atags_pointer, k.of.fdt.totalsize
    ret = memblock_reserve(k.mm.memblock, base, size, "setup_arch", Purpose("dtb", "device tree", "option:dtb-addr"))
    unheeded(k, ret, "reserving the device tree")
    source = "arch/arm/kernel/setup.c setup_arch()"
    k.facts.add("dtb.base", base, "pa", "r2 at entry", ("option:dtb-addr",), source)
    k.facts.add("dtb.size", size, "bytes", "totalsize of the blob's header", ("dtb:/:totalsize",), source)
    step(k, "device tree reserved: {base:#010x}-{end:#010x} ({bytes} bytes)", func="setup_arch", base=base,
         end=base + size - 1, bytes=size)


def dump_no_machine(k: Kernel) -> None:
    """The kernel found no device tree: it lists its machines and halts.

    Source: arch/arm/kernel/setup.c setup_arch(), dump_machine_table()
    Differs: the table of machines is not printed.
    """
    printk(k, KERN_WARNING, "\nError: invalid dtb and unrecognized/unsupported machine ID\n  r1={r1:#010x}, "
           "r2={r2:#010x}", func="setup_arch", r1=0, r2=k.machine.dtb_pa)
    raise KernelPanic(None, f"no device tree at {k.machine.dtb_pa:#x}: r2 must point, word-aligned, to a blob in RAM")
