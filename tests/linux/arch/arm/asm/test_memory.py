"""The layout of virtual memory: its boundaries, and the table in the form ARM kernels used to print it."""

from types import SimpleNamespace

import bootsim
from bootsim.linux.arch.arm.asm.memory import Layout
from bootsim.linux.arch.arm.mm.init import tell_layout
from bootsim.log import make_logger

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
        mm=SimpleNamespace(layout=Layout(config, 0xF0000000)),
        stage="free_initmem",
        log=SimpleNamespace(records=records, logger=make_logger(records)),
    )


def test_the_table():
    k = kernel()
    tell_layout(k)
    (record,) = k.log.records
    assert record.text == EXPECTED
    assert not record.kernel
    assert record.fields["vmalloc_start"] == 0xF0800000
    assert record.fields["bss_end"] == 0xC0BC39E8


def test_regions_a_build_lacks_are_absent():
    k = kernel(highmem=False, modules=False)
    names = [region.name for region in k.mm.layout.regions(k.build.symbols)]
    assert "pkmap" not in names
    assert "modules" not in names


def test_facts_and_log_have_the_kernels_own_layout():
    k = bootsim.boot("vexpress.dts", cmdline="vmalloc=300M")
    layout = k.mm.layout
    for name in ("PAGE_OFFSET", "TASK_SIZE", "MODULES_VADDR", "MODULES_END", "PKMAP_BASE", "VMALLOC_START"):
        assert k.facts.value(name) == getattr(layout, name), name
    told = next(r for r in k.log.records if r.text.startswith("bootsim: Virtual kernel memory layout"))
    assert (told.fields["vmalloc_start"], told.fields["lowmem_end"]) == (layout.VMALLOC_START, layout.high_memory)
    assert layout.VMALLOC_START % (8 << 20) == 0
    assert 0 < layout.VMALLOC_START - layout.high_memory <= 8 << 20
