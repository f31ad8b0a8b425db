"""The slab allocator starts during the boot, in mm_init(): which pages and objects its first caches take.

Addresses are those that real kernels gave: recordings kc-slub-256 (tests/golden/recordings) and, relative to the first
page, kl-slab-1024 of the same series (SLAB).
"""

import tarfile
from pathlib import Path

import pytest

import bootsim
from bootsim.errors import KernelPanic
from bootsim.inputs.configfile import load_build
from bootsim.linux.init.main import kmem_cache_init
from bootsim.linux.mm import page_alloc as pa
from bootsim.start import prepare, run

GOLDEN = Path(__file__).parents[2] / "golden"


def booted(until=None, cmdline=None, **config):
    build = load_build("3G/1G")
    slabs = {"SLUB": True, "SLAB": False, "SLOB": False}
    k = bootsim.prepare("vexpress.dts", build.replace(config=build.config.replace(**{**slabs, **config})), mem="256M",
                        cmdline=cmdline)
    bootsim.run(k, until=until)
    return k


def taken(k):
    return [(pfn, pages, name) for pfn, pages, name in k.mm.slab.slabs()]


@pytest.mark.golden
def test_slub_begins_where_the_real_kernels_did(tmp_path):
    with tarfile.open(GOLDEN / "recordings/kc-slub-256.tar.xz") as archive:
        (tmp_path / "boot.dtb").write_bytes(archive.extractfile("kc-slub-256/boot.dtb").read())
    k = prepare(tmp_path / "boot.dtb", load_build(GOLDEN / "builds/k3slub.yaml"), dtb_addr=0x68000000)
    run(k)
    caches = {s.name: (s.va, s.node_va) for s in k.mm.slab.slab_caches}
    assert caches["kmem_cache"] == (0xC1801000, 0xC1800040)
    assert caches["kmem_cache_node"] == (0xC1801F00, 0xC1800000)
    assert caches["kmalloc-64"] == (0xC1801E40, 0xC1800FC0)
    assert caches["kmalloc-8k"] == (0xC1801840, 0xC1800DC0)
    assert caches["kmalloc-rcl-8k"] == (0xC1801180, 0xC1800B80)
    assert taken(k) == [(0x61800, 1, "kmem_cache_node"), (0x61801, 1, "kmem_cache")]


def test_slab_begins_with_the_descriptors_and_the_cache_of_nodes():
    k = booted(SLUB=False, SLAB=True, SLAB_FREELIST_RANDOM=False)
    slab = k.mm.slab
    first = slab.cache_at[slab.kmalloc_caches[0][6].va].va
    assert [s.va - first for s in slab.slab_caches[1:5]] == [0, 0x80, 0x100, 0x180]
    nodes = {s.name: s.node_va - first for s in slab.slab_caches}
    assert [nodes[name] for name in ("kmem_cache", "kmalloc-64", "kmalloc-128", "kmalloc-192")] == [
        0x1000, 0x1040, 0x1080, 0x10C0]
    assert [name for _, _, name in taken(k)[:2]] == ["kmem_cache", "kmalloc-64"]


def test_slob_takes_no_page_yet():
    k = booted(SLUB=False, SLOB=True)
    assert k.mm.slab is not None
    assert taken(k) == []


def test_before_mm_init_is_done_there_is_no_allocator_of_objects():
    assert booted(until="mem_init").mm.slab is None


def test_its_pages_are_gone_from_the_free_lists():
    before, after = booted(until="mem_init"), booted(until="cma_init_reserved_areas:entry")
    pages = sum(pages for _, pages, _ in taken(after))
    assert pages >= 2
    assert pa.nr_free_pages(after) == pa.nr_free_pages(before) - pages


def test_random_lists_take_an_object_a_cache_at_the_end_of_the_start():
    plain, shuffled = booted(SLAB_FREELIST_RANDOM=False), booted(SLAB_FREELIST_RANDOM=True)
    assert not any(s.random_seq for s in plain.mm.slab.slab_caches)
    slab = shuffled.mm.slab
    # init_freelist_randomization(): the newest cache first, four bytes an object of its slabs
    assert all(s.random_seq for s in slab.slab_caches)
    for cache in slab.slab_caches:
        size = next(size for size in (64, 128, 192, 256, 512) if size >= 4 * (cache.oo & 0xFFFF))
        assert f"kmalloc-{size}" in slab.owner_of(cache.random_seq), cache.name


def test_a_kernel_without_a_free_page_dies_there():
    k = booted(until="mem_init")
    while pa.alloc_pages(k, pa.GFP_NOWAIT | pa.__GFP_NOWARN | pa.__GFP_NOMEMALLOC, 0) is not None:
        pass
    with pytest.raises(KernelPanic, match="first slab"):
        kmem_cache_init(k)


def test_slabs_larger_than_the_largest_block_are_the_end():
    with pytest.raises(KernelPanic, match="Creation of kmalloc slab") as death:
        booted(cmdline="slub_min_order=12")
    assert death.value.cause.startswith("slub_min_order=12 wants larger slabs")
