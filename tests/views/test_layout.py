"""The table of the virtual address space, in the form ARM kernels used to print it."""

from types import SimpleNamespace

from bootsim.log import make_logger
from bootsim.views import layout

EXPECTED = """\
bootsim: Virtual kernel memory layout:
    vector  : 0xffff0000 - 0xffff1000   (   4 kB)
    fixmap  : 0xffc80000 - 0xfff00000   (2560 kB)
    vmalloc : 0xf0800000 - 0xff800000   ( 240 MB)
    lowmem  : 0xc0000000 - 0xf0000000   ( 768 MB)
    pkmap   : 0xbfe00000 - 0xc0000000   (   2 MB)
    modules : 0xbf000000 - 0xbfe00000   (  14 MB)
      .text : 0xc0008000 - 0xc0800001   (8161 kB)
      .init : 0xc0a00000 - 0xc0b00000   (1024 kB)
      .data : 0xc0b00000 - 0xc0b7a100   ( 489 kB)
       .bss : 0xc0b7a100 - 0xc0bc39e8   ( 295 kB)"""


def kernel(highmem=True, modules=True):
    symbols = SimpleNamespace(
        text=0xC0008000, etext=0xC0800001, init_begin=0xC0A00000, init_end=0xC0B00000, sdata=0xC0B00000,
        edata=0xC0B7A100, bss_start=0xC0B7A100, bss_stop=0xC0BC39E8,
    )  # fmt: skip
    config = SimpleNamespace(PAGE_OFFSET=0xC0000000, HIGHMEM=highmem, MODULES=modules, THUMB2_KERNEL=False)
    records = []
    return SimpleNamespace(
        build=SimpleNamespace(symbols=symbols, config=config),
        mm=SimpleNamespace(high_memory=0xF0000000),
        stage="free_initmem",
        log=SimpleNamespace(records=records, logger=make_logger(records)),
    )


def test_the_table():
    k = kernel()
    layout.record(k)
    (record,) = k.log.records
    assert record.text == EXPECTED
    assert not record.kernel
    assert record.fields["vmalloc_start"] == 0xF0800000
    assert record.fields["bss_end"] == 0xC0BC39E8


def test_regions_a_build_lacks_are_absent():
    names = [region.name for region in layout.regions(kernel(highmem=False, modules=False).build, 0xF0000000)]
    assert "pkmap" not in names
    assert "modules" not in names
