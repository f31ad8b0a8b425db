"""Loads, stores and fetches of the processor: alignment, addresses that nothing answers at, the fault registers."""

import copy

import pytest

from bootsim.hw.machine import Machine
from bootsim.hw.mmu import Cp15, Fault

M, A, TRE = 1 << 0, 1 << 1, 1 << 28
TTB, L2, RAM = 0x60004000, 0x60008000, 0x60000000
NORMAL, DEVICE = 0b11 << 2, 0b01 << 2
RW = 0b11 << 4


@pytest.fixture
def machine():
    """Pages: 0x0000 and 0x1000 normal and apart in RAM, 0x2000 nothing, 0x3000 a device, 0x4000 nothing behind it."""
    found = Machine(banks=[(RAM, 1 << 20)], cp15=Cp15(sctlr=M, dacr=1, ttbr0=TTB))
    found.devices = [(0x10000000, 0x10001000)]
    found.ram.write32(TTB, L2 | 1)
    pages = 0x60010000 | NORMAL, 0x60020000 | NORMAL, 0, 0x10000000 | DEVICE, 0x20000000 | NORMAL
    for page, word in enumerate(pages):
        found.ram.write32(L2 + 4 * page, word | RW | 2 if word else 0)
    return found


def told(found):
    assert isinstance(found, Fault), found
    return found.kind, found.status, found.va


def test_bytes_halves_and_unaligned_words(machine):
    assert machine.store(0x0FFE, 0x44332211) is None
    assert machine.ram.read(0x60010FFE, 2) + machine.ram.read(0x60020000, 2) == bytes.fromhex("11223344")
    assert machine.load(0x0FFE) == 0x44332211
    assert (machine.load(0x0FFF, 2), machine.load(0x0FFF, 1)) == (0x3322, 0x22)
    assert machine.store(0x0010, 0xAB, 1) is None
    assert machine.load(0x0010) == 0xAB


def test_an_unaligned_access_with_sctlr_a(machine):
    machine.cp15.sctlr |= A
    assert told(machine.load(0x2002)) == ("alignment", 1, 0x2002)  # before the tables are asked
    assert (machine.cp15.dfsr, machine.cp15.dfar) == (1, 0x2002)
    machine.store(0x0001, 1, 2)
    assert (machine.cp15.dfsr, machine.cp15.dfar) == (0x801, 0x0001)
    assert machine.load(0x0003, 1) == 0
    assert machine.main_tlb().misses == 1


def test_device_memory_takes_aligned_accesses_alone(machine):
    assert machine.load(0x3004) == 0
    assert told(machine.load(0x3006)) == ("alignment", 1, 0x3006)
    assert told(machine.load(0x3006, 4)) == told(machine.store(0x3006, 0))
    machine.cp15.sctlr = 0  # strongly-ordered all of it
    assert told(machine.load(0x60000002))[0] == "alignment"


def test_a_word_across_pages_of_which_one_is_not_there(machine):
    before = machine.load(0x1FFC)
    assert told(machine.store(0x1FFE, 0xFFFFFFFF)) == ("translation", 7, 0x2000)
    assert machine.load(0x1FFC) == before
    assert (machine.cp15.dfsr, machine.cp15.dfar) == (0x807, 0x2000)


def test_an_address_that_nothing_answers_at(machine):
    assert told(machine.load(0x4008)) == ("external abort", 8, 0x4008)
    assert machine.cp15.dfsr == 8
    machine.store(0x4008, 0)
    assert machine.cp15.dfsr == 0x808
    assert told(machine.fetch(0x4008)) == ("external abort", 8, 0x4008)
    machine.devices = None
    assert machine.load(0x4008) == 0
    machine.ram.write32(TTB + 4 * 16, 0x80000000 | 1 << 20 | 1 << 18 | 0xC02)  # a supersection above 4 GiB
    assert told(machine.load(16 << 20))[0] == "external abort"


def test_a_fetch_has_registers_of_its_own(machine):
    machine.load(0x2000)
    machine.ram.write32(L2 + 4 * 5, 0x60010000 | RW | NORMAL | 3)  # execute never
    machine.ram.write32(0x60010004, 0xE12FFF1E)
    assert machine.fetch(0x0004) == 0xE12FFF1E
    assert told(machine.fetch(0x5000)) == ("permission", 15, 0x5000)
    assert (machine.cp15.ifsr, machine.cp15.ifar) == (15, 0x5000)
    assert (machine.cp15.dfsr, machine.cp15.dfar) == (7, 0x2000)
    copied = copy.deepcopy(machine.cp15)
    assert (copied.dfsr, copied.dfar, copied.ifsr, copied.ifar) == (7, 0x2000, 15, 0x5000)


def test_before_armv6_a_word_is_turned():
    machine = Machine(banks=[(RAM, 1 << 20)], cp15=Cp15(id_mmfr0=0))
    machine.devices = []
    machine.ram.write32(RAM, 0x44332211)
    assert machine.load(RAM + 1) == 0x11443322
    assert machine.load(RAM + 3, 2) == 0x4433
    machine.store(RAM + 6, 0xDDCCBBAA)
    assert machine.ram.read32(RAM + 4) == 0xDDCCBBAA
    machine.cp15.sctlr = A
    assert told(machine.load(RAM + 1)) == ("alignment", 1, RAM + 1)
    machine.store(0, 0)
    assert machine.cp15.dfsr == 8


def test_an_unaligned_word_of_registers_that_are_mapped_as_memory(machine):
    class Registers:
        def read32(self, pa, _cpus):
            return pa

    machine.soc = Registers()
    machine.ram.write32(L2 + 4 * 5, 0x10000000 | NORMAL | RW | 2)
    assert machine.load(0x5002) == 0x00041000  # half of the word at 0x10000000, half of the next one
    assert machine.load(0x5003, 1) == 0x10
