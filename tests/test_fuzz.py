"""Damaged trees: whatever a file holds, it boots, or a BootsimError says why not. Never a traceback, never a hang."""

from __future__ import annotations

from datetime import timedelta

import fdt
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import bootsim
from bootsim.errors import BootsimError

SOURCE = """/dts-v1/;
/memreserve/ 0x7ff00000 0x1000;
#define BASE 0x60000000
#define SIZE (512 * 1024 * 1024)
/ {
	model = "Test board";
	compatible = "arm,vexpress", "other";
	#address-cells = <1>;
	#size-cells = <1>;
	chosen { bootargs = "console=ttyAMA0 vmalloc=256M cma=8M memblock=debug"; };
	cpus {
		#address-cells = <1>;
		#size-cells = <0>;
		cpu0: cpu@0 { device_type = "cpu"; compatible = "arm,cortex-a9"; reg = <0>; };
	};
	memory@60000000 { device_type = "memory"; reg = <BASE SIZE>; };
	reserved-memory {
		#address-cells = <1>;
		#size-cells = <1>;
		ranges;
		fixed@68000000 { reg = <0x68000000 0x100000>; no-map; };
		pool { compatible = "shared-dma-pool"; reusable; size = <(4 << 20)>; alignment = <0x400000>;
			alloc-ranges = <0x60000000 0x10000000>; linux,cma-default; };
	};
	bytes = [00 11 22]; both = <1 2>, "text", [ff]; wide = /bits/ 64 <0x100000000>;
};
&cpu0 { clock-names = "a"; /delete-property/ reg; reg = <0>; };
"""


def source_blob() -> bytes:
    """A blob with a node of every kind the boot reads."""
    tree = fdt.FDT()
    tree.entries = [{"address": 0x7FF00000, "size": 0x1000}]
    for path, name, value in (
        ("/", "model", "Test board"), ("/", "compatible", "arm,vexpress"), ("/", "#address-cells", 1),
        ("/", "#size-cells", 1), ("/chosen", "bootargs", "console=ttyAMA0 mem=256M cma=8M"),
        ("/chosen", "linux,initrd-start", 0x68000000), ("/chosen", "linux,initrd-end", 0x68010000),
        ("/cpus", "#address-cells", 1), ("/cpus", "#size-cells", 0), ("/cpus/cpu@0", "device_type", "cpu"),
        ("/cpus/cpu@0", "compatible", "arm,cortex-a9"), ("/cpus/cpu@0", "reg", 0),
        ("/memory@60000000", "device_type", "memory"), ("/memory@60000000", "reg", [0x60000000, 0x20000000]),
        ("/reserved-memory", "#address-cells", 1), ("/reserved-memory", "#size-cells", 1),
        ("/reserved-memory/fixed@69000000", "reg", [0x69000000, 0x100000]),
        ("/reserved-memory/pool", "compatible", "shared-dma-pool"), ("/reserved-memory/pool", "size", 0x400000),
        ("/reserved-memory/pool", "alloc-ranges", [0x60000000, 0x10000000]),
    ):  # fmt: skip
        tree.set_property(name, value, path)
    packed: bytes = tree.to_dtb(version=17)
    return packed


BLOB = source_blob()
INTERESTING = tuple(
    bytes.fromhex(word)
    for word in (
        "", "00", "ff", "2f", "40", "00000000", "00000001", "00000002", "00000003", "00000004", "00000009", "7fffffff",
        "80000000", "ffffffff",
    )
)  # fmt: skip
WORDS = (
    "", "{", "}", ";", "<", ">", "(", ")", '"', "/", "/*", "//", "#", "&", "0x", "0xffffffff", "@", "=", ",", "\\",
    "\n",
    "\0", "/include/ ", '#include "x"', "/bits/ 7", "/delete-node/ ", "&cpu0", "1/0", "<<99999", "-1", "ü",
)  # fmt: skip
HOW = settings(
    max_examples=400,
    deadline=timedelta(seconds=30),
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


def boots_or_says_why(path):
    try:
        bootsim.boot(path)
    except BootsimError as error:
        assert str(error)


def spliced(whole, edits):
    """`whole` with each (where, how much to cut, what to put there) applied in turn."""
    for where, cut, put in edits:
        at = int(where * len(whole))
        whole = whole[:at] + put + whole[at + cut :]
    return whole


where = st.floats(0, 1)
BLOB_EDIT = st.tuples(where, st.sampled_from((0, 1, 4, 4, 4, 30)), st.sampled_from(INTERESTING))
WORD_EDIT = st.tuples(st.integers(0, len(BLOB) // 4 - 1), st.binary(min_size=4, max_size=4))
TEXT_EDIT = st.tuples(where, st.sampled_from((0, 1, 2, 8, 60)), st.sampled_from(WORDS))


@pytest.mark.property
@HOW
@given(edits=st.lists(BLOB_EDIT, min_size=1, max_size=4))
def test_spliced_blobs(tmp_path, edits):
    path = tmp_path / "board.dtb"
    path.write_bytes(spliced(BLOB, edits))
    boots_or_says_why(path)


@pytest.mark.property
@HOW
@given(edits=st.lists(WORD_EDIT, min_size=1, max_size=3))
def test_blobs_with_other_words(tmp_path, edits):
    whole = bytearray(BLOB)
    for word, value in edits:
        whole[4 * word : 4 * word + 4] = value
    path = tmp_path / "board.dtb"
    path.write_bytes(whole)
    boots_or_says_why(path)


@pytest.mark.property
@HOW
@given(edits=st.lists(TEXT_EDIT, min_size=1, max_size=3))
def test_spliced_source(tmp_path, edits):
    path = tmp_path / "board.dts"
    path.write_text(spliced(SOURCE, edits))
    boots_or_says_why(path)


@pytest.mark.property
@HOW
@given(
    data=st.binary(max_size=200), head=st.sampled_from((b"", b"\xd0\x0d\xfe\xed", b"/dts-v1/;\n/ {", b"\xef\xbb\xbf"))
)
def test_anything(tmp_path, data, head):
    path = tmp_path / "board"
    path.write_bytes(head + data)
    boots_or_says_why(path)
