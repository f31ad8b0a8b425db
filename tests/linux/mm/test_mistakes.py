"""Each mistake that a driver can make is told in a real kernel's words, and the machine goes on.

The words in tests/golden/mistakes are of kernels with SLUB, SLAB and its checks, SLOB, and CONFIG_DEBUG_VM. Addresses
are compared as pages in the order in which they are named, and places in them.
"""

from __future__ import annotations

import difflib
import lzma
import re
import sys
from pathlib import Path

import pytest

import bootsim
from bootsim.inputs.configfile import load_build
from bootsim.linux.include.linux.slab import kmem_cache_create
from bootsim.linux.mm.page_alloc import check_buddy_invariants

sys.path.insert(0, str(Path(__file__).parent))
from mistakes import Mistakes, mistakes

GOLDEN = Path(__file__).parents[2] / "golden"
TEXT = mistakes((GOLDEN / "mistakes/mistakes.txt").read_text())
# Poison in the objects: else they hold whatever was in their pages before.
POISONED = ("slab", "slub_debug=FZPU", "slub_debug=P")
# Caches of the boot with a constructor, which the lists do not tell.
CONSTRUCTED = {"inode_cache", "proc_inode_cache", "shmem_inode_cache", "sighand_cache", "anon_vma", "radix_tree_node"}
CHECKS = 0x10D00
INTERNAL = 0xC0000000
ADDRESS = re.compile(r"(?<![0-9a-f])(0x)?([cd][0-9a-f]{7})(?![0-9a-f])")
BYTES = re.compile(r"^(Object +|Bytes b4 |Redzone +|Padding +)(\S+): .*")


def runs():
    """Build and command line of each run, and what the kernel said of each mistake."""
    found = {}
    for line in lzma.decompress((GOLDEN / "mistakes/words.xz").read_bytes()).decode().splitlines():
        if line.startswith("run "):
            run = found.setdefault(line[4:], {})
        elif line.startswith("mistake "):
            said = run.setdefault(line[8:], [])
        else:
            said.append(line)
    return found


RUNS = runs()


def plain(lines, poisoned):
    """The words of a log, with addresses by the order of their pages, and without what a build or a boot decides."""
    pages, shown, traffic = {}, [], False

    def place(match):
        va = int(match[2], 16)
        return f"{match[1] or ''}page {pages.setdefault(va >> 12, len(pages))} +{va & 0xFFF:#x}"

    for text in lines:
        line = text.rstrip()
        traffic = traffic or line.startswith("> traffic")
        if not line or line.startswith("page_owner") or (not poisoned and re.match(r"= [0-9a-f]{3}: ", line)):
            continue
        if line.startswith("> create"):
            pages.clear()
        if re.match(r"= [0-9a-f]{3}: ", line):  # bytes; the last user and free pointers differ
            shown.append(re.sub(r"(?:[0-9a-f]{2} ){3}c[01]\b", "ADDRESS", line))
        elif traffic and line.startswith("= c"):  # places in slabs; which pages come back is no matter of slabs
            shown.append(re.sub(r"\bc[0-9a-f]{4}(?=[0-9a-f]{3}\b)", "", line))
        else:
            shown.append(ADDRESS.sub(place, masked(line, poisoned)).rstrip())
    return shown


def masked(line, poisoned):
    line = re.sub(r"0xc0[0-5][0-9a-f]{5}00000000", "CALLER", line)
    line = re.sub(r"(page|head):[0-9a-f]{8}|Slab 0x[0-9a-f]{8}", r"STRUCT PAGE", line)
    line = re.sub(r"(\bpfn:|\bindex:|^= pfn (?!00000))(0x)?[0-9a-f]+", r"\1", line)
    line = re.sub(r"(WARNING: CPU: 0) PID: \d+ (at \S+).*", r"\1 \2", line)
    line = re.sub(r"(INFO: (?:Allocated|Freed) in) \S+ age=\d+ cpu=\d+ pid=\d+", r"\1", line)
    line = re.sub(r"Last user: \(.*\)", "Last user", line)
    line = re.sub(r"in process \S+", "in process", line)
    return line if poisoned else BYTES.sub(r"\1\2", line)


def machine(run):
    build, _, cmdline = run.partition(" ")
    k = bootsim.prepare("vexpress.dts", load_build(GOLDEN / f"builds/mistakes-{build}.yaml"), mem="256M",
                        cmdline=f"console=ttyAMA0 panic=1 {cmdline}")
    bootsim.run(k)
    return k


@pytest.mark.golden
@pytest.mark.parametrize("run", RUNS)
def test_mistakes_are_told_in_the_kernels_words(run):
    k = machine(run)
    maker = Mistakes(k)
    poisoned = any(word in POISONED for word in run.split())
    different = {}
    for name, real in RUNS[run].items():
        if name == "layout":
            continue
        told, real = (plain(lines, poisoned) for lines in (maker.make(TEXT[name]), real))
        if k.build.config.SLOB:  # which gives whatever hole is there, and a boot leaves many
            told, real = ([re.sub(r"page \d+ \+\w+", "", line) for line in lines] for lines in (told, real))
        if told[:len(real)] != real or (len(told) > len(real) and name != "random-traffic"):
            different[name] = list(difflib.unified_diff(real, told, "real", "bootsim", lineterm="", n=1))
    assert different == {}
    assert check_buddy_invariants(k.mm.pgdat) == []


@pytest.mark.golden
@pytest.mark.parametrize("run", [run for run in RUNS if "layout" in RUNS[run]])
def test_caches_are_laid_out_as_by_the_real_kernel(run):
    k = machine(run)
    made = {s.name: s for s in k.mm.slab.slab_caches}
    lines = [line[2:] for line in RUNS[run]["layout"] if line.startswith("= ")]
    assert len(lines) > 50
    for line in lines:
        name, object_size, _, _, align, _, flags, *_ = line.split(" ")
        s = made.get(name)
        if s is None:
            ctor = (lambda _va: None) if name in CONSTRUCTED else None
            asked = int(flags, 16) & ~(INTERNAL | CHECKS)
            s = kmem_cache_create(k, name, int(object_size), int(align), asked, ctor)
        assert layout(k, s) == line


def layout(k, s):
    """A cache in the words of mistakes.c."""
    text = f"{s.name} {s.object_size} {s.size} align {s.align} flags {s.flags:08x} "
    if k.build.config.SLAB:
        return text + (f"off {s.obj_offset} order {s.gfporder} num {s.num} colour {s.colour}/{s.colour_off} "
                       f"list {s.freelist_size} limit {s.limit} batch {s.batchcount} shared {s.shared}")
    return text + (f"offset {s.offset} inuse {s.inuse} pad {s.red_left_pad} order {s.oo >> 16} "
                   f"objects {s.oo & 0xFFFF} min {s.min_oo >> 16}")
