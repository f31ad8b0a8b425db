"""Tightly coupled memory: what the kernel says of its banks, and where it maps them."""

import pytest

from bootsim.hw.cpu import ARM920, ARM926, ARM1176
from bootsim.linux.arch.arm.asm.mach.map import MT_MEMORY_RW_DTCM, MT_MEMORY_RWX_ITCM
from bootsim.linux.arch.arm.kernel.setup import setup_processor
from bootsim.linux.arch.arm.kernel.tcm import tcm_init
from bootsim.linux.arch.arm.mm.mmu.mem_types import build_mem_type_table
from bootsim.linux.mm.memblock import memblock_add, memblock_set_current_limit

V5 = {"CPU_V7": False, "CPU_ARM926T": True, "CPU_ARM920T": True, "CPU_32v5": True, "CPU_CACHE_VIVT": True, "SMP": False,
      "SMP_ON_UP": False, "HAVE_TCM": True}  # fmt: skip
V6 = {"CPU_V7": False, "CPU_V6": True, "CPU_32v6": True, "CPU_CACHE_VIPT": True, "SMP": False, "SMP_ON_UP": False,
      "HAVE_TCM": True}  # fmt: skip


@pytest.fixture
def found(make):
    """The kernel's lines, and its static mappings, for a processor with these registers."""

    def boot(cpu, config=V5, **registers):
        k = make.started(cpu=cpu._replace(**registers), **config)
        setup_processor(k)
        memblock_add(k.mm.memblock, 0x60000000, 64 << 20)
        memblock_set_current_limit(k.mm.memblock, 0x60C00000)  # what head.S maps
        build_mem_type_table(k)
        before = len(k.log.records)
        tcm_init(k)
        said = [record.text for record in k.log.records[before:] if record.kernel]
        return k, said, [(hex(vm.vm.addr), vm.vm.size) for vm in k.mm.static_vmlist]

    return boot


def test_a_bank_of_each_is_moved_and_mapped_one_to_one(found):
    # an ARM926 of a U300 as its driver's description has it: 16 KiB each, here not where the kernel wants them
    k, said, mapped = found(ARM926, tcmtr=0x00010001, dtcm=0x40000010, itcm=0x00000015)
    assert said == [
        "CPU: found DTCM0 8k @ 40000000, not enabled",
        "CPU: moved DTCM0 8k to fffe8000, enabled",
        "CPU: found ITCM0 16k @ 00000000, enabled",
        "CPU: moved ITCM0 16k to fffe0000, enabled",
    ]
    assert sorted(mapped) == [("0xfffe0000", 16 << 10), ("0xfffe8000", 8 << 10)]
    entries = (k.machine.ram.read32(k.mm.init_mm.pgd_pa + 4 * 0xFFF) & ~0x3FF) + 4 * 0xE8
    pages = [k.machine.ram.read32(entries + 4 * i) for i in range(3)]
    assert [page & ~0xFFF for page in pages] == [0xFFFE8000, 0xFFFE9000, 0]
    assert k.mm.mem_types[MT_MEMORY_RW_DTCM].prot_pte & 1 << 9  # not to be executed, which ITCM is
    assert not k.mm.mem_types[MT_MEMORY_RWX_ITCM].prot_pte & 1 << 9


def test_two_banks_lie_one_after_the_other(found):
    _, said, mapped = found(ARM1176, V6, tcmtr=0x00020000, dtcm=0x0D, dtcm1=0x11)
    assert said[1::2] == ["CPU: moved DTCM0 4k to fffe8000, enabled", "CPU: moved DTCM1 8k to fffe9000, enabled"]
    assert mapped == [("0xfffe8000", 12 << 10)]


@pytest.mark.parametrize(("registers", "words"), [
    ({"tcmtr": 0}, []),
    ({"tcmtr": 0x80010001, "dtcm": 0x0D}, []),  # of another format
    ({"tcmtr": 0x00030000, "dtcm": 0x0D}, []),  # three banks are none
    ({"tcmtr": 0x00010000}, ["CPU: found DTCM0 0k @ 00000000, not enabled"]),  # as a secure world hides it
    ({"tcmtr": 0x00010001, "dtcm": 0x05, "itcm": 0x0D}, ["CPU: DTCM0 of unknown size"]),
    ({"tcmtr": 0x00000001, "itcm": 0x1D}, ["CPU: ITCM0 larger than 32k found"]),
])  # fmt: skip
def test_what_maps_nothing(found, registers, words):
    _, said, mapped = found(ARM926, **registers)
    assert (said, mapped) == (words, [])


def test_before_armv5_nobody_asks(found):
    assert found(ARM920, tcmtr=0x10001, dtcm=0x0D)[1] == []


def test_without_a_statement_a_line_tells_what_was_taken(found):
    k, _, _ = found(ARM926)
    assert "TCMTR" in k.log.records[-1].text
    assert "--cpu tcmtr=VALUE" in k.log.records[-1].text
