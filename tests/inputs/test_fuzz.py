"""Thousands of broken trees: each is refused with an InputError or taken, never a traceback, never a hang."""

import random
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from bootsim.errors import InputError
from bootsim.inputs import bootloader
from bootsim.inputs.devicetree import load_tree

DATA = Path(__file__).parents[1] / "data" / "dts"
BUILD = SimpleNamespace(
    symbols=SimpleNamespace(text=0xC0008000, end=0xC0C00000), config=SimpleNamespace(PAGE_OFFSET=0xC0000000)
)
SLOWEST_SECONDS = 2.0  # for one tree; the usual one takes a hundredth of a second
BOARD = """/dts-v1/;
/memreserve/ 0x61000000 0x1000;
/ {
	compatible = "arm,vexpress"; #address-cells = <1>; #size-cells = <1>;
	chosen { bootargs = "quiet"; };
	gic: gic { compatible = "arm,cortex-a9-gic"; };
	l: memory@60000000 { device_type = "memory"; reg = <0x60000000 (512 * 0x100000)>; use = <&gic>; };
};
&l { x = [00 11], "s\\x41", /bits/ 64 <0x123 (~0)>, &gic; /delete-property/ x; y; };
/delete-node/ &l;
/ { memory { device_type = "memory"; reg = <0x60000000 0x20000000>; }; };
"""
MACROS = """#define A(x, y) x + y
#if 1 || defined(FOO)
/dts-v1/;
#else
#endif
/ { c = <(A(1, 2) * 3) (1 ? 2 : 3)>; };
"""
PIECES = """{ } ; < > & ( ) " /* */ // #define #include #if #endif /include/ /bits/ /incbin/("/dev/zero") 0x 08
99999999999999999999 \\ &{/ /delete-node/ << / %0 ' "\\x" name phandle=<1>; @ A( ## ??= é /plugin/; /dts-v1/; - ? :
/omit-if-no-ref/ /memreserve/ l: \n \f = , [ ] 'a' /delete-property/ #address-cells=<2>;""".split(" ")  # noqa: SIM905


def broken_blob(rng, blob):
    data = bytearray(blob)
    for _ in range(rng.choice([1, 1, 2, 4, 16])):
        at = rng.randrange(min(len(data), rng.choice([60, len(data)])))
        match rng.randrange(6):
            case 0 | 1:
                data[at] = rng.randrange(256)
            case 2:
                word = rng.choice([0, 1, 2, 3, 4, 9, 0xFFFFFFFF, 0x7FFFFFFF, len(data)])
                data[at & ~3 : (at & ~3) + 4] = word.to_bytes(4, "big")
            case 3:
                del data[at : at + rng.randrange(1, 64)]
            case 4:
                other = rng.randrange(len(data))
                data[at:at] = data[other : other + rng.randrange(64)]
            case 5:
                data[at] ^= 1 << rng.randrange(8)
        if not data:
            return b"\xd0"
    return bytes(data)


def broken_text(rng, text):
    for _ in range(rng.choice([1, 1, 2, 4])):
        at = rng.randrange(len(text) + 1)
        match rng.randrange(5):
            case 0 | 1:
                text = text[:at] + rng.choice(PIECES) + text[at:]
            case 2:
                text = text[:at] + text[at + rng.randrange(1, 20) :]
            case 3:
                other = rng.randrange(len(text) + 1)
                text = text[:at] + text[other : other + 30] + text[at:]
            case 4:
                text = text[:at] + chr(rng.randrange(32, 127)) + text[at + 1 :]
    return text


def survives(path, rng):
    """Whether the tree was taken. Anything but an InputError fails the test."""
    start = time.monotonic()
    try:
        tree = load_tree(path, [DATA / "include"])
    except InputError:
        return False
    for loader in ("none", "qemu"):
        wishes = {"mem_bytes": rng.choice([None, 64 << 20, 5 << 30]), "cmdline": rng.choice([None, "console=ttyAMA0"])}
        try:
            bootloader.load(tree, BUILD, bootloader=loader, **wishes)
        except InputError:
            continue
    assert time.monotonic() - start < SLOWEST_SECONDS
    return True


def test_blobs(tmp_path):
    rng = random.Random(20240)
    (tmp_path / "board.dts").write_text(BOARD)
    seeds = [load_tree(tmp_path / "board.dts").blob, load_tree(DATA / "values.dts").blob]
    path = tmp_path / "broken.dtb"
    taken = 0
    for _ in range(2000):
        path.write_bytes(broken_blob(rng, rng.choice(seeds)))
        taken += survives(path, rng)
    assert 100 < taken < 1900  # both ways out are exercised


@pytest.mark.parametrize(("text", "rounds"), [(BOARD, 1500), (MACROS, 200)])
def test_source(tmp_path, text, rounds):
    rng = random.Random(20241)
    path = tmp_path / "broken.dts"
    taken = 0
    for _ in range(rounds):
        path.write_text(broken_text(rng, text))
        taken += survives(path, rng)
    assert rounds // 50 < taken < rounds


def test_rubbish(tmp_path):
    rng = random.Random(20242)
    path = tmp_path / "rubbish"
    for _ in range(500):
        head = rng.choice([b"", b"\xd0\x0d\xfe\xed", b"/dts-v1/;", b"#include"])
        path.write_bytes(head + rng.randbytes(rng.randrange(200)))
        assert not survives(path, rng)
