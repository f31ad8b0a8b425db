"""Snapshots: what is read out of a kernel at a stage."""

import struct
from types import SimpleNamespace

import pytest

import bootsim
from bootsim.hw.memory import PhysicalMemory
from bootsim.linux.mm.memblock import Memblock, memblock_add, memblock_reserve
from bootsim.stages import STAGES
from bootsim.state import snapshot
from bootsim.state.recorder import Recorder

PGD_PA = 0x60004000


@pytest.fixture
def k():
    ram = PhysicalMemory()
    mb = Memblock()
    memblock_add(mb, 0x60000000, 0x20000000)
    memblock_reserve(mb, 0x60004000, 0x4000, caller="test")
    return SimpleNamespace(
        machine=SimpleNamespace(ram=ram, dtb_pa=0x68000000),
        mm=SimpleNamespace(
            init_mm=SimpleNamespace(pgd_pa=PGD_PA),
            memblock=mb,
            phys_offset=0x60000000,
            arm_lowmem_limit=0x80000000,
            high_memory=0xE0000000,
            min_low_pfn=0x60000,
            max_low_pfn=0x80000,
            max_pfn=0x80000,
            cma_areas=[SimpleNamespace(name="reserved", base_pfn=0x7F000, count=4096, order_per_bit=0)],
        ),
    )


def test_the_boot_announces_the_stages_in_their_order():
    seen = []
    bootsim.run(bootsim.prepare("vexpress.dts", observer=lambda stage, k: seen.append(stage)))
    assert seen == list(STAGES)


def test_at_the_last_stage_kernel_text_is_read_only():
    def writable(stage, k):
        if stage in ("free_initmem", "mark_readonly"):
            found[stage] = k.translate(k.build.symbols.stext).permissions.privileged

    found = {}
    bootsim.run(bootsim.prepare("vexpress.dts", observer=writable))
    assert found == {"free_initmem": "rw", "mark_readonly": "r"}


def test_memblock(k):
    assert snapshot.memblock(k) == {
        "memory": [[0x60000000, 0x20000000, 0]],
        "reserved": [[0x60004000, 0x4000, 0]],
        "current_limit": 0xFFFFFFFF,
        "bottom_up": False,
    }


def test_page_tables_are_read_from_ram_each_second_level_page_once(k):
    # Two entries name the two halves of one page; a section and a fault are no tables; the higher page comes first.
    for index, word in ((3, 0x7FFFE000 | 0xC11), (0xFFF, 0x7FFFD000 | 1), (0xFFE, 0x7FFFDC00 | 1), (0xC00, 0x6000041E)):
        k.machine.ram.write32(PGD_PA + 4 * index, word)
    k.machine.ram.write32(0x7FFFD000, 0x11111111)
    k.machine.ram.write32(0x7FFFEFFC, 0x22222222)
    fields, l1, l2 = snapshot.page_tables(k)
    assert fields == {"swapper_pg_dir": PGD_PA, "l2_pages": [0x7FFFD000, 0x7FFFE000]}
    assert len(l1) == 16384
    assert struct.unpack_from("<I", l1, 4 * 0xC00) == (0x6000041E,)
    assert len(l2) == 8192
    assert struct.unpack_from("<I", l2, 0) == (0x11111111,)
    assert struct.unpack_from("<I", l2, 8188) == (0x22222222,)


def test_each_stage_shows_its_parts(k):
    taken = snapshot.take(k, "request_standard_resources")
    assert set(taken.fields) == {"memblock", "tables", "high_memory", "min_low_pfn", "max_low_pfn", "max_pfn"}
    assert taken.l1 is not None
    taken = snapshot.take(k, "adjust_lowmem_bounds_2")
    assert taken.fields["lowmem_limit"] == 0x80000000
    assert taken.l1 is None
    taken = snapshot.take(k, "__create_page_tables")
    assert (taken.fields["atags"], taken.fields["phys_offset"]) == (0x68000000, 0x60000000)


def test_areas(k):
    assert snapshot.cma_areas(k) == [{"name": "reserved", "base_pfn": 0x7F000, "count": 4096, "order_per_bit": 0}]


def test_a_snapshot_does_not_follow_the_kernel(k):
    taken = snapshot.take(k, "setup_machine_fdt")
    memblock_reserve(k.mm.memblock, 0x68000000, 0x1000, caller="test")
    assert len(taken.fields["memblock"]["reserved"]) == 1


def test_the_recorder_keeps_known_stages_in_order(k):
    recorder = Recorder()
    recorder("setup_machine_fdt", k)
    recorder("a stage of another day", k)
    recorder("adjust_lowmem_bounds", k)
    assert list(recorder.stages) == ["setup_machine_fdt", "adjust_lowmem_bounds"]
