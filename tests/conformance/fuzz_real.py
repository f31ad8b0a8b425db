"""Random trees on a real kernel in QEMU, against the replay: what does a kernel say of memory nobody would write down?

    python tests/conformance/fuzz_real.py --vmlinux FILE --config BUILD.yaml [--count N] [--seed N]

The kernel's code is taken out of `vmlinux` (objcopy) and started on QEMU's vexpress-a15 with 1 GiB, with no loader that
would edit the tree. Its log, up to the first line after the allocators or its death, must be the replay's, line by
line. Each real log is kept in the cache by kernel and tree; a table tells what differs. Exits with 1 if anything does.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import random
import re
import shutil
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).resolve().parent.parent.parent))

import bootsim
from bootsim.errors import BootsimError, KernelPanic
from bootsim.inputs.configfile import load_build
from bootsim.inputs.dtb import read_tree
from bootsim.inputs.flatten import flatten
from bootsim.inputs.tree import Node

if TYPE_CHECKING:
    from bootsim.inputs.build import KernelBuild

RAM_PA, RAM_BYTES, DTB_PA = 0x80000000, 1 << 30, 0x88000000
MIB = 1 << 20
TIMEOUT_S = 15
LAST = re.compile(r"SLUB: |Kernel panic - not syncing")
STAMP = re.compile(r"^\[ *[0-9.]+\] ")
CALLER = re.compile(r"^(memblock_.*) \S+$")  # what memblock=debug says last, and the compiler decides by inlining
CONSOLE = "earlycon=pl011,0x1c090000 ignore_loglevel"
OPTIONS = (
    "memblock=debug", "mem=512M", "mem=300M@0x80000000", "mem=256M@0x90000000", "cma=64M", "cma=16M@0x90000000",
    "cma=0", "vmalloc=512M", "vmalloc=900M", "kernelcore=128M", "movablecore=64M", "coherent_pool=1M", "log_buf_len=1M",
    "dhash_entries=4096", "nosmp", "maxcpus=1", "initrd=0x8a000000,0x300000", "cma=48M@0x82000000-0xa0000000",
)  # fmt: skip


def cells(*values: int) -> bytes:
    return b"".join((value & 0xFFFFFFFF).to_bytes(4, "big") for value in values)


def random_base(rng: random.Random) -> int:
    """PHYS_OFFSET of a boot whose RAM need not begin there: where the kernel's 16 MiB begin."""
    return RAM_PA + rng.choice((0, 0, 16 * MIB, 64 * MIB, 256 * MIB, 512 * MIB))


def random_tree(rng: random.Random, base: int | None = None) -> bytes:
    """A tree of banks, reservations of every kind, and a command line; the same for the same `rng`.

    With a `base`, where the kernel is put, the banks begin above it, below it, or on both sides with holes between.
    """
    wide = rng.random() < 0.25
    counts = (("#address-cells", cells(1 + wide)), ("#size-cells", cells(1 + wide)))

    def numbers(*values: int) -> bytes:
        return b"".join(cells(0, value) if wide else cells(value) for value in values)

    options = " ".join(rng.sample(OPTIONS, rng.choice((0, 0, 1, 1, 2))))
    banks = _banks(rng) if base is None else _banks_around(rng, base)
    text = {"compatible": b"arm,vexpress,v2p-ca15,tc1\0arm,vexpress\0", "model": b"Random board\0"}
    cpu = Node("cpu@0", (("device_type", b"cpu\0"), ("compatible", b"arm,cortex-a15\0"), ("reg", cells(0))))
    nodes = [
        Node("chosen", (("bootargs", f"{CONSOLE} {options}".encode() + b"\0"),)),
        Node("cpus", (("#address-cells", cells(1)), ("#size-cells", cells(0))), (cpu,)),
        Node("memory@80000000", (("device_type", b"memory\0"), ("reg", numbers(*banks)))),
        Node("reserved-memory", (*counts, ("ranges", b"")), tuple(_regions(rng, numbers))),
    ]
    reservations = [(_place(rng), rng.choice((0x1000, 0x1800, MIB))) for _ in range(rng.choice((0, 0, 0, 1, 3)))]
    return flatten(Node("", (*counts, *text.items()), tuple(nodes)), reservations)


def _place(rng: random.Random) -> int:
    return RAM_PA + rng.choice((rng.randrange(0x8000000, RAM_BYTES, MIB), rng.randrange(0x8000000, RAM_BYTES, 0x1000)))


def _banks(rng: random.Random) -> list[int]:
    whole = [RAM_PA, RAM_BYTES]
    return rng.choice([
        whole, whole, [RAM_PA, 512 * MIB, RAM_PA + 768 * MIB, 256 * MIB], [RAM_PA, 700 * MIB + 0x1000],
        [RAM_PA + 512 * MIB, 512 * MIB, RAM_PA, 256 * MIB], [RAM_PA, 256 * MIB, RAM_PA + 128 * MIB, 512 * MIB],
        [RAM_PA, 300 * MIB + 0x800, RAM_PA + 400 * MIB, 0x400], [RAM_PA, RAM_BYTES - MIB],
    ])  # fmt: skip


def _banks_around(rng: random.Random, base: int) -> list[int]:
    end = RAM_PA + RAM_BYTES
    above = base + rng.choice((0x1000, 0x8000, MIB, 2 * MIB, 3 * MIB, 8 * MIB, 16 * MIB, 48 * MIB))
    below = base - rng.choice((0x1000, MIB, 3 * MIB, 16 * MIB, 64 * MIB, 256 * MIB))
    split = above + rng.choice((16 * MIB, 64 * MIB, 200 * MIB + 0x1000))
    return rng.choice([
        [above, end - above], [above, split - above, split + rng.choice((0x1000, 5 * MIB, 64 * MIB)), 64 * MIB],
        [below, end - below], [below, base - below, above, end - above], [below, base - below, base, end - base],
        [base, 128 * MIB, base + 200 * MIB + 0x800, 100 * MIB, base + 320 * MIB, 0x400],
        [base + 256 * MIB, 128 * MIB, base, 64 * MIB, base + 96 * MIB, 32 * MIB], [below, base - below],
    ])  # fmt: skip


def _regions(rng: random.Random, numbers: object) -> list[Node]:
    regions = []
    for i in range(rng.choice((0, 1, 2, 3, 5))):
        size = rng.choice((0x1000, 0x11000, MIB, 3 * MIB, 4 * MIB, 16 * MIB, 48 * MIB))
        props: list[tuple[str, bytes]] = []
        base = _place(rng)
        if rng.random() < 0.55:
            props.append(("reg", numbers(base, size)))  # type: ignore[operator]
        else:
            props.append(("size", numbers(size)))  # type: ignore[operator]
            if rng.random() < 0.4:
                props.append(("alignment", numbers(rng.choice((0x1000, MIB, 4 * MIB)))))  # type: ignore[operator]
            if rng.random() < 0.4:
                props.append(("alloc-ranges", numbers(base, 256 * MIB)))  # type: ignore[operator]
        kind = rng.choice(("plain", "plain", "no-map", "reusable", "pool", "default"))
        if kind == "no-map":
            props.append(("no-map", b""))
        if kind in ("reusable", "default"):
            props.append(("reusable", b""))
        if kind in ("reusable", "default", "pool"):
            props.append(("compatible", b"shared-dma-pool\0"))
        if kind == "default":
            props.append(("linux,cma-default", b""))
        regions.append(Node(f"r{i}@{base:x}", tuple(props)))
    return regions


def load_pa(build: KernelBuild, base: int = RAM_PA) -> int:
    """Where the kernel starts."""
    return base + build.symbols.text - build.config.PAGE_OFFSET


def real_log(image: Path, tree: bytes, cache: Path, build: KernelBuild, base: int = RAM_PA) -> list[str]:
    """The real kernel's lines, out of the cache or of QEMU."""
    kept = cache / f"{hashlib.sha256(build.banner.encode() + tree + _where(base)).hexdigest()[:32]}.log"
    if not kept.is_file():
        text = _run_qemu(image, tree, load_pa(build, base), base)
        partial = kept.with_suffix(".part")
        partial.write_text(text)
        partial.rename(kept)
    return _up_to_last([STAMP.sub("", line.rstrip("\r")) for line in kept.read_text().split("\n") if line.strip()])


def _where(base: int) -> bytes:
    return b"" if base == RAM_PA else cells(base)


def _dtb_pa(base: int) -> int:
    return base + DTB_PA - RAM_PA


def _run_qemu(image: Path, tree: bytes, kernel_pa: int, base: int) -> str:
    with tempfile.TemporaryDirectory() as folder:
        start, blob, log = (Path(folder, name) for name in ("start", "tree", "log"))
        # mov r0, #0; mvn r1, #0; ldr r2, [pc]; ldr pc, [pc, #-4]
        start.write_bytes(struct.pack("<6I", 0xE3A00000, 0xE3E01000, 0xE59F2000, 0xE59FF000, _dtb_pa(base), kernel_pa))
        blob.write_bytes(tree)
        command = ["qemu-system-arm", "-M", "vexpress-a15", "-m", "1024", "-display", "none", "-monitor", "none",
                   "-net", "none", "-no-reboot", "-serial", f"file:{log}"]  # fmt: skip
        for file, pa in ((image, kernel_pa), (blob, _dtb_pa(base)), (start, RAM_PA)):
            command += ["-device", f"loader,file={file},addr={pa:#x},force-raw=on"]
        command += ["-device", f"loader,addr={RAM_PA:#x},cpu-num=0"]
        running = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            end = time.monotonic() + TIMEOUT_S
            while time.monotonic() < end:
                text = log.read_bytes().decode("latin-1") if log.is_file() else ""
                found = LAST.search(text)
                if found and "\n" in text[found.end() :]:
                    return text
                time.sleep(0.1)
        finally:
            running.kill()
            running.wait()
        return text


def _up_to_last(lines: list[str]) -> list[str]:
    end = next((i for i, line in enumerate(lines) if LAST.search(line)), len(lines) - 1)
    return lines[: end + 1]


def replayed_log(tree: bytes, build: KernelBuild, base: int = RAM_PA) -> list[str]:
    """The replay's lines. A kernel that dies without a word before its console works has none."""
    k = bootsim.prepare(
        read_tree(tree, "random.dtb"), build, dtb_addr=_dtb_pa(base), load_addr=load_pa(build, base),
        ram=(RAM_BYTES, RAM_PA), smp=1,
    )  # fmt: skip
    with contextlib.suppress(KernelPanic):
        bootsim.run(k)
    lines = [line.rstrip() for r in k.log.records if r.kernel for line in r.text.split("\n") if line.strip()]
    return _up_to_last(lines)


def compare(real: list[str], replay: list[str]) -> str:
    """What differs first, "" for nothing."""
    if not real:
        return "" if not any(LAST.search(line) for line in replay) else "the real kernel says nothing"
    for i, line in enumerate(real):
        other = replay[i] if i < len(replay) else "(nothing more)"
        if CALLER.sub(r"\1", line.rstrip()) != CALLER.sub(r"\1", other):
            return f"line {i}: {line!r}, replayed {other!r}"
    if len(replay) > len(real):
        return f"the real kernel falls silent after {real[-1]!r}, replayed {replay[len(real)]!r}"
    return ""


def main() -> int:
    """Boot the trees and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--vmlinux", type=Path, required=True, help="kernel with symbols, of the build in --config")
    parser.add_argument("--config", required=True, help="description of that build (bootsim profile)")
    parser.add_argument("--count", type=int, default=150)
    parser.add_argument("--starts", action="store_true", help="RAM begins above or below the kernel's base")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--cache", type=Path, default=Path.home() / ".cache/bootsim/fuzz-real")
    parser.add_argument("--objcopy", default="arm-linux-gnueabi-objcopy")
    options = parser.parse_args()
    for program in ("qemu-system-arm", options.objcopy):
        if shutil.which(program) is None:
            parser.error(f"{program} is missing")
    options.cache.mkdir(parents=True, exist_ok=True)
    build = load_build(options.config)
    differing = 0
    with tempfile.TemporaryDirectory() as folder:
        image = Path(folder, "Image")
        subprocess.run([options.objcopy, "-O", "binary", options.vmlinux, image], check=True)
        for number in range(options.count):
            seed = f"{options.seed}:{number}"
            rng = random.Random(seed)
            base = random_base(rng) if options.starts else RAM_PA
            tree = random_tree(rng, base if options.starts else None)
            real = real_log(image, tree, options.cache, build, base)
            try:
                found = compare(real, replayed_log(tree, build, base))
            except BootsimError as error:
                found = f"not replayed: {error}"
            differing += bool(found)
            if found:
                print(f"{seed:>8}  {len(real):4} lines  {found}", flush=True)
    print(f"{options.count} trees, {options.count - differing} agree, {differing} differ")
    return 1 if differing else 0


if __name__ == "__main__":
    sys.exit(main())
