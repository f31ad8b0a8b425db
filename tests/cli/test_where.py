"""`bootsim where`."""

from __future__ import annotations

import json

import pytest

NODES = """	reserved-memory { #address-cells = <1>; #size-cells = <1>; ranges;
		dsp@70000000 { reg = <0x70000000 0x800000>; };
	};
"""


def test_one_board(bootsim, tree_file):
    done = bootsim("where", tree_file(NODES))
    assert done.exit_code == 0
    assert done.stderr == ""
    lines = done.stdout.splitlines()
    assert max(map(len, lines)) <= 120
    (node,) = [line for line in lines if "dsp@70000000" in line]
    assert node.split() == ["8", "MiB", "/reserved-memory/dsp@70000000", "arm_memblock_init", "board.dts:15", "reg"]
    assert any(line.split()[:2] == ["512", "MiB"] and line.endswith("all RAM: 0x60000000-0x7fffffff") for line in lines)
    assert lines[-1].startswith('"Memory:" line: ')
    assert lines[-1].endswith(": agrees")


def test_rows_add_up(bootsim, tree_file):
    table = json.loads(bootsim("where", tree_file(NODES), "--json").stdout)
    assert sum(row["size"] for row in table["rows"]) == table["size"] == 512 << 20
    assert all(each["agrees"] for each in table["memory_line"])
    (node,) = [row for row in table["rows"] if row["group"] == "node"]
    assert (node["line"], node["root"]) == (15, "dtb:/reserved-memory/dsp@70000000:reg")
    assert node["file"].endswith("board.dts")


@pytest.mark.parametrize(("options", "owner", "decided"), [
    ([], "area reserved", "CONFIG_CMA_SIZE_MBYTES"), (["--cmdline", "cma=8M"], "area reserved", "cma="),
    ([], "device tree", "--dtb-addr"),
])
def test_who_decided_is_told_as_it_was_written(bootsim, tree_file, options, owner, decided):
    lines = bootsim("where", tree_file(), *options).stdout.splitlines()
    assert any(owner in line and line.endswith(f" {decided}") for line in lines)


def test_small_owners_are_told_together_unless_all_are_wanted(bootsim, tree_file):
    tree = tree_file(NODES)
    assert "zero page" not in bootsim("where", tree).stdout
    everything = bootsim("where", tree, "--all").stdout
    assert "zero page" in everything
    assert "of at most a page" not in everything


def test_two_boards(bootsim, tree_file):
    done = bootsim("where", tree_file(name="old.dts"), tree_file(NODES, name="new.dts"))
    assert done.exit_code == 0
    lines = done.stdout.splitlines()
    assert max(map(len, lines)) <= 120
    assert lines[0].startswith("A  ")
    assert lines[0].endswith("old.dts, end of boot")
    (node,) = [line for line in lines if "/reserved-memory/dsp@70000000" in line]
    assert node.split()[1:] == ["8", "MiB", "+8", "MiB", "new.dts:15", "reg"]


def test_an_option_twice_makes_two_boots(bootsim, tree_file):
    done = bootsim("where", tree_file(), "--mem", "256M", "--mem", "512M", "--config", "2G/2G", "--json")
    one, other = json.loads(done.stdout)
    assert (one["size"], other["size"]) == (256 << 20, 512 << 20)
    assert "2G/2G" in one["boot"]
    assert "2G/2G" in other["boot"]


def test_a_stage(bootsim, tree_file):
    done = bootsim("where", tree_file(NODES), "--stage", "arm_memblock_init")
    assert "in memblock" in done.stdout
    assert 'The kernel has not said its "Memory:" line yet.' in done.stdout
    assert bootsim("where", tree_file(), "--stage", "arm_memblock").exit_code == 2


def test_a_boot_that_dies_is_shown_as_it_died(bootsim, tree_file):
    done = bootsim("where", tree_file(), "--cmdline", "mem=2M")
    assert done.exit_code == 3
    assert "the panic" in done.stdout.splitlines()[0]
    assert "not given to Linux" in done.stdout
    assert "the kernel panicked: prepare_page_table() leaves the kernel" in done.stderr


@pytest.mark.parametrize("arguments", [
    ["--mem", "1G", "--mem", "2G", "--mem", "3G"], ["--config", "no such build"], ["--stage", "x"], []])
def test_bad_input(bootsim, tree_file, arguments):
    trees = [tree_file()] if arguments else []
    assert bootsim("where", *trees, *arguments).exit_code == 2
    assert bootsim("where", *[tree_file()] * 3).exit_code == 2


def test_boots_are_named_as_they_were_asked_for(bootsim, tree_file):
    options = ["--mem", "256M", "--ram", "512M@0x60000000", "--smp", "2", "--dtb-addr", "0x68000000"]
    done = bootsim("where", tree_file(), *options, "--json")
    assert json.loads(done.stdout)["boot"].endswith(
        "board.dts --mem 256M --smp 2 --dtb-addr 0x68000000 --ram 512M@0x60000000")
    done = bootsim("where", tree_file(), "--cmdline", "quiet cma=8M", "--cmdline", "", "--json")
    assert [each["boot"].partition("board.dts ")[2] for each in json.loads(done.stdout)] == [
        '--cmdline "quiet cma=8M"', '--cmdline ""']
