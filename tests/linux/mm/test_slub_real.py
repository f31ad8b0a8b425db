"""How SLUB lays out a cache, against a real kernel's own files, under one command line after the other (mm/slub.c)."""

import lzma
from pathlib import Path

import pytest

import bootsim
from bootsim.inputs.configfile import load_build
from bootsim.linux.include.linux.slab import kmem_cache_create_usercopy
from bootsim.linux.mm.slab_common import (
    SLAB_CACHE_DMA,
    SLAB_HWCACHE_ALIGN,
    SLAB_RECLAIM_ACCOUNT,
    SLAB_TYPESAFE_BY_RCU,
)
from bootsim.linux.mm.slub.objects import struct_sizes
from bootsim.linux.mm.slub.sysfs import sysfs

GOLDEN = Path(__file__).parents[2] / "golden"
FLAGS = {"hwcache_align": SLAB_HWCACHE_ALIGN, "reclaim_account": SLAB_RECLAIM_ACCOUNT, "cache_dma": SLAB_CACHE_DMA,
         "destroy_by_rcu": SLAB_TYPESAFE_BY_RCU}


def real():
    """Command line: [(cache, whether it has a constructor, file: text)]."""
    head, *lines = lzma.decompress((GOLDEN / "proc/slabs-armmp.xz").read_bytes()).decode().splitlines()
    columns = head.split()[3:]
    found = {}
    for line in lines:
        if line.startswith("> "):
            caches = found.setdefault(line[2:], [])
        else:
            name, ctor, *values = line.split()
            caches.append((name, ctor == "1", dict(zip(columns, values, strict=True))))
    return found


REAL = real()


@pytest.mark.golden
@pytest.mark.parametrize("cmdline", REAL)
def test_every_cache_is_laid_out_as_by_the_real_kernel(cmdline):
    build = load_build(GOLDEN / "builds/deb510armmp.yaml")
    k = bootsim.prepare("vexpress-ca15", build, mem="256M", cmdline=f"console=ttyAMA0 {cmdline}")
    bootsim.run(k)
    assert len(REAL[cmdline]) > 60
    made = {s.name: s for s in k.mm.slab.slab_caches}
    for name, ctor, files in REAL[cmdline]:
        s = made.get(name)
        if s is None:
            flags = sum(flag for file, flag in FLAGS.items() if files[file] == "1")
            s = kmem_cache_create_usercopy(k, name, int(files["object_size"]), int(files["align"]), flags, 0,
                                           int(files["usersize"]), (lambda _va: None) if ctor else None)
        ours = sysfs(k.mm.slab, s)
        assert {file: ours[file] for file in files} == files, name


def test_the_structs_are_as_large_as_in_the_real_kernel():
    # DWARF of Debian's vmlinux-5.10.0-32-armmp: struct kmem_cache_node, and struct kmem_cache with one node
    assert struct_sizes(load_build(GOLDEN / "builds/deb510armmp.yaml").config) == (32, 140)
    # recordings of builds k3slub: record 23 of the two boot caches
    assert struct_sizes(load_build(GOLDEN / "builds/k3slub.yaml").config) == (32, 132)
