from types import SimpleNamespace

import pytest

from bootsim.hw.cpu import CORTEX_A9, CORTEX_A15
from bootsim.hw.machine import power_on
from bootsim.hw.memory import PhysicalAddressError


def handover(**changes):
    fields = {"blob": b"\xd0\x0d\xfe\xed tree", "dtb_pa": 0x68000000, "kernel_pa": 0x60008000,
              "banks": [(0x60000000, 0x40000000)], "initrd_pa": None, "initrd_bytes": 0}
    return SimpleNamespace(**({"told": (), "firmware": None, "left": ()} | fields | changes))


def test_power_on_puts_the_tree_into_ram():
    machine = power_on(handover())
    assert machine.ram.read(0x68000000, 9) == b"\xd0\x0d\xfe\xed tree"
    assert (machine.dtb_pa, machine.kernel_pa) == (0x68000000, 0x60008000)
    assert machine.cpu is CORTEX_A9
    assert machine.cpus == 1


def test_the_mmu_is_off_after_reset():
    machine = power_on(handover(), CORTEX_A15, cpus=2)
    assert machine.cp15.sctlr == 0x00C50078
    assert machine.cp15.id_mmfr0 == CORTEX_A15.id_mmfr0
    found = machine.translate(0x60008000)
    assert found
    assert (found.pa, found.kind) == (0x60008000, "off")


def test_ram_is_where_the_banks_are():
    machine = power_on(handover(banks=[(0x60000000, 0x1000), (0x80000000, 0x1000)]))
    assert machine.has_ram(0x60000000, 0x1000)
    assert not machine.has_ram(0x60000000, 0x1001)
    assert not machine.has_ram(0x70000000)
    assert machine.has_ram(0x80000FFF)


def test_a_tree_past_the_end_of_the_address_space_is_refused():
    with pytest.raises(PhysicalAddressError):
        power_on(handover(dtb_pa=0xFFFFFFF8, blob=bytes(64)))
