"""What an input holds that no screen shows never reaches a terminal, a log, CI, a table or a page raw."""

from __future__ import annotations

import re
from xml.etree import ElementTree as Xml

import fdt
import pytest
from click.testing import CliRunner

from bootsim.cli.group import cli

EVIL = "a\x1b]0;PWNED\x07\n::error title=x::pwned"
PLACE = "P" * len(EVIL)  # what stands for it while the blob is made
RAW = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def evil_tree(path, *, memory="memory@60000000", cpu="arm,cortex-a9", size=0x20000000):
    tree = fdt.FDT()
    tree.entries = []
    for where, name, value in (
        ("/", "compatible", "arm,vexpress"), ("/", "model", PLACE), ("/", "#address-cells", 1), ("/", "#size-cells", 1),
        (f"/{memory}", "device_type", "memory"), (f"/{memory}", "reg", [0x60000000, size]),
        ("/cpus", "#address-cells", 1), ("/cpus", "#size-cells", 0), ("/cpus/cpu@0", "device_type", "cpu"),
        ("/cpus/cpu@0", "compatible", cpu), ("/cpus/cpu@0", "reg", 0),
        ("/reserved-memory", "#address-cells", 1), ("/reserved-memory", "#size-cells", 1),
        (f"/reserved-memory/{PLACE}@70000000", "reg", [0x70000000, 0x200000]),
        ("/reserved-memory/b@70100000", "reg", [0x70100000, 0x200000]),
        (f"/reserved-memory/{PLACE}@71000000", "compatible", "shared-dma-pool"),
        (f"/reserved-memory/{PLACE}@71000000", "reg", [0x71000000, 0x800000]),
    ):  # fmt: skip
        tree.set_property(name, value, where)
    tree.set_property("ranges", None, "/reserved-memory")
    tree.set_property("reusable", None, f"/reserved-memory/{PLACE}@71000000")
    path.write_bytes(tree.to_dtb(version=17).replace(PLACE.encode(), EVIL.encode()))


KINDS = {"runs": {}, "no bank": {"memory": f"memory@{PLACE}", "size": 0}, "no processor": {"cpu": PLACE}}
COMMANDS = (
    ("boot", "T"), ("boot", "T", "--format", "logfmt"), ("boot", "T", "--format", "json"), ("facts", "T"),
    ("facts", "T", "--roots"), ("explain", "T", "cma0.base"), ("explain", "T", "0x70000000"), ("digest", "T"),
    ("show", "T", "layout", "cma", "iomem"), ("diff", "T", "vexpress.dts"), ("sweep", "T", "--no-progress"),
    ("golden", "record", "boots", "T"), ("check", "x.bootsim.yaml", "--github", "--junit", "j.xml", "-v"),
    ("report", "T", "-o", "-"),
)  # fmt: skip


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS.keys())
@pytest.mark.parametrize("command", COMMANDS, ids=lambda words: "-".join(words[:1] + words[2:4]))
def test_nothing_raw_reaches_anybody(tmp_path, monkeypatch, command, kind):
    monkeypatch.chdir(tmp_path)
    evil_tree(tmp_path / "T", **kind)
    (tmp_path / "x.bootsim.yaml").write_text("boots: {tree: T}\nexpect: [no overlap, cma.default.base == 1]\n")
    done = CliRunner().invoke(cli, command)
    assert done.exit_code in (0, 1, 2, 3), done.output
    files = [path.read_text() for path in (*tmp_path.glob("boots/*"), *tmp_path.glob("j.xml"))]
    for text in (done.stdout, done.stderr, *files):
        assert not RAW.search(text)
    for text in (done.stdout, done.stderr):  # recorded boots and pages have the lines of a message as the kernel would
        assert command[0] == "report" or not re.search(r"^::error title=x", text, re.MULTILINE)
    if files and command[0] == "check":
        Xml.parse("j.xml")
