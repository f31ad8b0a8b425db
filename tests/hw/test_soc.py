"""The system on chip: where its private peripherals are, and what its registers read as."""

from pathlib import Path

import pytest

from bootsim.errors import InputError
from bootsim.hw.soc import REGISTERS, Soc, register_name, register_pa, soc_for
from bootsim.inputs.devicetree import load_tree


@pytest.fixture
def board(tmp_path):
    def compiled(body, compatible="example,board"):
        path = tmp_path / "board.dts"
        head = f'compatible = "{compatible}"; #address-cells = <1>; #size-cells = <1>;'
        path.write_text(f"/dts-v1/;\n/ {{ {head}\n{body} }};")
        return load_tree(path)

    return compiled


def test_the_scu_is_where_its_node_says(board):
    tree = board('scu@a00000 { compatible = "arm,cortex-a9-scu"; reg = <0xa00000 0x58>; };')
    assert soc_for(tree).scu_base_pa == 0xA00000


def test_the_scu_lies_below_a_cortex_a9s_interrupt_controller(board):
    tree = board('gic@a01000 { compatible = "arm,cortex-a9-gic"; reg = <0xa01000 0x1000>, <0xa00100 0x100>; };')
    assert soc_for(tree).scu_base_pa == 0xA00000


def test_addresses_pass_through_the_ranges_of_every_bus(board):
    tree = board("""
        soc { #address-cells = <1>; #size-cells = <1>; ranges = <0xd0000 0 0xf1000000 0x100000>;
              #address-cells = <2>;
            bus { #address-cells = <1>; #size-cells = <1>; ranges = <0 0xd0000 0 0x100000>;
                timer@c600 { compatible = "arm,cortex-a9-twd-timer"; reg = <0xc600 0x20>; }; }; };""")
    assert soc_for(tree).scu_base_pa == 0xF100C000


def test_a_node_that_no_range_leads_to_is_passed_over(board):
    tree = board("""
        bus { #address-cells = <1>; #size-cells = <0>;
            scu@5 { compatible = "arm,cortex-a9-scu"; reg = <5>; }; };""")
    assert soc_for(tree).scu_base_pa == Soc().scu_base_pa


def test_the_scu_counts_the_processors_there_are():
    assert [Soc(0x1000).read32(0x1004, cpus) & 3 for cpus in (1, 2, 4, 8)] == [0, 1, 3, 3]


def test_what_is_stated_wins(board):
    soc = soc_for(board(""), [("scu", 0x2C000000), ("0x2c000004", 0), ("omap4.idcode", 0x2B94E02F)])
    assert (soc.scu_base_pa, soc.read32(0x2C000004, 4), soc.read32(0x4A002204, 1)) == (0x2C000000, 0, 0x2B94E02F)


@pytest.mark.parametrize("words", [["scu", "scu"], ["omap4.idcode", "0x4a002204"], ["0x10", "16"]])
def test_a_register_is_stated_once(board, words):
    with pytest.raises(InputError, match=rf"--soc {words[1]}: given twice, 0x10 and 0x20"):
        soc_for(board(""), zip(words, (0x10, 0x20), strict=True))


def test_an_exynos4210_is_the_one_of_qemu_and_others_say_nothing(board):
    assert soc_for(board("", "samsung,exynos4210")).read32(0x10000000, 1) == 0x43210211
    assert soc_for(board("", "samsung,exynos5250")).read32(0x10000000, 1) == 0


@pytest.mark.parametrize("name", ["omap9.idcode", "", "0x10000002", "0x100000000", "-4"])
def test_a_register_there_is_not(name):
    with pytest.raises(InputError, match="--soc"):
        register_pa(name)


def test_every_register_has_one_name():
    assert all(register_name(register_pa(name)) == name for name in REGISTERS)


@pytest.mark.parametrize(("powered", "base"), [(1, 0), (2, 0xA00000), (0, 0xA00000)])
def test_qemus_imx6_with_one_processor_of_two_has_no_private_peripherals(board, powered, base):
    tree = board("""scu@a00000 { compatible = "arm,cortex-a9-scu"; reg = <0xa00000 0x58>; };
        cpus { #address-cells = <1>; #size-cells = <0>;
            cpu@0 { device_type = "cpu"; reg = <0>; }; cpu@1 { device_type = "cpu"; reg = <1>; }; };""", "fsl,imx6q")
    assert soc_for(tree, cpus=powered).scu_base_pa == base


def test_every_register_is_documented():
    text = (Path(__file__).parents[2] / "docs/boards.md").read_text()
    assert [name for name, (pa, _) in REGISTERS.items() if f"| `{name}` | {pa:#x} |" not in text] == []
