"""create_mapping(): whatever it is asked to map, the walker finds there, and nothing else."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bootsim.errors import KernelPanic
from bootsim.hw.cpu import CORTEX_A9, CORTEX_A15
from bootsim.linux.arch.arm.asm.mach.map import (
    MT_CACHECLEAN,
    MT_DEVICE,
    MT_DEVICE_CACHED,
    MT_DEVICE_WC,
    MT_HIGH_VECTORS,
    MT_LOW_VECTORS,
    MT_MEMORY_DMA_READY,
    MT_MEMORY_RO,
    MT_MEMORY_RW,
    MT_MEMORY_RW_SO,
    MT_MEMORY_RWX,
    MT_MEMORY_RWX_NONCACHED,
    MT_ROM,
    MapDesc,
)
from bootsim.linux.arch.arm.mm.mmu import (
    adjust_lowmem_bounds,
    create_mapping,
    early_mm_init,
    map_lowmem,
    section_update,
)

MIB = 1 << 20
RAM = 0x60000000

# what each type promises: memory, inner cacheability, privileged rights, user rights, execute-never
PROMISES = {
    MT_DEVICE: ("device", "", "rw", "", True),
    MT_DEVICE_WC: ("normal", "non-cacheable", "rw", "", True),
    MT_DEVICE_CACHED: ("normal", "write-back", "rw", "", True),
    MT_MEMORY_RWX: ("normal", "write-back", "rw", "", False),
    MT_MEMORY_RW: ("normal", "write-back", "rw", "", True),
    MT_MEMORY_RO: ("normal", "write-back", "r", "", True),
    MT_MEMORY_RWX_NONCACHED: ("normal", "non-cacheable", "rw", "", False),
    MT_MEMORY_RW_SO: ("strongly-ordered", "", "rw", "", True),
    MT_MEMORY_DMA_READY: ("normal", "write-back", "rw", "", True),
    MT_HIGH_VECTORS: ("normal", "write-back", "r", "r", False),
    MT_LOW_VECTORS: ("normal", "write-back", "r", "", False),
}
DOMAINS = {MT_DEVICE: 2, MT_DEVICE_WC: 2, MT_DEVICE_CACHED: 2, MT_HIGH_VECTORS: 3, MT_LOW_VECTORS: 3}


def said(k):
    return [r.text for r in k.log.records if r.kernel]


def mapped_kernel(make, **options):
    k = make.with_banks((RAM, 256 * MIB), **options)
    early_mm_init(k)
    adjust_lowmem_bounds(k)
    map_lowmem(k)
    return k


PAGE = 4096
VMALLOC_START, VMALLOC_END = 0xD0800000, 0xFF800000

# make is stateless: every example makes its own kernel
stateless = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150, deadline=None)


@st.composite
def requests(draw):
    """Mapping requests that share no 2 MiB: [(va, pa, size, type)]."""
    found, va = [], VMALLOC_START
    for _ in range(draw(st.integers(1, 6))):
        va += draw(st.integers(0, 8)) * 2 * MIB
        unit = draw(st.sampled_from([PAGE, MIB, 2 * MIB]))
        start = va + draw(st.integers(0, 2 * MIB // unit - 1)) * unit
        size = draw(st.integers(1, 5 * MIB // unit + 1)) * unit
        pa_unit = draw(st.sampled_from([PAGE, MIB]))
        pa = draw(st.integers(0, (0xF0000000 // pa_unit))) * pa_unit
        found.append((start, pa, size, draw(st.sampled_from(sorted(PROMISES)))))
        va = -(-(start + size) // (2 * MIB)) * 2 * MIB
    return found


@pytest.mark.property
@stateless
@given(wanted=requests(), probes=st.lists(st.integers(0, 2**32 - 1), max_size=30),
       cpu=st.sampled_from([(CORTEX_A9, 1), (CORTEX_A9, 4), (CORTEX_A15, 2)]))
def test_the_walk_inverts_create_mapping(make, wanted, probes, cpu):
    k = mapped_kernel(make, cpu=cpu[0], cpus=cpu[1])
    for va, pa, size, mt in wanted:
        create_mapping(k, MapDesc(va, pa // PAGE, size, mt))
    assert said(k)[1:] == []
    for va, pa, size, mt in wanted:
        for offset in {0, size - 1, size // 2, *(p % size for p in probes)}:
            check(k, k.translate(va + offset), pa + offset, mt, shared=cpu[1] > 1)
        assert not k.translate(va - 1) or any(a <= va - 1 < a + s for a, _, s, _ in wanted)
    for probe in probes:
        va = VMALLOC_START + probe % (VMALLOC_END - VMALLOC_START)
        inside = [(a, p, s, t) for a, p, s, t in wanted if a <= va < a + s]
        found = k.translate(va)
        assert bool(found) == bool(inside)
        if not found:
            assert found.kind == "translation"


def check(k, found, pa, mt, *, shared):
    memory, inner, privileged, user, xn = PROMISES[mt]
    assert found
    assert found.pa == pa
    assert found.memory.type == memory
    if inner == "write-back" and shared and mt != MT_DEVICE_CACHED:
        inner = "write-back write-allocate"
    assert found.memory.inner == inner
    assert tuple(found.permissions)[:3] == (privileged, user, xn)
    assert found.domain == DOMAINS.get(mt, 0)
    assert found.is_global
    if memory == "normal":
        assert found.memory.shareable == shared


@pytest.mark.property
@stateless
@given(pages=st.dictionaries(st.integers(0, 511), st.integers(0, 0xFFFFF), min_size=1, max_size=20))
def test_pages_share_a_page_table(make, pages):
    k = mapped_kernel(make)
    for index, pfn in pages.items():
        create_mapping(k, MapDesc(VMALLOC_START + index * PAGE, pfn, PAGE, MT_MEMORY_RW))
    for index in range(512):
        found = k.translate(VMALLOC_START + index * PAGE + 5)
        assert bool(found) == (index in pages)
        if found:
            assert found.pa == pages[index] * PAGE + 5


@pytest.mark.parametrize("mib", [1, 2, 3, 256])
def test_lowmem_is_linear(make, mib):
    k = mapped_kernel(make)
    assert k.translate(0xC0000000 + mib * MIB - 1).pa == RAM + mib * MIB - 1


def test_units_are_as_large_as_alignment_allows(make):
    k = mapped_kernel(make)
    create_mapping(k, MapDesc(0xD0800000, 0x70000, 3 * MIB + PAGE, MT_DEVICE))
    assert k.translate(0xD0800000).kind == k.translate(0xD09FFFFF).kind == "section"
    # the last 2 MiB are not a whole number of sections, so all of them are pages
    assert k.translate(0xD0A00000).kind == k.translate(0xD0B00000).kind == "small"


def test_a_mapping_may_end_at_the_top_of_the_address_space(make):
    k = mapped_kernel(make)
    create_mapping(k, MapDesc(0xFFF00000, 0x70000, MIB, MT_MEMORY_RW))
    assert k.translate(0xFFFFFFFF).pa == 0x700FFFFF


def test_an_unaligned_request_covers_whole_pages(make):
    k = mapped_kernel(make)
    create_mapping(k, MapDesc(0xD0800FFF, 0x70000, 2, MT_DEVICE))
    assert k.translate(0xD0800000).pa == 0x70000000
    assert k.translate(0xD0801000).pa == 0x70001000
    assert not k.translate(0xD0802000)


def test_user_addresses_are_refused(make):
    k = mapped_kernel(make)
    create_mapping(k, MapDesc(0xBE000000, 0x10000, PAGE, MT_DEVICE))
    assert said(k)[1:] == ["BUG: not creating mapping for 0x10000000 at 0xbe000000 in user region"]
    assert not k.translate(0xBE000000)


def test_devices_outside_the_vmalloc_area_are_warned_about(make):
    k = mapped_kernel(make)
    create_mapping(k, MapDesc(0xD0100000, 0x10000, PAGE, MT_DEVICE))
    assert said(k)[1:] == ["BUG: mapping for 0x10000000 at 0xd0100000 out of vmalloc space"]
    assert k.translate(0xD0100000).pa == 0x10000000


@pytest.mark.parametrize("mt", [MT_ROM, MT_CACHECLEAN])
def test_types_without_pages_need_whole_sections(make, mt):
    k = mapped_kernel(make)
    create_mapping(k, MapDesc(0xE0000000, 0x10000, PAGE, mt))
    assert said(k)[1:] == ["BUG: map for 0x10000000 at 0xe0000000 can not be mapped using pages, ignoring."]
    create_mapping(k, MapDesc(0xE0000000, 0x10000, MIB, mt))
    assert k.translate(0xE0000000).permissions.privileged == "r"


def test_addresses_above_4_gib_take_supersections(make):
    k = mapped_kernel(make)
    create_mapping(k, MapDesc(0xE0000000, 0x340000, 32 * MIB, MT_MEMORY_RW))
    found = k.translate(0xE1ABCDEF)
    assert (found.pa, found.kind) == (0x341ABCDEF, "supersection")
    create_mapping(k, MapDesc(0xE4000000, 0x340000, 16 * MIB, MT_DEVICE))
    create_mapping(k, MapDesc(0xE4100000, 0x340000, 16 * MIB, MT_MEMORY_RW))
    assert said(k)[1:] == ["MM: invalid domain in supersection mapping for 0x340000000 at 0xe4000000",
                           "MM: cannot create mapping for 0x340000000 at 0xe4100000 invalid alignment"]


def test_a_page_in_a_section_is_a_bug(make):
    k = mapped_kernel(make)
    create_mapping(k, MapDesc(0xE0000000, 0x10000, MIB, MT_DEVICE))
    with pytest.raises(KernelPanic, match="begin with a section"):
        create_mapping(k, MapDesc(0xE0100000, 0x10100, PAGE, MT_DEVICE))


def test_a_section_replaces_half_of_a_page_table(make):
    k = mapped_kernel(make)
    create_mapping(k, MapDesc(0xE0000000, 0x10000, PAGE, MT_DEVICE))
    create_mapping(k, MapDesc(0xE0100000, 0x20000, MIB, MT_DEVICE))
    assert k.translate(0xE0000000).kind == "small"
    assert k.translate(0xE0100000).kind == "section"


def test_a_page_table_must_lie_in_mapped_memory(make):
    k = make.with_banks((RAM, 256 * MIB))
    early_mm_init(k)
    adjust_lowmem_bounds(k)
    with pytest.raises(KernelPanic, match="0xe0000000 at 0x6ffff000 cannot be cleared: 0xcffff000 is not") as death:
        create_mapping(k, MapDesc(0xE0000000, 0x10000, PAGE, MT_DEVICE))
    assert death.value.reason is None


def test_section_update_keeps_the_masked_bits(make):
    k = mapped_kernel(make)
    section_update(k, 0xC0100000, ~0x10, 0x10, k.mm.init_mm)
    assert k.machine.ram.read32(k.mm.init_mm.pgd_pa + 4 * 0xC01) == 0x6010041E
    assert k.machine.ram.read32(k.mm.init_mm.pgd_pa + 4 * 0xC02) == 0x6020040E
    section_update(k, 0xC0200000, ~0x8C00, 0x8400, k.mm.init_mm)
    assert k.machine.ram.read32(k.mm.init_mm.pgd_pa + 4 * 0xC02) == 0x6020840E
