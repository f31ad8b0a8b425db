"""What every command that boots a tree takes: the same options, and each with its effect."""

from __future__ import annotations

import json

import pytest

READERS = [
    ("boot", "{tree}", "-q"), ("facts", "{tree}"), ("digest", "{tree}"), ("show", "{tree}", "iomem"),
    ("where", "{tree}"),
    ("explain", "{tree}", "lowmem"), ("explain", "{tree}", "lowmem", "--what-if"),
    ("explain", "{tree}", "/reserved-memory/kept@70000000"), ("why-not", "{tree}", "lowmem >= 1M"),
    ("report", "{tree}", "-o", "-"), ("diff", "{tree}", "--mem", "256M", "--mem", "512M"),
    ("sweep", "{tree}", "--no-progress"), ("golden", "record", "{folder}", "{tree}"),
]  # fmt: skip
KEPT = """	reserved-memory {
		#address-cells = <1>; #size-cells = <1>; ranges;
		kept@70000000 { reg = <0x70000000 0x100000>; };
	};
	blob = /incbin/("../outside/blob");
"""


@pytest.fixture
def outside_tree(tree_file, tmp_path):
    """The folder of a tree, board.dts, that takes in a file from beside it."""
    for folder in ("outside", "board"):
        (tmp_path / folder).mkdir()
    (tmp_path / "outside" / "blob").write_bytes(b"\1\2\3\4")
    tree_file(KEPT, name="board/board.dts")
    return tmp_path / "board"


@pytest.mark.parametrize("command", READERS, ids=" ".join)
def test_files_outside_are_taken_in_only_with_the_option(bootsim, outside_tree, monkeypatch, command):
    monkeypatch.chdir(outside_tree)
    words = [word.format(tree="board.dts", folder="boots") for word in command]
    refused = bootsim(*words)
    assert refused.exit_code == 2
    assert "board.dts:18: '../outside/blob' is " in refused.output
    assert bootsim(*words, "--allow-outside").exit_code == (command[0] == "diff")


# Another revision is named in the log. A Cortex-A9 without a Snoop Control Unit is one of a single processor: its page
# tables have no shareable bit. More RAM than the 1 GiB that the tree tells of changes nothing.
HARDWARE = {"cpu": ("midr=0x413fc090", "mpidr=0x80000000"), "soc": ("scu=0", "0x10000000=1"), "ram": "2G@0x60000000"}


def words_of(inputs):
    for name, value in inputs.items():
        for word in (value,) if isinstance(value, str) else value:
            yield from (f"--{name}", word)


@pytest.mark.parametrize("names", [("cpu",), ("soc",), ("ram",), ("cpu", "soc", "ram")])
def test_a_sweep_and_a_check_boot_what_boot_boots(bootsim, tmp_path, names):
    tree, inputs = "vexpress.dts", {name: HARDWARE[name] for name in names}
    one = bootsim("digest", tree, *words_of(inputs)).stdout.split()[0]
    out = tmp_path / "r.jsonl"
    assert bootsim("sweep", tree, *words_of(inputs), "--quantity", "digest", "-o", out).exit_code == 0
    assert json.loads(out.read_text())["values"]["digest"] == one
    assert (one == bootsim("digest", tree).stdout.split()[0]) == (names == ("ram",))
    keys = "".join(f"    {name}: {json.dumps(value)}\n" for name, value in inputs.items())
    (tmp_path / "x.bootsim.yaml").write_text(f"boots:\n  - tree: {tree}\n{keys}expect: digest == {one}\n")
    done = bootsim("check", tmp_path / "x.bootsim.yaml")
    assert done.exit_code == 0, done.output


@pytest.mark.parametrize(("keys", "message"), [
    ("ram: 1", "2:9: 1 is 1 bytes, expected at least 1M; did you mean 1M?"),
    ("ram: 1G@0x100000000", "2:9: 0x100000000 does not fit in 32 bits"),
    ("ram: 1G@x", "2:9: 'x' is not a physical address such as 0x68000000"),
    ("cpu: 7", "2:9: 7, expected MODEL, REGISTER=VALUE or NAME=VALUE (in quotes, if it is one)"),
    ("soc: [scu=0, []]", "2:17: a list, expected MODEL, REGISTER=VALUE or NAME=VALUE"),
])  # fmt: skip
def test_every_error_of_a_check_file_has_its_place(bootsim, tmp_path, keys, message):
    path = tmp_path / "x.bootsim.yaml"
    path.write_text(f"boots:\n - {keys}\n   tree: vexpress.dts\nexpect: no panic\n")
    done = bootsim("check", path)
    assert done.exit_code == 2
    assert f"{path}:{message}" in done.stderr


def test_a_diff_takes_what_boot_takes(bootsim, tree_file):
    done = bootsim("diff", tree_file(), "--smp", "8", "--ram", "64M", "--ram", "1G@0x60000000")
    assert done.exit_code == 1, done.output
    assert "--ram 64M -> 1G@0x60000000" in done.stdout


def test_why_not_names_ram_as_it_was_given(bootsim):
    done = bootsim("why-not", "vexpress.dts", "lowmem >= 1G", "--ram", "2G@0x60000000")
    assert "without --ram 2G@0x60000000" in done.stdout


def test_a_recorded_boot_keeps_its_hardware(bootsim, tree_file, tmp_path):
    folder = tmp_path / "boots"
    assert bootsim("golden", "record", folder, tree_file(), *words_of(HARDWARE)).exit_code == 0
    assert bootsim("golden", "record", folder, tree_file()).exit_code == 0
    assert len(list(folder.iterdir())) == 2
    assert bootsim("golden", "verify", folder).exit_code == 0


def test_a_state_directory_keeps_the_hardware(bootsim, tmp_path):
    assert bootsim("boot", "vexpress.dts", *words_of(HARDWARE), "--state", tmp_path / "s", "-q").exit_code == 0
    same = bootsim("diff", tmp_path / "s")
    assert same.exit_code == 0, same.output
    other = bootsim("diff", tmp_path / "s", "--cpu", "cortex-a9")
    assert other.exit_code == 1
    assert "--cpu midr=0x413fc090, mpidr=0x80000000 -> cortex-a9" in other.stdout


def test_where_and_why_not_replay_the_hardware_of_a_directory(bootsim, tmp_path):
    short = ("--ram", "64M@0x60000000")  # less than the tree tells of: the kernel dies
    assert bootsim("boot", "vexpress.dts", *short, "--state", tmp_path / "s", "-q").exit_code == 3
    assert bootsim("where", tmp_path / "s").exit_code == 3
    assert "without --ram 64M@0x60000000" in bootsim("why-not", tmp_path / "s", "no panic").stdout


@pytest.mark.parametrize("command", [
    ("show", "vexpress.dts", "buddyinfo"), ("run", "vexpress.dts", "{script}"), ("boot", "vexpress.dts", "-q"),
], ids=" ".join)  # fmt: skip
def test_another_slab_allocator_is_told(bootsim, tmp_path, command):
    script = tmp_path / "a.py"
    script.write_text("assert k.build.config.SLOB\n")
    done = bootsim(*[word.format(script=script) for word in command], "--slab", "slob")
    assert done.exit_code == 0
    assert "CONFIG_SLOB in place of CONFIG_SLUB; without CONFIG_SLUB_DEBUG" in done.stderr
    assert "the image stays that of 3G/1G" in done.stderr


def test_the_slab_allocator_is_a_decision_and_kept_in_a_state_directory(bootsim, tmp_path):
    assert bootsim("boot", "vexpress.dts", "--slab", "slab", "--state", tmp_path / "s", "-q").exit_code == 0
    assert bootsim("diff", tmp_path / "s").exit_code == 0
    other = bootsim("diff", tmp_path / "s", "--slab", "slub")
    assert other.exit_code == 1
    assert "CONFIG_SLUB n -> y" in other.stdout
