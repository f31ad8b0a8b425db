"""Addresses of devices through the buses above them."""

import pytest

import bootsim
from bootsim.errors import InputError
from bootsim.lab.session import Session
from bootsim.views import alive

TREE = """/dts-v1/;
/ {
	#address-cells = <1>;
	#size-cells = <1>;
	compatible = "arm,vexpress";
	memory@60000000 { device_type = "memory"; reg = <0x60000000 0x10000000>; };
	chosen { };
	cpus {
		#address-cells = <1>;
		#size-cells = <0>;
		cpu@0 { device_type = "cpu"; compatible = "arm,cortex-a9"; reg = <0>; };
	};
	outer@40000000 {
		#address-cells = <1>;
		#size-cells = <1>;
		ranges = <0 0x40000000 0x10000000>;
		inner {
			#address-cells = <2>;
			#size-cells = <1>;
			ranges = <0 0 0x00100000 0x1000>, <7 0 0x08000000 0x20000>;
			uart: uart@7,9000 { reg = <0 0x10 0x10>, <7 0x9004 0x100>; };
			far@9,0 { reg = <9 0 0x10>; };
			none { };
		};
		closed {
			#address-cells = <1>;
			#size-cells = <1>;
			device@0 { reg = <0 0x10>; };
		};
		pci {
			device_type = "pci";
			#address-cells = <3>;
			#size-cells = <2>;
			ranges = <0x02000000 0 0 0x01000000 0 0x1000>;
			card@0 { reg = <0x02000000 0 0 0 0x10>; };
		};
	};
	aliases { serial0 = &uart; };
};
"""


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    file = tmp_path_factory.mktemp("tree") / "a.dts"
    file.write_text(TREE)
    return Session(bootsim.boot(str(file)), alive.text)


def test_each_bus_adds_its_own_offset(lab):
    assert lab.of_get_address("serial0") == (0x10, 0x10)
    assert lab.of_translate_address("serial0", 0x10) == 0x40100010
    assert lab.of_get_address("serial0", 1) == (7 << 32 | 0x9004, 0x100)
    assert lab.of_translate_address("serial0", 7 << 32 | 0x9004) == 0x48009004


def test_what_no_range_holds_is_nobodys(lab):
    assert lab.of_get_address("serial0", 2) is None
    assert lab.of_get_address("/outer@40000000/inner/none") is None
    assert lab.of_get_address("/") is None
    assert lab.of_translate_address("/", 0) is None
    assert lab.of_translate_address("serial0", 0x1000) is None
    assert lab.of_iomap("/outer@40000000/inner/far@9,0") == 0
    # a bus without ranges is closed; the number of a processor is no address
    assert lab.of_iomap("/outer@40000000/closed/device@0") == 0
    assert lab.of_iomap("/cpus/cpu@0") == 0


def test_a_bus_with_addresses_of_its_own_kind_is_named(lab):
    assert lab.of_iomap("/outer@40000000/pci/card@0") == 0
    assert any("/outer@40000000/pci: addresses on a PCI" in record.text for record in lab.k.log.records)


def test_registers_are_mapped_where_they_lie(lab):
    va = lab.of_iomap("serial0", 1)
    assert va & 0xFFF == 4
    assert lab.k.translate(va).pa == 0x48009004
    assert lab.k.translate(va).memory.type == "device"
    assert "of_iomap phys=0x48009000 ioremap" in lab.cat("/proc/vmallocinfo")
    lab.iounmap(va)
    assert not lab.k.translate(va)


@pytest.mark.parametrize("node", ["/nowhere", "serial7", 5, None])
def test_what_is_no_node_is_bad_input(lab, node):
    with pytest.raises(InputError, match="no node"):
        lab.of_iomap(node)
