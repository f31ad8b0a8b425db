"""What the kernel makes of an abort: it mends it, kills the process, or cannot go on (arch/arm/mm/fault.c).

Bits 10 and 3:0 of DFSR or IFSR lead to an entry of fsr_info or ifsr_info, and that to a function:
do_translation_fault(), do_page_fault() (a page is brought in, a first-level entry copied, or SIGSEGV),
do_alignment(), do_bad() (the entry's words are logged, its signal is sent).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from bootsim.linux.arch.arm.asm.cp15 import CR_A
from bootsim.linux.arch.arm.asm.memory import VECTORS_BASE
from bootsim.linux.arch.arm.asm.system_info import CPU_ARCH_ARMv6, CPU_ARCH_ARMv7
from bootsim.linux.arch.arm.kernel.traps import die
from bootsim.linux.arch.arm.mm.fault import unable_to_handle
from bootsim.linux.kernel.printk import KERN_ALERT, KERN_DEBUG, printk
from bootsim.page import PAGE_SIZE

if TYPE_CHECKING:
    from collections.abc import Callable

    from bootsim.hw.mmu import Fault
    from bootsim.linux import Kernel
    from bootsim.linux.mm.mmap.structs import Task

SIGBUS, SIGKILL, SIGSEGV = 7, 9, 11
SEGV_MAPERR, SEGV_ACCERR, BUS_ADRALN, BUS_OBJERR = 1, 2, 1, 3
FSR_LNX_PF, FSR_WRITE, FSR_FS4, FSR_FS3_0 = 1 << 31, 1 << 11, 1 << 10, 0xF
LEGACY_IFSR = 5  # what the kernel takes for the status of a fetch before ARMv6, which does not tell it
FAULT_CODE_ALIGNMENT = 1
PMD_BAD = 2  # what pmd_bad() takes for no table


class Signal(NamedTuple):
    """What an access ends with: a signal's number, its si_code, si_addr (va). Of the kernel's own: SIGKILL, an oops."""

    sig: int
    code: int
    addr: int


class Abort(NamedTuple):
    """An abort: address (va), fault status (with FSR_LNX_PF of a fetch), whether a program made the access."""

    addr: int
    fsr: int
    user_mode: bool


class FsrInfo(NamedTuple):
    """struct fsr_info. `fn` answers None when the access can be made again, a Signal, or UNHANDLED."""

    fn: Callable[[Kernel, Abort], Signal | bool | None]
    sig: int
    code: int
    name: str


UNHANDLED = True


def fsr_fs(fsr: int) -> int:
    """The status in a fault status register, 0 to 31.

    Source: arch/arm/mm/fault.h fsr_fs()
    """
    return fsr & FSR_FS3_0 | (fsr & FSR_FS4) >> 6


def show_pte(k: Kernel, addr: int) -> None:
    """Log the entries that lead to an address (va), those of the address space that the boot processor is in.

    Source: arch/arm/mm/fault.c show_pte()
    Differs: the line with the address of the table, which the kernel hashes, is left out.
    """
    ram = k.machine.ram
    table = k.mm.init_mm.pgd_pa if k.active_mm is None else k.active_mm.pgd_pa
    pmd = ram.read32(table + (addr >> 21) * 8)  # the first of the pair, also for addresses of the second
    words = f"[{addr:08x}] *pgd={pmd:08x}"
    if pmd & PMD_BAD:
        words += "(bad)"
    elif pmd and pmd & ~0xFFF < k.mm.arm_lowmem_limit:
        pte = (pmd & ~0xFFF) + (addr >> 12 & 0x1FF) * 4
        words += f", *pte={ram.read32(pte):08x}, *ppte={ram.read32(pte + 2048):08x}"
    printk(k, KERN_ALERT, "{words}", func="show_pte", words=words)


def do_bad(_k: Kernel, _abort: Abort) -> bool:
    """Leave a fault to the words of the table.

    Source: arch/arm/mm/fault.c do_bad()
    """
    return UNHANDLED


def do_bad_area(k: Kernel, abort: Abort) -> Signal:
    """Answer an access to where nothing may be: SIGSEGV, or an oops.

    Source: arch/arm/mm/fault.c do_bad_area()
    """
    if abort.user_mode:
        return __do_user_fault(k, abort, SIGSEGV, SEGV_MAPERR)
    return _oops(k, abort)


def do_sect_fault(k: Kernel, abort: Abort) -> Signal:
    """Answer an access that a section's rights forbid.

    Source: arch/arm/mm/fault.c do_sect_fault()
    """
    return do_bad_area(k, abort)


def __do_user_fault(k: Kernel, abort: Abort, sig: int, code: int) -> Signal:
    """Send a program the signal of its access; one that misses the kernel's helpers is told in the log.

    Source: arch/arm/mm/fault.c __do_user_fault()
    Differs: what user_debug= logs is left out.
    """
    if sig == SIGSEGV and abort.addr & -PAGE_SIZE == VECTORS_BASE and not k.build.config.KUSER_HELPERS:
        task = current(k)
        printk(k, KERN_DEBUG, "{comm}: CONFIG_KUSER_HELPERS disabled at 0x{va:08x}", func="__do_user_fault",
               comm="" if task is None else task.comm, va=abort.addr)
    return Signal(sig, code, abort.addr)


def _oops(k: Kernel, abort: Abort) -> Signal:
    unable_to_handle(k, abort.addr)
    show_pte(k, abort.addr)
    die(k, "Oops", abort.fsr)
    return Signal(SIGKILL, 0, abort.addr)


def current(k: Kernel) -> Task | None:
    """The task whose address space the boot processor is in, None for the kernel's alone.

    Source: include/asm-generic/current.h current
    """
    if k.active_mm is None or k.processes is None:
        return None
    return next((task for task in k.processes.tasks.values() if task.mm is k.active_mm), None)


def do_page_fault(k: Kernel, abort: Abort) -> Signal | None:
    """Bring in the page that an access wants; None, the signal of a program, or an oops.

    Source: arch/arm/mm/fault.c do_page_fault()
    Differs: an access of the kernel's to a page that may be brought in is taken to come from code that may do so.
    """
    from bootsim.linux.mm.memory.access import do_page_fault as bring_in  # a boot without processes has no need of it

    task = current(k)
    if task is None or task.mm is None or k.processes is None:
        return _oops(k, abort)
    sig, code = bring_in(task, k.processes.pages, abort.addr, bool(abort.fsr & FSR_WRITE),  # type: ignore[arg-type]
                         bool(abort.fsr & FSR_LNX_PF))
    if not sig:
        return None
    return __do_user_fault(k, abort, sig, code) if abort.user_mode else _oops(k, abort)


def do_translation_fault(k: Kernel, abort: Abort) -> Signal | None:
    """Copy the kernel's first-level entries of an address into the current table, where only they are missing.

    Source: arch/arm/mm/fault.c do_translation_fault()
    Differs: where the current table is the kernel's own and has an entry that the processor refuses, the kernel copies
        it to itself and faults for ever; here it is an oops.
    """
    if abort.addr < k.mm.layout.TASK_SIZE:
        return do_page_fault(k, abort)
    ram, offset = k.machine.ram, (abort.addr >> 21) * 8
    master = k.mm.init_mm.pgd_pa + offset
    mine = (k.cpus[0].cp15.ttbr0 & ~0x3FFF) + offset
    if abort.user_mode or not ram.read32(master + (abort.addr >> 20 & 1) * 4) or mine == master:
        return do_bad_area(k, abort)
    for word in (0, 4):
        ram.write32(mine + word, ram.read32(master + word))
    return None


def do_alignment(k: Kernel, abort: Abort) -> None:
    """Answer an unaligned access that the processor refused: it is made byte by byte.

    A program's before ARMv6 is left to the processor, which no longer refuses it until the kernel is entered again.
    Source: arch/arm/mm/alignment.c do_alignment(), safe_usermode()
    Differs: instructions that it cannot take apart (LDM of registers in use, LDREX), alignment= and /proc/cpu/alignment
        are not modelled.
    """
    if abort.user_mode and k.cpu_architecture < CPU_ARCH_ARMv6:
        k.cpus[0].cp15.sctlr &= ~CR_A


def alignment_trap(k: Kernel) -> None:
    """Have unaligned accesses refused again, where the kernel wants that: it is entered.

    Source: arch/arm/kernel/entry-header.S alignment_trap
    """
    k.cpus[0].cp15.sctlr |= k.cr_alignment & CR_A


def _fsr_info() -> list[FsrInfo]:
    bus = "external abort on "
    rows = [
        FsrInfo(do_bad, SIGSEGV, 0, "vector exception"), FsrInfo(do_bad, SIGBUS, BUS_ADRALN, "alignment exception"),
        FsrInfo(do_bad, SIGKILL, 0, "terminal exception"), FsrInfo(do_bad, SIGBUS, BUS_ADRALN, "alignment exception"),
        FsrInfo(do_bad, SIGBUS, 0, bus + "linefetch"),
        FsrInfo(do_translation_fault, SIGSEGV, SEGV_MAPERR, "section translation fault"),
        FsrInfo(do_bad, SIGBUS, 0, bus + "linefetch"),
        FsrInfo(do_page_fault, SIGSEGV, SEGV_MAPERR, "page translation fault"),
        FsrInfo(do_bad, SIGBUS, 0, bus + "non-linefetch"),
        FsrInfo(do_bad, SIGSEGV, SEGV_ACCERR, "section domain fault"),
        FsrInfo(do_bad, SIGBUS, 0, bus + "non-linefetch"),
        FsrInfo(do_bad, SIGSEGV, SEGV_ACCERR, "page domain fault"), *_rights(),
    ]  # fmt: skip
    rows += [FsrInfo(do_bad, SIGBUS, 0, f"unknown {number}") for number in range(16, 32)]
    rows[20] = FsrInfo(do_bad, SIGBUS, 0, "lock abort")
    rows[22] = FsrInfo(do_bad, SIGBUS, BUS_OBJERR, "imprecise external abort")
    rows[24] = FsrInfo(do_bad, SIGBUS, 0, "dcache parity error")
    return rows


def _ifsr_info() -> list[FsrInfo]:
    rows = [FsrInfo(do_bad, SIGBUS, 0, f"unknown {number}") for number in range(32)]
    rows[2] = FsrInfo(do_bad, SIGBUS, 0, "debug event")
    rows[3] = FsrInfo(do_bad, SIGSEGV, SEGV_ACCERR, "section access flag fault")
    rows[5] = FsrInfo(do_translation_fault, SIGSEGV, SEGV_MAPERR, "section translation fault")
    rows[6] = FsrInfo(do_bad, SIGSEGV, SEGV_ACCERR, "page access flag fault")
    rows[7] = FsrInfo(do_page_fault, SIGSEGV, SEGV_MAPERR, "page translation fault")
    rows[8] = FsrInfo(do_bad, SIGBUS, 0, "external abort on non-linefetch")
    rows[9] = FsrInfo(do_bad, SIGSEGV, SEGV_ACCERR, "section domain fault")
    rows[11] = FsrInfo(do_bad, SIGSEGV, SEGV_ACCERR, "page domain fault")
    rows[12:16] = _rights()
    return rows


def _rights() -> list[FsrInfo]:
    return [
        FsrInfo(do_bad, SIGBUS, 0, "external abort on translation"),
        FsrInfo(do_sect_fault, SIGSEGV, SEGV_ACCERR, "section permission fault"),
        FsrInfo(do_bad, SIGBUS, 0, "external abort on translation"),
        FsrInfo(do_page_fault, SIGSEGV, SEGV_ACCERR, "page permission fault"),
    ]


def fault_tables(k: Kernel) -> tuple[list[FsrInfo], list[FsrInfo]]:
    """fsr_info and ifsr_info as a booted kernel has them, with what initcalls hook in, in their order.

    Source: arch/arm/mm/fsr-2level.c fsr_info, ifsr_info; arch/arm/mm/fault.c hook_fault_code(), exceptions_init();
        arch/arm/mm/alignment.c alignment_init()
    Differs: codes that drivers and debugging hook (an SoC's PCI host, breakpoints) are left as they are.
    """
    data, fetch = _fsr_info(), _ifsr_info()
    if k.cpu_architecture >= CPU_ARCH_ARMv6:
        data[4] = FsrInfo(do_translation_fault, SIGSEGV, SEGV_MAPERR, "I-cache maintenance fault")
    if k.cpu_architecture >= CPU_ARCH_ARMv7:
        data[3] = data[6] = FsrInfo(do_bad, SIGSEGV, SEGV_MAPERR, "section access flag fault")
    if k.build.config.ALIGNMENT_TRAP:
        data[FAULT_CODE_ALIGNMENT] = FsrInfo(do_alignment, SIGBUS, BUS_ADRALN, "alignment exception")
        if k.cpu_architecture <= CPU_ARCH_ARMv6:
            data[3] = FsrInfo(do_alignment, SIGBUS, BUS_ADRALN, "alignment exception")
    return data, fetch


def do_abort(k: Kernel, fault: Fault, user_mode: bool = False) -> Signal | None:
    """Do what the kernel does about a fault of the boot processor; None: the access may be made again.

    Source: arch/arm/mm/fault.c do_DataAbort(), do_PrefetchAbort(), arch/arm/mm/pabort-legacy.S legacy_pabort
    """
    alignment_trap(k)
    prefetch = fault.access == "execute"
    if prefetch:
        fsr = LEGACY_IFSR if k.cpu_architecture < CPU_ARCH_ARMv6 else fault.fsr
    else:  # before ARMv6 the kernel reads the instruction for FSR_WRITE
        fsr = fault.fsr | (FSR_WRITE if fault.access == "write" else 0)
    info = fault_tables(k)[prefetch][fsr_fs(fsr)]
    answer = info.fn(k, Abort(fault.va, fsr | FSR_LNX_PF if prefetch else fsr, user_mode))
    if answer is not UNHANDLED:
        return answer if isinstance(answer, Signal) else None
    if prefetch:
        printk(k, KERN_ALERT, "Unhandled prefetch abort: {name} (0x{fsr:03x}) at 0x{va:08x}", func="do_PrefetchAbort",
               name=info.name, fsr=fsr, va=fault.va)
    else:
        printk(k, KERN_ALERT, "8<--- cut here ---", func="do_DataAbort")
        printk(k, KERN_ALERT, "Unhandled fault: {name} (0x{fsr:03x}) at 0x{va:08x}", func="do_DataAbort",
               name=info.name, fsr=fsr, va=fault.va)
        show_pte(k, fault.va)
    if not user_mode:
        die(k, "", fsr)
        return Signal(SIGKILL, 0, fault.va)
    return Signal(info.sig, info.code, fault.va)
