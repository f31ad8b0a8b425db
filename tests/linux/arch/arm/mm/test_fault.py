"""What the kernel says and does about a fault: the entries of fsr_info, oopses, signals of processes."""

import struct

import pytest

import bootsim
from bootsim.errors import KernelPanic
from bootsim.hw.mmu import Fault
from bootsim.lab.session import Session
from bootsim.linux.arch.arm.asm.system_info import CPU_ARCH_ARMv5, CPU_ARCH_ARMv6
from bootsim.linux.arch.arm.mm.fault.abort import (
    BUS_ADRALN,
    SEGV_ACCERR,
    SEGV_MAPERR,
    SIGBUS,
    SIGKILL,
    SIGSEGV,
    Signal,
    do_abort,
    fault_tables,
    fsr_fs,
    show_pte,
)
from bootsim.views import alive


@pytest.fixture
def lab():
    lab = Session(bootsim.boot("vexpress.dts", config="3G/1G", mem="256M", cmdline="norandmaps"), alive.text)
    lab.names()
    return lab


@pytest.fixture
def p(lab, tmp_path):
    head = struct.pack("<4sBBB9xHHIIIIIHHHHHH", b"\x7fELF", 1, 1, 1, 2, 40, 1, 0x10100, 52, 0, 0x05000200, 52, 32, 2, 0,
                       0, 0)  # fmt: skip
    path = tmp_path / "a.elf"
    segments = (1, 0, 0x10000, 0x10000, 0x2000, 0x3000, 7, 0x1000), (0x6474E551, 0, 0, 0, 0, 0, 6, 4)
    path.write_bytes(head + b"".join(struct.pack("<8I", *words) for words in segments) + bytes(0x2000))
    return lab.process(path)


def said(lab):
    return [record.text for record in lab.k.log.records if not record.text.startswith("bootsim:")][-4:]


def test_which_entry_a_status_leads_to():
    assert [fsr_fs(fsr) for fsr in (0x805, 0x1F, 0x406, 0xC07)] == [5, 15, 22, 23]


def test_the_tables_of_a_booted_kernel(lab):
    data, fetch = fault_tables(lab.k)
    assert len(data) == len(fetch) == 32
    assert (data[3].name, data[3].sig, data[3].code) == ("section access flag fault", SIGSEGV, SEGV_MAPERR)
    assert data[6].name == "section access flag fault"  # of pages, too: the kernel calls it so
    assert (data[4].name, fetch[4].name) == ("I-cache maintenance fault", "unknown 4")
    assert (data[1].sig, data[1].code) == (SIGBUS, BUS_ADRALN)
    assert [data[n].name for n in (8, 12, 22)] == [
        "external abort on non-linefetch", "external abort on translation", "imprecise external abort"]


def test_before_armv7_no_access_flag_is_hooked(lab):
    lab.k.cpu_architecture = CPU_ARCH_ARMv6
    data, _ = fault_tables(lab.k)
    assert data[3].name == "alignment exception"
    assert data[6].name == "external abort on linefetch"


def test_an_address_of_the_kernels_that_nobody_mapped(lab):
    fault = lab.load(0xF1000000)
    assert lab.abort(fault) == Signal(SIGKILL, 0, 0xF1000000)
    assert said(lab) == ["8<--- cut here ---", "Unable to handle kernel paging request at virtual address f1000000",
                         "[f1000000] *pgd=00000000", "Internal error: Oops: 5 [#1] SMP ARM"]
    lab.abort(lab.store(0x10, 0))
    assert said(lab)[1] == "Unable to handle kernel NULL pointer dereference at virtual address 00000010"
    assert said(lab)[3] == "Internal error: Oops: 805 [#2] SMP ARM"


def test_the_kernels_code_is_not_written(lab):
    text = lab.k.build.symbols.text & ~0xFFFFF | 0x100000
    assert lab.abort(lab.store(text, 0)).sig == SIGKILL
    assert said(lab)[1].startswith("Unable to handle kernel paging request at virtual address c01")
    assert "(bad)" in said(lab)[2]
    assert said(lab)[3] == "Internal error: Oops: 80d [#1] SMP ARM"


def test_user_pages_that_the_kernel_keeps_from_itself(lab, p):
    addr = p.mmap(0, 4096)
    p.write(addr, b"x")
    lab.switch_to(p)
    assert lab.abort(lab.load(addr)) == Signal(SIGKILL, 0, addr)
    assert said(lab)[1] == f"Unhandled fault: page domain fault (0x01b) at 0x{addr:08x}"
    assert said(lab)[2].startswith(f"[{addr:08x}] *pgd=")
    assert ", *ppte=" in said(lab)[2]
    assert said(lab)[3] == "Internal error: : 1b [#1] SMP ARM"


def test_pages_of_a_process_are_brought_in(lab, p):
    addr = p.mmap(0, 4096)
    lab.switch_to(p)
    fault = lab.store(addr, 7, privileged=False)
    assert fault.kind == "translation"
    assert lab.abort(fault, privileged=False) is None
    assert lab.store(addr, 7, privileged=False) is None
    assert lab.load(addr, privileged=False) == 7


def test_signals_of_a_process(lab, p):
    read_only, gone = p.mmap(0, 4096, 1), p.mmap(0, 4096)
    p.munmap(gone, 4096)
    lab.switch_to(p)
    before = said(lab)
    assert lab.abort(lab.store(read_only, 1, privileged=False), privileged=False) == Signal(
        SIGSEGV, SEGV_ACCERR, read_only)
    assert lab.abort(lab.load(gone, privileged=False), privileged=False) == Signal(SIGSEGV, SEGV_MAPERR, gone)
    kernel = lab.k.build.config.PAGE_OFFSET
    assert lab.abort(lab.load(kernel, privileged=False), privileged=False) == Signal(SIGSEGV, SEGV_MAPERR, kernel)
    assert said(lab) == before  # the kernel says nothing of a program's SIGSEGV


def test_code_is_brought_in_where_it_may_run(lab, p):
    data = p.mmap(0, 4096)
    p.write(data, b"x")
    lab.switch_to(p)
    fault = lab.fetch(0x10100, privileged=False)
    assert (fault.kind, lab.k.cpus[0].cp15.ifar) == ("translation", 0x10100)
    assert lab.abort(fault, privileged=False) is None
    assert lab.fetch(0x10100, privileged=False) == 0
    assert lab.abort(lab.fetch(data, privileged=False), privileged=False) == Signal(SIGSEGV, SEGV_ACCERR, data)


def test_a_stack_does_not_grow_for_code_that_may_not_run(lab, p):
    lab.switch_to(p)
    stack = next(vma for vma in p.task.mm if vma.vm_flags & 0x100)  # VM_GROWSDOWN
    below = stack.vm_start - 0x2000
    answer = lab.abort(lab.fetch(below, privileged=False), privileged=False)
    assert answer == Signal(SIGSEGV, SEGV_ACCERR, below)
    assert not lab.k.translate(below)  # it has grown, but no page came in
    assert stack.vm_start == below


def test_an_oops_tells_that_it_was_a_fetch(lab):
    lab.abort(lab.fetch(0x10))
    assert said(lab)[1] == "Unable to handle kernel NULL pointer dereference at virtual address 00000010"
    assert said(lab)[3] == "Internal error: Oops: 80000005 [#1] SMP ARM"


def test_with_oops_panic_an_oops_is_the_end(lab):
    # text and order of arch/arm/kernel/traps.c oops_end()
    lab.k.options["panic_on_oops"] = True
    with pytest.raises(KernelPanic, match="Fatal exception"):
        lab.abort(lab.load(0x10))
    assert said(lab)[-2:] == ["Kernel panic - not syncing: Fatal exception",
                              "---[ end Kernel panic - not syncing: Fatal exception ]---"]
    assert lab.k.panicked.reason == "Fatal exception"


def test_a_programs_fault_is_no_oops(lab, p):
    lab.k.options["panic_on_oops"] = True
    lab.switch_to(p)
    assert lab.abort(lab.load(0x10, privileged=False), privileged=False) == Signal(SIGSEGV, SEGV_MAPERR, 0x10)
    assert lab.k.panicked is None


def test_before_armv6_every_fetch_faults_as_if_nothing_were_there(lab):
    fault = lab.fetch(0xF1000000)
    lab.k.machine.devices = []
    outside = lab.fetch(lab.ioremap(0x10009000, 4096))
    lab.k.cpu_architecture = CPU_ARCH_ARMv5
    for nth, found in enumerate((fault, outside), 1):
        assert lab.abort(found, privileged=False) == Signal(SIGSEGV, SEGV_MAPERR, found.va)
        lab.abort(found)
        assert said(lab)[3] == f"Internal error: Oops: 80000005 [#{nth}] SMP ARM"


def test_before_armv6_a_programs_unaligned_access_is_left_to_the_processor(lab, p):
    addr = p.mmap(0, 4096)
    p.write(addr, bytes(range(8)))
    lab.switch_to(p)
    lab.k.cpu_architecture = CPU_ARCH_ARMv5
    lab.k.cr_alignment |= 2  # of a build for ARMv5
    lab.k.cpus[0].cp15.sctlr |= 2
    fault = lab.load(addr + 1, privileged=False)
    assert fault.kind == "alignment"
    assert lab.abort(fault, privileged=False) is None
    assert lab.load(addr + 1, privileged=False) == 0x04030201  # the processor is an ARMv7 after all
    kernel = lab.load(lab.k.build.config.PAGE_OFFSET + 0x100001)
    assert kernel.kind == "alignment"  # in the kernel they are refused again
    assert lab.abort(kernel) is None
    assert lab.load(addr + 1, privileged=False).kind == "alignment"


def test_a_program_without_the_kernels_helpers(lab, p):
    lab.switch_to(p)
    fault = lab.load(0xF1000000, privileged=False)
    there = lab.store(0xFFFF0FE0, 0, privileged=False)
    before = said(lab)
    lab.abort(there, privileged=False)
    assert said(lab) == before
    lab.k.build = lab.k.build.replace(config=lab.k.build.config.replace(KUSER_HELPERS=False))
    lab.abort(fault, privileged=False)
    assert said(lab) == before
    assert lab.abort(there, privileged=False) == Signal(SIGSEGV, SEGV_MAPERR, 0xFFFF0FE0)
    assert said(lab)[-1] == f"{p.task.comm}: CONFIG_KUSER_HELPERS disabled at 0xffff0fe0"


def test_what_vmalloc_mapped_meanwhile_is_copied_at_the_first_fault(lab, p):
    lab.switch_to(p)
    va = lab.vmalloc(3 << 20)
    last = va + (3 << 20) - 4096
    fault = lab.load(last)
    assert isinstance(fault, Fault)
    assert lab.abort(fault) is None
    assert isinstance(lab.load(last), int)


# What a program told of its signals on Debian's 5.10.0-32-armmp (QEMU's virt, Cortex-A15): access, which page, answer.
# The pages: 0 written, 1 written and read-only, 2 untouched without rights, 3 unmapped, 4 written and without rights.
REAL = (
    ("load", 0x40003000, SEGV_MAPERR), ("store", 0x40001000, SEGV_ACCERR), ("load", 0x40002000, SEGV_ACCERR),
    ("store", 0x40004010, SEGV_ACCERR), ("store", 0x10, SEGV_MAPERR), ("load", 0xC0100000, SEGV_MAPERR),
    ("store", 0xC0100000, SEGV_MAPERR), ("load", 0xF0000000, SEGV_MAPERR), ("fetch", 0x40000000, SEGV_ACCERR),
    ("fetch", 0, SEGV_MAPERR), ("fetch", 0xC0100000, SEGV_MAPERR),
)  # fmt: skip


@pytest.mark.parametrize(("access", "va", "code"), REAL)
def test_signals_are_those_of_a_real_kernel(lab, p, access, va, code):
    fixed = lab.bare["MAP_FIXED"] | lab.bare["MAP_PRIVATE"] | lab.bare["MAP_ANONYMOUS"]
    start = p.mmap(0x40000000, 8 << 12, 3, fixed)
    for page in (0, 1, 4):
        p.write(start + (page << 12), b"x")
    p.mprotect(start + 0x1000, 4096, 1)
    p.mprotect(start + 0x2000, 4096, 0)
    p.munmap(start + 0x3000, 4096)
    p.mprotect(start + 0x4000, 4096, 0)
    lab.switch_to(p)
    fault = lab.store(va, 1, privileged=False) if access == "store" else getattr(lab, access)(va, privileged=False)
    assert lab.abort(fault, privileged=False) == Signal(SIGSEGV, code, va)


def test_a_table_is_looked_for_in_the_first_word_of_a_pair(lab):
    pgd = lab.k.mm.init_mm.pgd_pa
    show_pte(lab.k, 0xFFFF0000)  # in the second
    first = lab.k.machine.ram.read32(pgd + 0x7FF * 8)
    linux = (first & ~0xFFF) + 0x1F0 * 4
    words = lab.k.machine.ram.read32(linux), lab.k.machine.ram.read32(linux + 2048)
    assert said(lab)[-1] == f"[ffff0000] *pgd={first:08x}, *pte={words[0]:08x}, *ppte={words[1]:08x}"


def test_external_aborts_and_alignment(lab, p):
    lab.k.machine.devices = []
    va = lab.ioremap(0x10009000, 4096)
    fault = lab.load(va)
    assert fault.kind == "external abort"
    assert lab.abort(fault).sig == SIGKILL
    assert said(lab)[1] == f"Unhandled fault: external abort on non-linefetch (0x008) at 0x{va:08x}"
    assert lab.abort(lab.load(va + 2)) is None  # made byte by byte
    assert do_abort(lab.k, fault, user_mode=True) == Signal(SIGBUS, 0, va)


def test_the_tables_as_the_prompt_shows_them(lab):
    """fsr-2level.c's rows, with what exceptions_init() and alignment_init() hook in on ARMv7."""
    data, fetch = ([" ".join(row[5:].split()) for row in table.splitlines()]
                   for table in (lab.fsr_info(), lab.fsr_info(fetch=True)))  # fmt: skip
    assert len(data) == len(fetch) == 32
    assert data[5] == "do_translation_fault SIGSEGV section translation fault"
    assert data[1] == "do_alignment SIGBUS alignment exception"  # hooked in: do_bad() in the source's table
    assert data[13] == "do_sect_fault SIGSEGV section permission fault"
    assert data[15] == fetch[15] == "do_page_fault SIGSEGV page permission fault"
    assert fetch[1] == "do_bad SIGBUS unknown 1"
