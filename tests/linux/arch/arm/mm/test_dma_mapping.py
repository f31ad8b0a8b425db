"""The pool of DMA's atomic allocations, taken by an initcall (arch/arm/mm/dma-mapping.c)."""

import tarfile
from pathlib import Path

import pytest

import bootsim
from bootsim.inputs.configfile import load_build
from bootsim.linux.mm.page_alloc import check_buddy_invariants, page_info
from bootsim.start import prepare, run
from bootsim.views import kernel_page_tables
from bootsim.views.held import END, LiveState

GOLDEN = Path(__file__).parents[4] / "golden"


def booted(cmdline="", config="3G/1G", **options):
    build = load_build(config)
    k = bootsim.prepare("vexpress.dts", build.replace(config=build.config.replace(**options)), mem="256M",
                        cmdline=cmdline)
    bootsim.run(k)
    return k


def free_pages(k):
    listed = sum(area["nr_free"] << order for zone in k.zones for order, area in enumerate(zone["free_area"]))
    return listed + sum(zone["pcp"][0]["count"] for zone in k.zones)


def said(k):
    return [r.text for r in k.log.records if r.kernel and r.text.startswith("DMA: ")]


@pytest.mark.golden
def test_the_pool_lies_where_the_real_kernel_has_it(tmp_path):
    # recording kc-slub-256: cma_alloc() of 64 pages answers with 0x6f000, before the watermarks are set
    with tarfile.open(GOLDEN / "recordings/kc-slub-256.tar.xz") as archive:
        (tmp_path / "boot.dtb").write_bytes(archive.extractfile("kc-slub-256/boot.dtb").read())
    k = prepare(tmp_path / "boot.dtb", load_build(GOLDEN / "builds/k3slub.yaml"), dtb_addr=0x68000000)
    run(k)
    assert k.mm.atomic_pool == (0x6F000, 64)
    assert said(k) == ["DMA: preallocated 256 KiB pool for atomic coherent allocations"]


def test_it_comes_out_of_the_default_area():
    k = booted()
    area = k.mm.dma_contiguous_default_area
    assert k.mm.atomic_pool == (area.base_pfn, 64)
    assert area.set_bits == [[0, 64]]
    assert {page_info(k, area.base_pfn + i)["refcount"] for i in range(64)} == {1}
    assert check_buddy_invariants(k.mm.pgdat) == []


def test_in_the_linear_mapping_devices_see_it_as_it_is():
    lines = list(kernel_page_tables.lines(LiveState(booted(config="3G/1G-nohighmem"), END)))
    assert [line for line in lines if "256K" in line and "MEM/BUFFERABLE/WC" in line]
    k = booted(config="3G/1G-nohighmem", ARM_DMA_MEM_BUFFERABLE=False)
    plain = list(kernel_page_tables.lines(LiveState(k, END)))
    assert [line for line in plain if "256K" in line and "SO/UNCACHED" in line]


def test_without_an_area_it_is_a_block_of_the_page_allocators():
    k, none = booted("cma=0 coherent_pool=300K"), booted("cma=0 coherent_pool=100")
    pfn, pages = k.mm.atomic_pool
    assert pages == 75
    assert pfn % 128 == 0  # a block of order 7, of which the rest went back
    assert free_pages(none) - free_pages(k) == 75
    assert check_buddy_invariants(k.mm.pgdat) == []
    assert said(k) == ["DMA: preallocated 300 KiB pool for atomic coherent allocations"]


@pytest.mark.parametrize(("cmdline", "line"), [
    ("coherent_pool=1M", "DMA: preallocated 1024 KiB pool for atomic coherent allocations"),
    ("coherent_pool=64M", "DMA: failed to allocate 65536 KiB pool for atomic coherent allocation"),
    ("coherent_pool=0", "DMA: failed to allocate 0 KiB pool for atomic coherent allocation"),
    ("coherent_pool=1", "DMA: failed to allocate 0 KiB pool for atomic coherent allocation"),
    ("cma=0 coherent_pool=64M", "DMA: failed to allocate 65536 KiB pool for atomic coherent allocation"),
])
def test_what_the_kernel_says_of_its_size(cmdline, line):
    k = booted(cmdline)
    assert said(k) == [line]
    assert (k.mm.atomic_pool is None) == ("failed" in line)
