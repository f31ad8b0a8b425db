"""What a bootloader would do for a tree."""

from pathlib import Path

import pytest
from boards.builds import older_builds
from boards.plan import MIB, NotModelledError, Plan, Summary, ranges, summary
from boards.plan import choose as choose_of

from bootsim.hw.cpu import cpu_for
from bootsim.inputs.configfile import load_build
from bootsim.inputs.devicetree import load_tree

TREES = Path(__file__).parent / "trees"
A7 = cpu_for("arm,cortex-a7")


@pytest.fixture(scope="module")
def build():
    return load_build("3G/1G")


def choose(board, build, cpu=A7):
    return choose_of(board, cpu, (build, *older_builds()))


def board(**changes):
    return Summary(**({"compatible": ("example,board",), "memory": ((0x40000000, 64 * MIB),)} | changes))


def read(name):
    return summary(load_tree(TREES / name).blob, name)


def test_summary():
    assert read("sized.dts") == Summary(
        ("example,sized", "example,soc"), ((0x80000000, 128 * MIB),)
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
    assert choose(read("sized.dts"), build) == Plan(build)


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
    ("memory", "reason"),
    [(0x800000000, "RAM: all above 4 GiB"), (0x20000000, "RAM: 2 MiB, smaller than a kernel")],
)
def test_not_modelled(build, memory, reason):
    with pytest.raises(NotModelledError, match=reason):
        choose(board(memory=((memory, 2 * MIB),)), build)


@pytest.mark.parametrize(("cpu", "kernel"), [
    ("arm,arm1176jzf-s", "v6bcm2835"), ("arm,arm926ej-s", "v5versatile"),
    ("marvell,xscale", "v5versatile"), ("marvell,feroceon-old", "v5versatile"), ("arm,arm920t", "v5versatile"),
])
def test_the_first_kernel_that_knows_the_processor(build, cpu, kernel):
    assert choose(board(), build, cpu_for(cpu)).build.name.split()[0] == kernel


def test_a_smaller_kernel_where_ram_is_small(build):
    assert choose(board(memory=((0x20000000, 8 * MIB),)), build).build.name.startswith("v6bcm2835")
