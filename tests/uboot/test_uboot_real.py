"""bootsim's U-Boot against the real one, Debian's u-boot-qemu on QEMU's virt: `make uboot-test`; SEED=N, COUNT=N."""

import os
import random
import struct
from types import SimpleNamespace

import pytest

from bootsim.errors import InputError
from bootsim.inputs.bootloader import uboot
from bootsim.inputs.bootloader.handover import Initrd, Request
from bootsim.inputs.devicetree import load_tree

SEED, COUNT = int(os.environ.get("SEED") or 1), int(os.environ.get("COUNT") or 12)
VERSION = "2023.01+dfsg-2+deb12u3"
BUILD = SimpleNamespace(
    symbols=SimpleNamespace(text=0xC0008000, end=0xC0800000), config=SimpleNamespace(PAGE_OFFSET=0xC0000000)
)
BASE = 0x40000000


def board(rng, mem_mib):
    """A random tree for QEMU's virt: reservations of all kinds, with or without /chosen, /memory, aliases."""
    def span(largest):
        return BASE + rng.randrange(0, mem_mib << 20, 0x1000), rng.randrange(0x1000, largest, 0x1000)

    lines = ["/dts-v1/;"]
    lines += ["/memreserve/ {:#x} {:#x};".format(*span(1 << 22)) for _ in range(rng.randrange(3))]
    cells = rng.choice((1, 2))
    pair = "{:#x} {:#x}" if cells == 1 else "0 {:#x} 0 {:#x}"
    lines += ["/ {", f"#address-cells = <{cells}>; #size-cells = <{cells}>; compatible = \"linux,dummy-virt\";"]
    if rng.random() < 0.8:
        lines.append(f'memory@{BASE:x} {{ device_type = "memory"; reg = <{pair.format(BASE, mem_mib << 20)}>; }};')
    if rng.random() < 0.8:
        lines.append('chosen { bootargs = "console=ttyAMA0"; };')
    lines.append(f"reserved-memory {{ #address-cells = <{cells}>; #size-cells = <{cells}>; ranges;")
    for n in range(rng.randrange(10)):
        base, size = span(64 << 20)
        flags = rng.choice(("", "", "no-map;", 'status = "disabled";'))
        lines.append(f"r{n}@{base:x} {{ reg = <{pair.format(base, size)}>; {flags} }};")
    lines += ["};", 'aliases { ethernet0 = "/nic@1"; serial0 = "/nic@1"; };',
              "nic@1 { mac-address = [00 00 00 00 00 00]; };", "};"]
    return "\n".join(lines)


def environment(rng, mem_mib):
    """Random values of the variables that place things; "" where U-Boot's own default (in place) is unset."""
    high = [f"{BASE + rng.randrange(0x2000000, mem_mib << 20):x}" for _ in range(3)]
    found = {"fdt_high": rng.choice(("", "", high[0], "0", "ffffffff")),
             "initrd_high": rng.choice(("", "", high[1], "no", "ffffffff"))}
    if rng.random() < 0.3:
        found["bootm_low"] = f"{BASE + rng.randrange(0, 0x4000000, 0x1000):x}"
    if rng.random() < 0.3:
        found["bootm_size"] = f"{rng.randrange(0x4000000, mem_mib << 20, 0x1000):x}"
    if rng.random() < 0.3:
        found["bootm_mapsize"] = f"{rng.randrange(0x4000000, mem_mib << 20, 0x1000):x}"
    if rng.random() < 0.3:
        found |= {"serial#": "0042", "ethaddr": "52:54:00:12:34:56"}
    return found


@pytest.mark.parametrize("number", range(COUNT))
def test_places_and_trees_are_those_of_u_boot(number, tmp_path, real):
    rng = random.Random(f"{SEED}/{number}")
    mem_mib = rng.choice((128, 256, 512))
    (tmp_path / "board.dts").write_text(board(rng, mem_mib))
    tree = load_tree(tmp_path / "board.dts")
    variables, initrd = environment(rng, mem_mib), rng.randbytes(rng.choice((0, 100_000, 3_000_000)))
    line = rng.choice((None, "console=ttyAMA0 mem=100M"))
    told = {**variables, **({"bootargs": line} if line else {})}
    done = real.hand_over(tmp_path, tree.blob, mem_mib=mem_mib, initrd=initrd, environment=told.items())
    settings = [f"{name}={value}" for name, value in variables.items() if value]
    settings += [f"top={done.top}", f"version={VERSION}", f"zimage=200000@{real.KERNEL:x}"]
    (tmp_path / "initrd").write_bytes(initrd)
    where = real.INITRD if variables["initrd_high"] == "ffffffff" else None
    loaded = Initrd(str(tmp_path / "initrd"), len(initrd), where) if initrd else None
    dtb_pa = real.TREE if variables["fdt_high"] == "ffffffff" else None
    request = Request(tree, BUILD, None, line, dtb_pa, None, loaded, (mem_mib << 20, BASE), tuple(settings))
    try:
        ours = uboot.load(request)
    except InputError as error:
        assert done.dtb_pa is None, f"{error}\n{done.console}"
        return
    assert ours.dtb_pa == done.dtb_pa, f"{ours.dtb_pa:#x} {done.dtb_pa or 0:#x} {settings}\n{done.console}"
    assert len(ours.blob) == len(done.blob), done.console
    used = sum(struct.unpack_from(">I", done.blob, at)[0] for at in (12, 32))  # behind the strings is what lay there
    assert ours.blob[:used] == done.blob[:used], done.console
    assert not initrd or where is not None or ours.initrd_pa == done.initrd_pa
