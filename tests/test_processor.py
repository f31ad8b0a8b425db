"""The processor that boots, as the tree tells it."""

from pathlib import Path

import pytest

import bootsim
from bootsim.errors import InputError
from bootsim.inputs.devicetree import load_tree

BUILDS = Path(__file__).parent / "golden/builds"
TREE = """/dts-v1/;
/ {{
	compatible = "{board}";
	#address-cells = <1>;
	#size-cells = <1>;
	cpus {{
		#address-cells = <1>;
		#size-cells = <0>;
		{cpus}
	}};
	memory@40000000 {{
		device_type = "memory";
		reg = <0x40000000 0x8000000>;
	}};
}};
"""


def cpu(compatible, reg):
    return f'cpu@{reg:x} {{ device_type = "cpu"; compatible = "{compatible}"; reg = <{reg:#x}>; }};'


@pytest.fixture
def prepare(tmp_path):
    def prepared(*cpus, board="test,board", **inputs):
        (tmp_path / "board.dts").write_text(TREE.format(cpus=" ".join(cpus), board=board))
        return bootsim.prepare(load_tree(tmp_path / "board.dts"), **inputs)

    return prepared


def texts(k):
    return [record.text for record in k.log.records if record.kernel]


def test_the_first_one_says_in_mpidr_what_its_reg_says(prepare):
    k = prepare(cpu("arm,cortex-a7", 0xF01), cpu("arm,cortex-a7", 0xF00))
    assert k.machine.cpu.mpidr == 0x80000F01
    bootsim.run(k, until="setup_machine_fdt")
    assert texts(k)[0] == "Booting Linux on physical CPU 0xf01"


def test_a_cortex_a8_is_alone(prepare):
    k = prepare(cpu("arm,cortex-a8", 0))
    assert k.machine.cpu.mpidr == 0
    bootsim.run(k)
    assert not k.is_smp
    assert "CPU: ARMv7 Processor [410fc080] revision 0 (ARMv7), cr=10c5387d" in texts(k)


def test_a_reg_that_is_no_mpidr_changes_nothing(prepare):
    assert prepare(cpu("arm,cortex-a15", 0x80000001)).machine.cpu.mpidr == 0x80000000


def test_a_processor_that_is_not_known(prepare):
    with pytest.raises(InputError, match=r"board\.dts:.*compatible is acme,cpu9, expected arm,cortex-a9"):
        prepare(cpu("acme,cpu9", 0))


@pytest.mark.parametrize(("board", "midr", "mpidr"), [
    ("arm,vexpress", 0x410FC090, 0x80000900), ("calxeda,highbank", 0x410FC090, 0x80000000),
    ("xlnx,zynq-7000", 0x413FC090, 0x80000900),
])
def test_what_a_processor_says_of_itself_is_the_socs(tmp_path, board, midr, mpidr):
    text = TREE.format(cpus=cpu("arm,cortex-a9", 0x900), board=board)
    (tmp_path / "board.dts").write_text(text)
    found = bootsim.prepare(load_tree(tmp_path / "board.dts")).machine.cpu
    assert (found.midr, found.mpidr) == (midr, mpidr)


def test_a_processor_that_is_not_in_the_tree(tmp_path):
    cpus = cpu("arm,cortex-a9", 0x900) + cpu("arm,cortex-a9", 0x901)
    (tmp_path / "board.dts").write_text(TREE.format(cpus=cpus, board="test,board"))
    k = bootsim.prepare(load_tree(tmp_path / "board.dts"), cpu=["mpidr=0x80000000"])
    bootsim.run(k, until="setup_arch")
    said = [record.text for record in k.log.records]
    at = said.index("DT missing boot CPU MPIDR[23:0], fall back to default cpu_logical_map")
    assert "no node of /cpus has the reg 0x0" in said[at + 1]
    assert "--cpu mpidr=VALUE" in said[at + 1]
    assert k.num_possible_cpus == 1


def test_an_old_tree_that_leaves_out_device_type_tells_its_processor_too(prepare):
    assert prepare('cpu { compatible = "arm,arm926ej-s"; };').machine.cpu.name == "ARM926EJ-S"


@pytest.mark.parametrize(("board", "processor"), [("arm,versatile-pb", "ARM926EJ-S"), ("brcm,bcm2835", "ARM1176")])
def test_a_board_that_names_no_processor_boots_as_the_one_it_has(prepare, board, processor):
    assert prepare(board=board).machine.cpu.name == processor
    assert prepare(board=board, cpu=["cortex-a9"]).machine.cpu.name == "Cortex-A9"


@pytest.mark.parametrize(("board", "processor", "told"), [
    ("arm,realview-eb", "ARM1136", True), ("arm,integrator-cp", "ARM1136", True),
    ("arm,versatile-pb", "ARM926EJ-S", False)])
def test_of_a_board_with_core_modules_the_kernel_tells_the_processor(prepare, board, processor, told):
    k = prepare(board=board, config=BUILDS / "v6realview.yaml")
    assert k.machine.cpu.name == processor
    assert any("the tree does not tell which processor" in r.text for r in k.log.records) == told
    assert prepare(board=board, config=BUILDS / "v5versatile.yaml").machine.cpu.name == "ARM926EJ-S"
    assert prepare(board=board, config=BUILDS / "v6realview.yaml", cpu=["arm1176"]).machine.cpu.name == "ARM1176"
    said = prepare(cpu("arm,arm926ej-s", 0), board=board, config=BUILDS / "v6realview.yaml")
    assert said.machine.cpu.name == "ARM926EJ-S"


def test_its_registers_can_be_given(prepare):
    k = prepare(cpu=["0x410fc076,0x80000100"])
    bootsim.run(k)
    assert texts(k)[0] == "Booting Linux on physical CPU 0x100"
    assert "CPU: ARMv7 Processor [410fc076] revision 6 (ARMv7), cr=10c5387d" in texts(k)


@pytest.mark.parametrize("words", [["tcmtr=1", "tcmtr=2"], ["cortex-a9", "cortex-a15"],
                                   ["0x410fc076,0x80000100", "mpidr=1"]])
def test_what_is_given_twice_is_refused(prepare, words):
    with pytest.raises(InputError, match="one model, and each register once"):
        prepare(cpu=words)


def test_a_cache_type_in_the_form_of_before_armv7_is_read_as_such(prepare):
    k = prepare()
    k.machine.cpu = k.machine.cpu._replace(ctr=0x1D192992)  # bit 23: aliasing data cache; bit 11: instruction cache
    bootsim.run(k)
    assert "CPU: PIPT / VIPT nonaliasing data cache, VIPT aliasing instruction cache" in texts(k)


@pytest.mark.parametrize(("compatible", "lines"), [
    # of the logs of a SolidRun CuBox (Dove), an Armada XP, a phone with MSM8960, boards with BCM7445 and RK3288
    ("marvell,pj4a", ["cr=10c5387d", "PIPT instruction cache", "Memory policy: Data cache writeback"]),
    ("marvell,pj4b", ["cr=10c5387d", "PIPT instruction cache", "Memory policy: Data cache writealloc"]),
    ("qcom,krait", ["cr=10c5787d", "PIPT instruction cache", "Memory policy: Data cache writealloc"]),
    ("brcm,brahma-b15", ["cr=10c5387d", "PIPT instruction cache", "Memory policy: Data cache writealloc"]),
    ("arm,cortex-a12", ["cr=10c5387d", "VIPT aliasing instruction cache", "Memory policy: Data cache writealloc"])])
def test_what_real_ones_print(prepare, compatible, lines):
    k = prepare(cpu(compatible, 0))
    bootsim.run(k, until="arm_memblock_init")
    found = [next(line for line in texts(k) if word in line) for word in ("cr=", "instruction cache", "Memory policy")]
    assert all(line.endswith(end) for line, end in zip(found, lines, strict=True)), found
