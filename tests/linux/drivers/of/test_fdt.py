"""drivers/of/fdt.c: memory nodes, /chosen and /reserved-memory."""

from __future__ import annotations

import pytest

import bootsim
from bootsim.errors import KernelPanic
from bootsim.inputs.configfile import load_build
from bootsim.linux.lib.fdt import FlatNode, fdt_nop_property
from bootsim.linux.mm.memblock import MEMBLOCK_HOTPLUG, MEMBLOCK_NOMAP

RAM, MIB = 0x60000000, 1 << 20


def memory(k):
    return [(r.base, r.size) for r in k.mm.memblock.memory.regions]


def node(reg, extra="", name="memory@60000000", prop="reg"):
    return f'\t{name} {{ device_type = "memory"; {prop} = <{reg}>; {extra} }};\n'


@pytest.mark.parametrize(("nodes", "banks"), [
    # |-- reg --| is passed over for |usable|
    (node("0x60000000 0x40000000", "linux,usable-memory = <0x60000000 0x10000000>;"), [(RAM, 256 * MIB)]),
    # out of order, and one that touches
    (node("0x80000000 0x1000000 0x60000000 0x10000000 0x70000000 0x1000000"),
     [(RAM, 272 * MIB), (0x80000000, 16 * MIB)]),
    # status does not matter here
    (node("0x60000000 0x10000000", 'status = "disabled";'), [(RAM, 256 * MIB)]),
    # two nodes, the second without an address in its name
    (node("0x60000000 0x10000000") + node("0x80000000 0x1000000", name="memory"),
     [(RAM, 256 * MIB), (0x80000000, 16 * MIB)]),
    # pages that are whole: 0x70000800+0x2400 holds two
    (node("0x60000000 0x10000000 0x80000800 0x2400"), [(RAM, 256 * MIB), (0x80001000, 0x1000)]),
    (node("0x60000000 0x10000000 0x70000000 0"), [(RAM, 256 * MIB)]),
])
def test_banks(board, nodes, banks):
    assert memory(board.boot(memory=nodes, until="setup_machine_fdt")) == banks


@pytest.mark.parametrize(("reg", "said"), [
    ("0x60000000 0x10000000 0x70000000 0x100", "block 0x70000000 - 0x70000100"),
    ("0x60000000 0x10000000 0x40000000 0x1000000", "block 0x40000000 - 0x41000000"),
    ("0x60000000 0x10000000 0x50000000 0x18000000", "range 0x50000000 - 0x60000000")])
def test_banks_passed_over(board, reg, said):
    k = board.boot(memory=node(reg), until="setup_machine_fdt")
    assert board.said(k, "Ignoring") == [f"OF: fdt: Ignoring memory {said}"]
    assert len(board.causes(k)) == 1
    assert board.causes(k)[0].startswith("board.dts:8 /memory@60000000 reg: ")


@pytest.mark.parametrize(("reg", "said"), [
    ("0 0x60000000 0 0x40000000", None),
    ("0 0x60000000 0 0x40000000 1 0 0 0x1000", "block 0x100000000 - 0x100001000"),
    ("0 0x60000000 0 0xb0000000", "range 0x100000000 - 0x110000000")])
def test_two_cells(board, reg, said):
    k = board.boot(memory=node(reg), cells=(2, 2), until="setup_machine_fdt")
    assert board.said(k, "Ignoring") == ([f"OF: fdt: Ignoring memory {said}"] if said else [])
    assert memory(k)[0][0] == RAM


def test_hotpluggable_memory_is_marked(board):
    k = board.boot(memory=node("0x60000000 0x20000000", "hotpluggable;"), until="setup_machine_fdt")
    assert [r.flags for r in k.mm.memblock.memory.regions] == [MEMBLOCK_HOTPLUG]


def test_the_seed_is_wiped_out_of_the_tree(board):
    plain, k = (board.boot(chosen=text, until="request_standard_resources") for text in ("", "rng-seed = <1 2>;"))
    assert "rng-seed" not in next(n for n in k.of.fdt.nodes if n.path == "/chosen").first
    assert [len(n.props) for n in k.of.fdt.nodes] == [len(n.props) for n in plain.of.fdt.nodes]


@pytest.mark.parametrize(("cells", "trust", "said"), [(7, True, False), (8, True, True), (8, False, False)])
def test_a_long_seed_is_enough_for_the_random_numbers(board, cells, trust, said):
    seed = f"rng-seed = <{'1 ' * cells}>;"
    k = board.boot(chosen=seed, build={"RANDOM_TRUST_BOOTLOADER": trust}, until="setup_machine_fdt")
    assert bool(board.said(k, "random: crng init done")) is said


def test_only_the_first_of_equal_properties_is_wiped():
    n = FlatNode(0, "chosen", 1, "/chosen")
    n.props, n.first = [("a", b"1"), ("a", b"2")], {"a": b"1"}
    fdt_nop_property(n, "a")
    assert (n.props, n.first) == ([("a", b"2")], {"a": b"2"})


def test_regions_below_other_nodes_count(board):
    k = board.boot(reserved="group { a@70000000 { reg = <0x70000000 0x1000>; b { size = <0x2000>; }; }; };")
    assert [r.name for r in k.of.reserved_mem] == ["b", "a@70000000"]


def test_every_range_of_reg_is_reserved(board):
    k = board.boot(reserved="a@70000000 { reg = <0x70000000 0x1000 0x71000000 0x1000>; };")
    assert {(0x70000000, 0x1000), (0x71000000, 0x1000)} <= {(r.base, r.size) for r in k.mm.memblock.reserved.regions}


@pytest.mark.parametrize("compatible", ["ramoops", "removed-dma-pool"])
def test_no_map_of_any_kind_is_taken_out_of_the_mapping(board, compatible):
    k = board.boot(reserved=f'a@70000000 {{ compatible = "{compatible}"; reg = <0x70000000 0x100000>; no-map; }};')
    regions = k.mm.memblock.memory.regions
    assert [(r.base, r.size) for r in regions if r.flags & MEMBLOCK_NOMAP] == [(0x70000000, 0x100000)]


def test_a_disabled_region_is_none(board):
    k = board.boot(reserved='a@70000000 { reg = <0x70000000 0x1000>; status = "disabled"; };')
    assert k.of.reserved_mem == []


def test_a_tree_without_chosen_has_an_empty_command_line(tmp_path):
    # CONFIG_CMDLINE is looked at where /chosen is found, and only there
    source = tmp_path / "board.dts"
    source.write_text("/dts-v1/; / { #address-cells = <1>; #size-cells = <1>; " + node("0x60000000 0x10000000") + "};")
    build = load_build("3G/1G")
    k = bootsim.prepare(source, build.replace(config=build.config.replace(CMDLINE="mem=64M")))
    bootsim.run(k, until="setup_machine_fdt")
    assert k.boot_command_line == ""
    assert "OF: fdt: No chosen node found, continuing without" in [r.text for r in k.log.records if r.kernel]


@pytest.mark.parametrize("aliases", ['serial0 = "serial0";', 'a0 = "b0"; b0 = "a0";'])
def test_an_alias_that_leads_to_itself_ends_the_kernel(board, aliases):
    k = board.boot("", f"\taliases {{ {aliases} }};\n", until=None)
    assert k.panicked.reason is None
    assert "leads to itself" in k.panicked.cause


def test_so_does_one_that_the_early_console_follows(board):
    k = board.boot("earlycon", '\taliases { serial0 = "serial0"; };\n', chosen='stdout-path = "serial0";')
    assert "leads to itself" in k.panicked.cause


@pytest.mark.parametrize("cells", ["[00]", "[]", "[00 00 00]"])
def test_counts_of_cells_that_are_no_cell(board, cells):
    # the kernel reads four bytes, whatever length a property has
    k = board.boot("", f"\treserved-memory {{ #address-cells = {cells}; #size-cells = <1>; ranges; a {{ }}; }};\n")
    assert any("unsupported node format" in said for said in board.said(k))


def test_a_board_whose_machine_the_build_lacks_is_told_so_and_what_it_misses(board):
    k = board.prepare("", build={"ARCH_MULTIPLATFORM": True})
    k.build = k.build.replace(machines=())
    bootsim.run(k, until="setup_machine_fdt")
    warned = [r.text for r in k.log.records if r.text.startswith("bootsim: warning: ")]
    assert len(warned) == 1
    assert all(word in warned[0] for word in ("'ARM-Versatile Express'", "ARCH_VEXPRESS", "vexpress_smp_init_ops"))


def test_atags_that_would_rewrite_the_tree_are_told(board):
    for on in (False, True):
        k = board.prepare("", build={"ARM_ATAG_DTB_COMPAT": on})
        bootsim.run(k, until="setup_machine_fdt")
        assert any("CONFIG_ARM_ATAG_DTB_COMPAT" in r.text for r in k.log.records) == on


def test_no_cells_at_all_and_a_reserved_region(tmp_path):
    source = tmp_path / "board.dts"
    source.write_text("""/dts-v1/; / { #address-cells = <0>; #size-cells = <0>;
        reserved-memory { #address-cells = <0>; #size-cells = <0>; ranges; a { reg = <1>; }; }; };""")
    with pytest.raises(KernelPanic, match="both 0") as caught:
        bootsim.boot(source, ram="512M@0x60000000")
    assert caught.value.reason is None


def test_a_model_that_is_no_utf_8_takes_its_bytes_in_the_log_buffer(tmp_path):
    source = tmp_path / "board.dts"
    source.write_text("/dts-v1/; / { #address-cells = <1>; #size-cells = <1>; model = [ff fe 00]; "
                      + node("0x60000000 0x10000000") + "};")
    k = bootsim.boot(source)
    assert any(r.text == "OF: fdt: Machine model: \udcff\udcfe" for r in k.log.records)
