"""What a tree says never acts on where it is shown: a terminal, a log, CI, a table."""

import json
import re
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

import bootsim
from bootsim.cli.group import cli
from bootsim.errors import EXIT_BUG, InputError, KernelPanic
from bootsim.escape import escaped, for_terminal, printable
from bootsim.inputs.dtb import read_tree
from bootsim.inputs.flatten import flatten
from bootsim.inputs.tree import Node

EVIL = "a\x1b]0;PWNED\x07\n::error title=x::pwned\r\u202e\x9b31m"
NAME = EVIL.encode().decode("latin-1")
ACTS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e]")


def cells(*values):
    return b"".join(value.to_bytes(4, "big") for value in values)


def board(cpu="arm,cortex-a9", memory="memory", region="region", size=0x20000000):
    one = (("#address-cells", cells(1)), ("#size-cells", cells(1)))
    region = Node(region, (("reg", cells(0x70000000, 0x200000)),))
    text = {"compatible": NAME.encode("latin-1") + b"\0", "model": "Ünï ✓\x1b[2J".encode() + b"\0"}
    return Node("", (*one, *text.items()), (
        Node("cpus", (("#address-cells", cells(1)), ("#size-cells", cells(0))), (
            Node("cpu@0", (("device_type", b"cpu\0"), ("compatible", cpu.encode("latin-1") + b"\0"))),
        )),
        Node(memory, (("device_type", b"memory\0"), ("reg", cells(0x60000000, size, 1)))),
        Node("reserved-memory", (*one, ("ranges", b"")), (
            region, Node("b@70100000", (("reg", cells(0x70100000, 0x200000)),)))),
    ))  # fmt: skip


@pytest.fixture
def evil(tmp_path):
    def written(**changed):
        path = tmp_path / "evil.dtb"
        path.write_bytes(flatten(board(**changed), ()))
        return path

    return written


def shown(*args):
    done = CliRunner().invoke(cli, [*map(str, args)])
    assert done.exit_code != EXIT_BUG, done.output
    return done.output


@given(st.text())
def test_nothing_is_left_that_acts(text):
    assert not ACTS.search(printable(text))
    assert not ACTS.search(escaped(text))
    assert "\n" not in escaped(text)
    assert not text.isprintable() or printable(text) == text


def test_colors_pass_and_a_title_does_not():
    assert for_terminal("\x1b[32mok\x1b[0m\n") == "\x1b[32mok\x1b[0m\n"
    assert for_terminal("\x1b]0;title\x07") == "\\x1b]0;title\\x07"


def test_errors_are_one_line(evil):
    with pytest.raises(InputError) as caught:
        bootsim.boot(evil(cpu=NAME))
    assert "\n" not in str(caught.value)
    with pytest.raises(InputError) as caught:
        bootsim.boot(evil(memory=NAME, size=0))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("form", ["dmesg", "json", "logfmt"])
def test_logs(evil, form):
    out = shown("boot", evil(memory=NAME, region=NAME), "--format", form, "--color", "never")
    assert "PWNED" in out
    assert not ACTS.search(out)
    assert not any(line.startswith("::") for line in out.split("\n"))


@pytest.mark.parametrize("command", [
    ("show", "memblock/reserved", "iomem", "layout", "cma"), ("explain", "dtb.size"), ("facts",), ("digest",),
])  # fmt: skip
def test_other_commands(evil, command):
    out = shown(command[0], evil(memory=NAME, region=NAME), *command[1:])
    assert not ACTS.search(out)
    assert not any(line.startswith("::") for line in out.split("\n"))


def test_a_check_in_ci(evil, tmp_path):
    evil(memory=NAME, region=NAME)
    (tmp_path / "x.bootsim.yaml").write_text("boots: {tree: evil.dtb}\nexpect: [no overlap]\n")
    junit = tmp_path / "junit.xml"
    out = shown("check", tmp_path / "x.bootsim.yaml", "--github", "--junit", junit)
    assert "overlap" in out
    for text in (out, junit.read_text()):
        assert not ACTS.search(text)
        assert not any(line.startswith("::error title=x") for line in text.split("\n"))


def test_a_model_in_utf_8_stays_what_it_is(evil):
    k = bootsim.boot(evil(), until="setup_machine_fdt")
    assert any(r.text == "OF: fdt: Machine model: Ünï ✓\x1b[2J" for r in k.log.records)


def test_a_cause_that_names_a_node_is_one_line():
    tree = read_tree(flatten(board(region=NAME, size=0x900000), ()))
    try:
        k = bootsim.boot(tree, ram="1G")
    except KernelPanic as panic:
        assert not ACTS.search(str(panic.cause))
        return
    steps = [r for r in k.log.records if not r.kernel]
    assert not any(ACTS.search(r.text) for r in steps)
    assert json.dumps([r.text for r in steps])


def test_every_file_that_is_bundled_is_printable():
    root = Path(__file__).parent.parent
    assert all(printable(path.read_text()) == path.read_text() for path in (root / "dts").glob("*.dts"))
