"""A VGA console on a machine without one; the addresses are those of real kernels on QEMU's integratorcp, raspi1ap."""

from pathlib import Path

import pytest

import bootsim
from bootsim.errors import KernelPanic
from bootsim.inputs.configfile import load_build
from bootsim.inputs.devicetree import load_tree

TREE = Path(__file__).parents[5] / "dts" / "vexpress.dts"


@pytest.mark.parametrize(("pci", "line"), [
    (True, "Unable to handle kernel paging request at virtual address fee003da"),
    (False, "Unable to handle kernel NULL pointer dereference at virtual address 00000000"),
])
def test_its_port_is_not_mapped_when_it_starts(pci, line):
    build = load_build("3G/1G")
    build = build.replace(config=build.config.replace(VT=True, VGA_CONSOLE=True, PCI=pci))
    k = bootsim.prepare(load_tree(TREE), build)
    with pytest.raises(KernelPanic, match="Attempted to kill the idle task!") as death:
        bootsim.run(k)
    assert line in [record.text for record in k.log.records]
    assert "CONFIG_VGA_CONSOLE" in death.value.cause
