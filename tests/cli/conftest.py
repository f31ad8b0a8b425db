"""Small trees, and the command line in this process."""

from __future__ import annotations

import fdt
import pytest
from click.testing import CliRunner

from bootsim.cli.group import cli

HEAD = """/dts-v1/;
/ {
	model = "Test board";
	compatible = "arm,vexpress";
	#address-cells = <1>;
	#size-cells = <1>;
	chosen { bootargs = "console=ttyAMA0"; };
	cpus {
		#address-cells = <1>;
		#size-cells = <0>;
		cpu@0 { device_type = "cpu"; compatible = "arm,cortex-a9"; reg = <0>; };
	};
"""
MEMORY = """	memory@60000000 { device_type = "memory"; reg = <0x60000000 0x20000000>; };
"""


def _source(*nodes, memory=MEMORY):
    return HEAD + memory + "".join(nodes) + "};\n"


@pytest.fixture
def source():
    """The text of a board with 512 MiB and the given nodes below the root; `memory` replaces its memory node."""
    return _source


@pytest.fixture
def tree_file(tmp_path):
    """Write the board with the given nodes to a file and return its name."""

    def write(*nodes, memory=MEMORY, name="board.dts"):
        path = tmp_path / name
        path.write_text(_source(*nodes, memory=memory))
        return str(path)

    return write


@pytest.fixture
def bootsim():
    """Run the command line in this process: bootsim("boot", ...) gives exit_code, stdout, stderr."""

    def run(*args, **kwargs):
        result = CliRunner().invoke(cli, [str(arg) for arg in args], prog_name="bootsim", **kwargs)
        assert "Traceback" not in result.output, result.output
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
        return result

    return run


@pytest.fixture
def blob():
    """The same board as a blob, made without bootsim."""
    tree = fdt.FDT()
    tree.entries = []
    tree.set_property("model", "Test board", "/")
    tree.set_property("compatible", "arm,vexpress", "/")
    tree.set_property("#address-cells", 1, "/")
    tree.set_property("#size-cells", 1, "/")
    tree.set_property("bootargs", "console=ttyAMA0", "/chosen")
    tree.set_property("#address-cells", 1, "/cpus")
    tree.set_property("#size-cells", 0, "/cpus")
    tree.set_property("device_type", "cpu", "/cpus/cpu@0")
    tree.set_property("compatible", "arm,cortex-a9", "/cpus/cpu@0")
    tree.set_property("reg", 0, "/cpus/cpu@0")
    tree.set_property("device_type", "memory", "/memory@60000000")
    tree.set_property("reg", [0x60000000, 0x20000000], "/memory@60000000")
    return tree.to_dtb(version=17)
