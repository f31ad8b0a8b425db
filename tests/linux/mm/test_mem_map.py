"""Struct pages where the kernel takes them to be: from the first frame of RAM on, wherever memory begins."""

from __future__ import annotations

import pytest

import bootsim
from bootsim.errors import KernelPanic
from bootsim.linux.mm.page_alloc import mem_init_print_info

TREE = """/dts-v1/;
/ {
	compatible = "arm,vexpress"; #address-cells = <1>; #size-cells = <1>;
	chosen { bootargs = "%s"; };
	memory { device_type = "memory"; reg = <0x60000000 0x40000000>; };
};
"""


def prepared(tmp_path, cmdline, dtb=0x68000000, **options):
    path = tmp_path / "board.dts"
    path.write_text(TREE % cmdline)
    return bootsim.prepare(path, "3G/1G", load_addr=0x60008000, dtb_addr=dtb, **options)


def dies(k):
    with pytest.raises(KernelPanic) as death:
        bootsim.run(k)
    return death.value


def texts(k):
    return [r.text for r in k.log.records]


# A real 5.10 on vexpress-a9 with mem=512M@0x60800000: a data abort at 0xdf800000 (write), then prefetch aborts at
# 0xffff000c without end: the struct pages passed the end of lowmem, and the vectors' page table before that.
def test_struct_pages_behind_the_end_of_lowmem_kill_in_silence(tmp_path):
    k = prepared(tmp_path, "mem=512M@0x60800000 cma=0")
    death = dies(k)
    assert death.reason is None
    assert "struct pages lie behind the memory map" in death.cause
    assert "0xe0800000" in death.cause
    assert texts(k)[-2] == "  Normal zone: 131072 pages, LIFO batch:31"


# A real 5.10 with mem=64M@0x70000000 lives on: the struct pages lie in the CMA area above the map.
def test_struct_pages_that_hit_only_free_memory_do_no_harm_yet(tmp_path):
    k = prepared(tmp_path, "mem=64M@0x70000000")
    death = dies(k)
    assert any(text.startswith("Memory: ") for text in texts(k))
    assert "free_reserved_area() frees" in death.cause  # the kernel's own init sections are no memory
    line = next(r for r in k.log.records if "behind the memory map" in r.text)
    pgdat, at = k.mm.pgdat, line.fields["first"]
    assert at == pgdat.mem_map_pa + 0x10000 * k.build.sizeof.page
    words = [k.machine.ram.read32(at + 4 * i) for i in range(8)]
    assert words[1] == words[2] == k.phys_to_virt(at) + 4
    assert words[6:] == [0xFFFFFFFF, 1]


def test_memory_at_the_start_of_ram_has_its_pages_in_the_map(tmp_path):
    k = prepared(tmp_path, "mem=64M")
    bootsim.run(k)
    assert not [text for text in texts(k) if "behind the memory map" in text]


def test_the_first_touch_of_ram_that_is_not_there_is_the_last(tmp_path):
    k = prepared(tmp_path, "", ram="128M", dtb=0x64000000)
    death = dies(k)
    assert death.reason is None
    assert "no RAM is there" in death.cause
    assert "board.dts" in death.cause


def test_every_boot_ends_with_free_lists_that_hold_together(tmp_path):
    k = prepared(tmp_path, "mem=64M")
    bootsim.run(k)
    assert not [text for text in texts(k) if "do not hold together" in text]


def test_a_region_given_twice_is_told(tmp_path):
    k = prepared(tmp_path, "mem=64M")
    bootsim.run(k)
    from bootsim.linux.mm.page_alloc import check_buddy_invariants, free_reserved_area

    free_reserved_area(k, k.build.symbols.init_begin, k.build.symbols.init_end, name="unused kernel")
    assert "are free already: the region has two owners" in texts(k)[-2]
    assert check_buddy_invariants(k.mm.pgdat) == []


TOP_RESERVED = """
	reserved-memory { #address-cells = <1>; #size-cells = <1>; ranges; top@7fc00000 { reg = <0x7fc00000 0x400000>; }; };
};
"""


# Of a real 5.10 with such a tree: its early console's page table, which is the vectors' too, lay behind the map, and
# the zones' lines were its last.
@pytest.mark.parametrize(("console", "cause"), [(" earlycon=pl011,0x10009000", "early console"),
                                                ("", "first interrupt")])
def test_struct_pages_over_the_vectors_table_end_an_early_console_first(tmp_path, console, cause):
    path = tmp_path / "board.dts"
    path.write_text((TREE % f"mem=256M@0x70000000 cma=0{console}").rstrip().removesuffix("};") + TOP_RESERVED)
    k = bootsim.prepare(path, "3G/1G", load_addr=0x60008000, dtb_addr=0x68000000)
    death = dies(k)
    assert death.reason is None
    assert cause in death.cause
    assert any(text.startswith("Memory: ") for text in texts(k)) == (not console)


def test_reserved_kib_are_an_unsigned_long(tmp_path):
    k = prepared(tmp_path, "mem=64M")
    bootsim.run(k)
    present = 64 << 8
    k.mm.totalram_pages = present - k.mm.totalcma_pages + 1
    mem_init_print_info(k)
    line = [text for text in texts(k) if text.startswith("Memory: ")][-1]
    assert ", 4294967292K reserved, " in line
