"""What a bootloader would do for a tree."""

from pathlib import Path

import pytest
from boards.plan import MIB, NotModelledError, Plan, Summary, choose, ranges, summary

from bootsim.inputs.configfile import load_build
from bootsim.inputs.devicetree import load_tree

TREES = Path(__file__).parent / "trees"
A7 = (("arm,cortex-a7",),)


@pytest.fixture(scope="module")
def build():
    return load_build("3G/1G")


def board(**changes):
    return Summary(**({"compatible": ("example,board",), "cpus": A7, "memory": ((0x40000000, 64 * MIB),)} | changes))


def read(name):
    return summary(load_tree(TREES / name).blob, name)


def test_summary():
    assert read("sized.dts") == Summary(
        ("example,sized", "example,soc"), (("arm,cortex-a8",),), ((0x80000000, 128 * MIB),)
    )
    empty = read("empty-bank.dts")
    assert (empty.memory, empty.banks, empty.reserved) == (((0x10000000, 0),), [], (0x3F100000,))
    assert read("no-memory.dts").memory is None


def test_ranges():
    reg = bytes.fromhex("00000001 80000000 00000000 40000000")
    assert ranges(reg, 2, 2) == [(0x180000000, 0x40000000)]
    assert ranges(reg, 1, 1) == [(1, 0x80000000), (0, 0x40000000)]
    assert ranges(reg[:12], 2, 2) == ranges(reg, 0, 0) == []


def test_a_tree_that_says_all_is_taken_as_it_is(build):
    assert choose(read("sized.dts"), build) == Plan()


def test_an_empty_bank_gets_as_much_as_the_reservations_need(build):
    plan = choose(read("empty-bank.dts"), build)
    assert (plan.mem_bytes, plan.load_pa) == (1024 * MIB, None)
    assert plan.why == ("1024 MiB of RAM at 0x10000000",)


def test_a_tree_without_memory_gets_it_where_the_system_has_it(build):
    plan = choose(read("no-memory.dts"), build)
    assert (plan.mem_bytes, plan.load_pa) == (512 * MIB, 0x40008000)
    assert plan.why == ("512 MiB of RAM at 0x40000000, as all allwinner,sun7i-a20",)


def test_address_0_of_an_empty_bank_says_nothing(build):
    plan = choose(board(compatible=("example,board", "ti,omap3"), memory=((0, 0),)), build)
    assert plan.load_pa == 0x80008000
    with pytest.raises(NotModelledError, match="where example,board has it is not known"):
        choose(board(memory=((0, 0),)), build)


def test_ram_at_an_odd_address(build):
    odd = board(memory=((0xA800, 64 * MIB), (0x19100000, 64 * MIB)))
    assert choose(odd, build).load_pa == 0x1008000
    assert choose(board(memory=((0xA800, 64 * MIB), (0x20000000, 64 * MIB))), build).load_pa is None


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"cpus": (("arm,arm926ej-s",),)}, "CPU arm,arm926ej-s"),
        ({"cpus": (), "compatible": ("board", "mrvl,pxa168")}, "CPU Mohawk"),
        ({"cpus": ((),), "compatible": ("arm,integrator-ap",)}, "CPU ARM926 core module"),
        ({"memory": ((0x800000000, 64 * MIB),)}, "RAM: all above 4 GiB"),
        ({"memory": ((0x20000000, 10 * MIB),)}, "RAM: 10 MiB, smaller than this kernel"),
    ],
)
def test_not_modelled(build, changes, reason):
    with pytest.raises(NotModelledError, match=reason):
        choose(board(**changes), build)


def test_no_cpu_node(build):
    assert choose(board(cpus=()), build).why == ("no cpu node: Cortex-A9 assumed",)


def test_any_cpu_that_is_known_will_do(build):
    assert choose(board(cpus=(("example,cpu",), ("example,x", "arm,cortex-a7"))), build) == Plan()
