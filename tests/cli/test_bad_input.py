"""Input that cannot be used ends with one line that says where and what, exit code 2, and never a traceback."""

import struct

import pytest


def refused(done, *words):
    """The one line a person gets. It must hold each of `words`."""
    assert done.exit_code == 2, (done.exit_code, done.output)
    assert done.stdout == ""
    lines = done.stderr.splitlines()
    assert lines[0].startswith("bootsim: error: ")
    for word in words:
        assert word in done.stderr
    return done.stderr


# ---------------------------------------------------------------- files


def test_missing_file(bootsim):
    refused(bootsim("boot", "no/such.dts"), "no/such.dts")


def test_a_misspelt_bundled_tree_gets_the_nearest(bootsim):
    refused(bootsim("boot", "vexpres.dts"), "vexpres.dts", "vexpress.dts")


def test_directory(bootsim, tmp_path):
    refused(bootsim("boot", tmp_path), str(tmp_path), "directory")


@pytest.mark.parametrize("name", ["board.dts", "board.dtb"])
def test_empty_file(bootsim, tmp_path, name):
    (tmp_path / name).write_bytes(b"")
    refused(bootsim("boot", tmp_path / name), name, "empty")


@pytest.mark.parametrize(
    "rubbish", [bytes(range(256)) * 4, b"\x00" * 500, b"\x7fELF" + b"\x01" * 60, b"PK\x03\x04\xff\xfe"]
)
def test_binary_rubbish(bootsim, tmp_path, rubbish):
    (tmp_path / "board.dtb").write_bytes(rubbish)
    refused(bootsim("boot", tmp_path / "board.dtb"), "board.dtb")


def test_unreadable_standard_input(bootsim):
    refused(bootsim("boot", "-", input=b""), "empty")


# ---------------------------------------------------------------- blobs


@pytest.mark.parametrize("keep", [3, 8, 39, 41, 100, 300, -1, -20])
def test_truncated_blob(bootsim, tmp_path, blob, keep):
    (tmp_path / "board.dtb").write_bytes(blob[:keep])
    refused(bootsim("boot", tmp_path / "board.dtb"), "board.dtb")


HEADER = ["magic", "totalsize", "off_dt_struct", "off_dt_strings", "off_mem_rsvmap", "version", "last_comp_version",
          "boot_cpuid_phys", "size_dt_strings", "size_dt_struct"]  # fmt: skip


@pytest.mark.parametrize("field", ["totalsize", "off_dt_struct", "off_dt_strings", "size_dt_strings", "size_dt_struct"])
@pytest.mark.parametrize("value", [0, 1, 0x7FFFFFFF, 0xFFFFFFFF])
def test_a_header_that_lies(bootsim, tmp_path, blob, field, value):
    lie = bytearray(blob)
    struct.pack_into(">I", lie, 4 * HEADER.index(field), value)
    (tmp_path / "board.dtb").write_bytes(lie)
    refused(bootsim("boot", tmp_path / "board.dtb"), "board.dtb")


def test_a_property_that_lies_about_its_length(bootsim, tmp_path, blob):
    at = blob.index(b"Test board") - 8
    lie = bytearray(blob)
    struct.pack_into(">I", lie, at, 0x7FFFFFFF)
    (tmp_path / "board.dtb").write_bytes(lie)
    refused(bootsim("boot", tmp_path / "board.dtb"), "board.dtb")


# ---------------------------------------------------------------- source text


def test_a_syntax_error_names_its_line(bootsim, tmp_path):
    (tmp_path / "board.dts").write_text("/dts-v1/;\n/ {\n\tmodel = ;\n};\n")
    refused(bootsim("boot", tmp_path / "board.dts"), "board.dts:3")


def test_a_missing_include_names_the_line_that_wants_it(bootsim, tmp_path):
    (tmp_path / "board.dts").write_text('/dts-v1/;\n#include "nowhere.dtsi"\n/ { };\n')
    refused(bootsim("boot", tmp_path / "board.dts"), "board.dts:2", "nowhere.dtsi")


@pytest.mark.parametrize("include", ['#include "{}"', '/include/ "{}"'])
def test_include_cycles(bootsim, tmp_path, include):
    (tmp_path / "board.dts").write_text(f"/dts-v1/;\n{include.format('other.dtsi')}\n/ {{ }};\n")
    (tmp_path / "other.dtsi").write_text(include.format("board.dts") + "\n")
    refused(bootsim("boot", tmp_path / "board.dts"), "board.dts")


def test_a_file_that_includes_itself(bootsim, tmp_path):
    (tmp_path / "board.dts").write_text('/dts-v1/;\n#include "board.dts"\n/ { };\n')
    refused(bootsim("boot", tmp_path / "board.dts"), "board.dts")


# ---------------------------------------------------------------- memory nodes


def test_no_memory_node(bootsim, tree_file):
    refused(bootsim("boot", tree_file(memory="")), "memory")


@pytest.mark.parametrize("reg", ["<0x60000000>", "[60 00]"])
def test_reg_without_a_whole_bank(bootsim, tree_file, reg):
    memory = f'\tmemory@60000000 {{ device_type = "memory"; reg = {reg}; }};\n'
    refused(bootsim("boot", tree_file(memory=memory)), "/memory@60000000", "whole bank")


@pytest.mark.parametrize(("end", "size"), [("<0x80000000>", 4), ("[80 00]", 2)])
def test_a_part_of_a_bank_is_passed_over_as_the_kernel_does_and_told(bootsim, tree_file, end, size):
    memory = f'\tmemory@60000000 {{ device_type = "memory"; reg = <0x60000000 0x20000000>, {end}; }};\n'
    done = bootsim("boot", tree_file(memory=memory))
    assert done.exit_code == 0
    assert f"/memory@60000000 reg: the last {size} bytes make no whole bank of 2 cells" in done.stdout


def test_only_an_empty_bank(bootsim, tree_file):
    memory = '\tmemory@60000000 { device_type = "memory"; reg = <0x60000000 0>; };\n'
    refused(bootsim("boot", tree_file(memory=memory)), "/memory@60000000")


def test_an_empty_bank_among_others_is_passed_over_as_the_kernel_does(bootsim, tree_file):
    memory = '\tmemory@60000000 { device_type = "memory"; reg = <0x60000000 0x20000000 0x90000000 0>; };\n'
    assert bootsim("boot", tree_file(memory=memory)).exit_code == 0


def test_overlapping_banks_are_merged_as_the_kernel_does(bootsim, tree_file):
    memory = '\tmemory@60000000 { device_type = "memory"; reg = <0x60000000 0x20000000 0x70000000 0x20000000>; };\n'
    done = bootsim("boot", tree_file(memory=memory))
    assert done.exit_code == 0
    assert "  node   0: [mem 0x0000000060000000-0x000000008fffffff]" in done.stdout


def test_ram_above_4_gib(bootsim, tmp_path, source):
    text = source(memory='\tmemory@60000000 { device_type = "memory"; reg = <1 0 0 0x20000000>; };\n')
    text = text.replace("#address-cells = <1>;\n\t#size-cells = <1>;", "#address-cells = <2>;\n\t#size-cells = <2>;", 1)
    (tmp_path / "board.dts").write_text(text)
    refused(bootsim("boot", tmp_path / "board.dts"), "/memory@60000000", "4 GiB")


# ---------------------------------------------------------------- kernel builds


def test_unknown_config_gets_the_nearest(bootsim, tree_file):
    refused(bootsim("boot", tree_file(), "--config", "3G/1G-nohihgmem"), "3G/1G-nohihgmem", "3G/1G-nohighmem")


def test_a_missing_config_file(bootsim, tree_file):
    refused(bootsim("boot", tree_file(), "--config", "mine.yaml"), "mine.yaml")


@pytest.mark.parametrize(
    ("text", "line", "word"),
    [
        ("schema: 1\nname: x\nname: y\n", 3, "name"),
        ("schema: 1\nname: x\nno_such_key: 3\n", 3, "no_such_key"),
        ("schema: 1\nname: [x\n", 3, ""),
        ("schema: 1\nname: 5\n", 2, "name"),
        ("- 1\n", 1, ""),
    ],
)
def test_bad_yaml_names_file_line_and_column(bootsim, tree_file, tmp_path, text, line, word):
    (tmp_path / "mine.yaml").write_text(text)
    refused(bootsim("boot", tree_file(), "--config", tmp_path / "mine.yaml"), f"mine.yaml:{line}:", word)


# ---------------------------------------------------------------- placement


def test_kernel_image_larger_than_ram(bootsim, tree_file):
    refused(bootsim("boot", tree_file(), "--mem", "8M"), "kernel", "RAM")


def test_tree_on_the_kernel(bootsim, tree_file):
    refused(bootsim("boot", tree_file(), "--dtb-addr", "0x60200000"), "0x60200000", "kernel")


@pytest.mark.parametrize("address", ["0x10000000", "0xfffff000", "0x7ffffff0"])
def test_tree_outside_ram(bootsim, tree_file, address):
    refused(bootsim("boot", tree_file(), "--dtb-addr", address), address.lower(), "RAM")


def test_kernel_outside_ram(bootsim, tree_file):
    refused(bootsim("boot", tree_file(), "--load-addr", "0x10008000"), "0x10008000", "RAM")


def test_missing_initrd(bootsim, tree_file):
    refused(bootsim("boot", tree_file(), "--initrd", "no/initrd.img"), "no/initrd.img")


def test_initrd_outside_ram(bootsim, tree_file, tmp_path):
    (tmp_path / "rd").write_bytes(bytes(4096))
    refused(bootsim("boot", tree_file(), "--initrd", f"{tmp_path / 'rd'}@0x10000000"), "0x10000000", "RAM")


RESERVED = """	reserved-memory {
		#address-cells = <1>;
		#size-cells = <1>;
		ranges;
		far@10000000 { reg = <0x10000000 0x100000>; no-map; };
	};
"""


def test_reserved_memory_outside_ram_is_what_boards_have(bootsim, tree_file):
    # Video RAM and the like lie beside main memory: the kernel takes it, and the replay shows it.
    done = bootsim("boot", tree_file(RESERVED))
    assert done.exit_code == 0
    assert "far@10000000" in done.stdout


def test_reserved_memory_with_a_reg_of_the_wrong_length_is_refused_by_the_kernel_itself(bootsim, tree_file):
    done = bootsim("boot", tree_file(RESERVED.replace("<0x10000000 0x100000>", "<0x10000000>")))
    assert done.exit_code == 0
    assert "Reserved memory: invalid reg property in 'far@10000000', skipping node." in done.stdout
