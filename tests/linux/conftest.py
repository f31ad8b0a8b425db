"""Small boards, booted from source."""

from __future__ import annotations

import pytest

import bootsim
from bootsim.errors import KernelPanic
from bootsim.inputs.configfile import load_build

HEAD = """/dts-v1/;
/ {
	model = "Test board";
	compatible = "arm,vexpress";
	#address-cells = <%d>;
	#size-cells = <%d>;
"""
MEMORY = """	memory@60000000 { device_type = "memory"; reg = <0x60000000 0x40000000>; };
"""
RESERVED = """	reserved-memory { #address-cells = <1>; #size-cells = <1>; ranges; %s };
"""


class Boards:
    """Boots boards of 1 GiB from 0x60000000 on, tree at 0x68000000, with a build of 3G/1G-opt unless told otherwise."""

    def __init__(self, folder):
        self.folder = folder

    def source(self, *nodes, cmdline="", chosen="", memory=MEMORY, reserved="", cells=(1, 1)):
        """The text of a tree: nodes below the root, properties of /chosen, nodes of /reserved-memory."""
        args = cmdline.replace("\\", "\\\\").replace('"', '\\"')
        text = HEAD % cells + f'\tchosen {{ bootargs = "{args}"; {chosen} }};\n' + memory
        return text + "".join(nodes) + (RESERVED % reserved if reserved else "") + "};\n"

    def prepare(self, *nodes, config="3G/1G-opt", build=None, earlycon=None, smp=1, **tree):
        """A kernel at its first instruction; `build` changes CONFIG_ symbols of `config`, `earlycon` its consoles."""
        path = self.folder / "board.dts"
        path.write_text(self.source(*nodes, **tree))
        k = bootsim.prepare(path, config, smp=smp, dtb_addr=0x68000000, load_addr=0x60008000)
        if build or earlycon is not None:
            changed = load_build(config)
            consoles = changed.earlycon if earlycon is None else tuple(earlycon)
            changed = changed.replace(config=changed.config.replace(**(build or {})), earlycon=consoles)
            k = type(k)(changed, k.machine, where=k.where)
        return k

    def boot(self, cmdline="", *nodes, until="arm_memblock_init", **tree):
        """Boot until a stage (None: to the end); k.panicked tells of a panic."""
        k = self.prepare(*nodes, cmdline=cmdline, **tree)
        try:
            bootsim.run(k, until=until)
        except KernelPanic:
            assert k.panicked is not None
        return k

    @staticmethod
    def said(k, *words):
        """The kernel's lines, or those that have one of the words."""
        lines = [line for r in k.log.records if r.kernel for line in r.text.split("\n")]
        return [line for line in lines if not words or any(word in line for word in words)]

    @staticmethod
    def causes(k):
        """bootsim's lines on causes, without the folder of the tree."""
        causes = [r.text for r in k.log.records if r.text.startswith("bootsim: cause: ")]
        return [text.removeprefix("bootsim: cause: ") for text in causes]


@pytest.fixture
def board(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return Boards(type(tmp_path)())
