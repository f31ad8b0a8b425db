"""vmalloc() and its kin on a booted machine: addresses, pages, bytes; what is given back is all there again."""

from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import bootsim
from bootsim.linux.arch.arm.asm.mach.map import MT_DEVICE
from bootsim.linux.arch.arm.kernel.module import module_alloc
from bootsim.linux.arch.arm.mm.ioremap.remap import __arm_ioremap_pfn as ioremap_pfn
from bootsim.linux.arch.arm.mm.ioremap.remap import arch_memremap_wb, ioremap, ioremap_wc, iounmap
from bootsim.linux.mm.page_alloc import GFP_KERNEL, alloc_pages, page_info, page_zone_name
from bootsim.linux.mm.vmalloc.alloc import VmallocError, vfree, vmalloc, vmalloc_user, vmap, vunmap, vzalloc
from bootsim.linux.mm.vmalloc.area import find_vm_area, pcpu_free_vm_areas, pcpu_get_vm_areas
from bootsim.linux.mm.vmalloc.block import block_pages, vm_map_ram, vm_unmap_aliases, vm_unmap_ram
from bootsim.linux.mm.vmalloc.early import VM_IOREMAP, VM_MAP, VM_MAP_PUT_PAGES
from bootsim.linux.mm.vmalloc.tables import vmalloc_to_page, vmalloc_to_pfn
from bootsim.views import vmallocinfo

PAGE = 4096
MIB = 1 << 20


@pytest.fixture(scope="module")
def booted():
    return bootsim.boot("vexpress.dts", mem="1G", config="3G/1G")


@pytest.fixture
def k(booted):
    return booted.copy()


@pytest.fixture(scope="module")
def small():
    return bootsim.boot("vexpress.dts", mem="64M", config="3G/1G")


def unused_pages(k):
    blocks = sum(area["nr_free"] << order for zone in k.zones for order, area in enumerate(zone["free_area"]))
    return blocks + sum(pcp["count"] for zone in k.zones for pcp in zone["pcp"])


def write(k, va, data):
    for at, byte in enumerate(data):
        found = k.translate(va + at)
        k.machine.ram.write(found.pa, bytes([byte]))


def said(k, text):
    return [record.text for record in k.log.records if text in record.text]


def test_high_memory_comes_first_and_a_guard_page_behind(k):
    va = vmalloc(k, 5 * PAGE - 1)
    assert va == k.mm.layout.VMALLOC_START
    assert {page_zone_name(k, vmalloc_to_pfn(k, va + i * PAGE)) for i in range(5)} == {"HighMem"}
    assert vmalloc_to_page(k, va + 5 * PAGE) is None
    assert vmalloc(k, 1) == va + 6 * PAGE
    write(k, va + PAGE - 2, b"abcd")
    assert k.read(va + PAGE - 2, 4) == b"abcd"
    assert find_vm_area(k, va + 3 * PAGE).addr == va


def test_cleared_and_aligned_for_programs(k):
    vmalloc(k, PAGE)
    va = vzalloc(k, 300)
    assert k.read(va, PAGE) == bytes(PAGE)
    assert vmalloc_user(k, 20000) % (4 * PAGE) == 0


def test_what_is_given_back_is_there_again(k):
    counts = []
    for _ in range(3):  # the first time caches and tables are made, which stay
        areas = [vmalloc(k, size) for size in (1, PAGE, 17 * PAGE, 3 * MIB)]
        pages = [vmalloc_to_pfn(k, areas[2] + i * PAGE) for i in range(17)]
        counts.append(unused_pages(k))
        for va in areas:
            vfree(k, va)
        assert not any(k.translate(va) for va in areas)
        assert {page_info(k, pfn)["refcount"] for pfn in pages} == {0}
        counts.append(unused_pages(k))
    assert counts[5] == counts[4] + 3 * MIB // PAGE + 19
    assert k.mm.vmap.nr_vmalloc_pages == 0


def test_more_than_1024_pages_have_an_array_of_its_own_area(k):
    va = vmalloc(k, 5 * MIB)
    array = find_vm_area(k, va).pages_va
    assert array == va + 5 * MIB + PAGE
    assert find_vm_area(k, array).addr == array
    assert any(line.endswith("pages=1280 vmalloc vpages") for line in vmallocinfo.lines(Held(k)))
    vfree(k, va)
    assert find_vm_area(k, array) is None


class Held:
    def __init__(self, k):
        self.k = k

    def kernel(self, _what):
        return self.k


def test_the_file_tells_every_area_and_what_waits(k):
    va = vmalloc(k, 3 * PAGE, caller="load_module")
    gone = vmalloc(k, PAGE)
    io = ioremap(k, 0x10009000, PAGE, caller="of_iomap")
    vm_map_ram(k, [alloc_pages(k, GFP_KERNEL, 0)], 1)
    vfree(k, gone)
    lines = list(vmallocinfo.lines(Held(k)))
    assert f"{va:#010x}-{va + 4 * PAGE:#010x}   16384 load_module pages=3 vmalloc" in lines
    assert f"{io:#010x}-{io + 2 * PAGE:#010x}    8192 of_iomap phys=0x10009000 ioremap" in lines
    assert any(line.endswith(" 1048576 vm_map_ram") for line in lines)
    assert lines[-1] == f"{gone:#010x}-{gone + 2 * PAGE:#010x}    8192 unpurged vm_area"


def test_too_much_is_refused_in_the_kernels_words(k):
    assert vmalloc(k, 0) == 0
    assert vmalloc(k, 2 << 30) == 0
    assert said(k, "vmalloc: allocation failure: 2147483648 bytes, mode:0xcc0(GFP_KERNEL), nodemask=(null)")
    assert vmalloc(k, 500 * MIB) == 0
    size = 500 * MIB + PAGE
    assert said(k, f"vmap allocation for size {size} failed: use vmalloc=<size> to increase size")


def test_memory_that_runs_out_half_way_is_given_back(small):
    k = small.copy()
    vfree(k, vmalloc(k, PAGE))
    before = unused_pages(k)
    assert vmalloc(k, 62 * MIB) == 0
    assert abs(unused_pages(k) - before) < 10
    assert not k.mm.vmap.nr_vmalloc_pages
    assert {vm.caller for vm in k.mm.vmap.vms.values()} <= {"iotable_init", "pci_reserve_io", ""}
    assert not [vm for vm in k.mm.vmap.vms.values() if vm.pages]


def test_pages_are_mapped_anew_and_stay_after(k):
    pages = [alloc_pages(k, GFP_KERNEL, 0) for _ in range(3)]
    va = vmap(k, [k.page(pfn) for pfn in reversed(pages)], 3, VM_MAP, k.mm.pgprot_kernel)
    assert [k.translate(va + i * PAGE).pa >> 12 for i in range(3)] == pages[::-1]
    write(k, va, b"seen twice")
    assert k.machine.ram.read(pages[2] << 12, 10) == b"seen twice"
    vunmap(k, va)
    assert not k.translate(va)
    assert page_info(k, pages[0])["refcount"] == 1
    va = vmap(k, pages, 3, VM_MAP | VM_MAP_PUT_PAGES, k.mm.pgprot_kernel)
    vfree(k, va)
    assert page_info(k, pages[0])["refcount"] == 0
    with pytest.raises(VmallocError, match="there are 3"):
        vmap(k, pages, 4, VM_MAP, k.mm.pgprot_kernel)


def test_what_no_area_has_is_warned_of(k):
    vfree(k, 0)
    vfree(k, k.mm.layout.VMALLOC_START + 1)
    vunmap(k, k.mm.layout.VMALLOC_START)
    start = k.mm.layout.VMALLOC_START
    assert said(k, f"Trying to vfree() bad address ({start + 1:08x})")
    assert said(k, f"Trying to vfree() nonexistent vm area ({start:08x})")


def test_registers_are_mapped_page_by_page_and_aligned_to_their_size(k):
    va = ioremap(k, 0x10009018, 0x100)
    assert va & 0xFFF == 0x18
    assert k.translate(va).pa == 0x10009018
    assert k.translate(va).memory.type == "device"
    large = ioremap_wc(k, 0x40000000, 3 * MIB)
    assert large % (512 << 10) == 0
    assert k.translate(large + 2 * MIB).pa == 0x40000000 + 2 * MIB
    iounmap(k, va)
    assert not k.translate(va)
    assert ioremap(k, 0xFFFFF000, 0x2000) == 0
    assert ioremap(k, 0x10009000, 0) == 0


def test_ram_is_no_register(k):
    base = k.mm.phys_offset + 16 * MIB
    assert ioremap(k, base, PAGE) == 0
    assert said(k, "WARNING: CPU: 0 PID: 1 at arch/arm/mm/ioremap.c:288")
    assert k.translate(arch_memremap_wb(k, base, PAGE)).pa == base


def test_a_static_mapping_is_used_and_left_alone():
    k = bootsim.boot("vexpress.dts", mem="256M", config="3G/1G").copy()
    config = k.build.config
    assert config.SMP
    from bootsim.linux.arch.arm.mm.ioremap import VM_ARM_MTYPE, VM_ARM_STATIC_MAPPING, StaticVm, add_static_vm_early
    from bootsim.linux.mm.vmalloc.early import VmStruct

    flags = VM_IOREMAP | VM_ARM_STATIC_MAPPING | VM_ARM_MTYPE(0)
    add_static_vm_early(k, StaticVm(VmStruct(0xF8000000, 2 * PAGE, flags, phys_addr=0x1C090000), 0))
    assert ioremap(k, 0x1C091008, 8) == 0xF8001008
    assert ioremap_wc(k, 0x1C091008, 8) != 0xF8001008  # another memory type
    before = k.mm.vmap.areas.busy
    iounmap(k, 0xF8001008)
    assert k.mm.vmap.areas.busy == before


def test_without_smp_whole_sections_are_mapped(k):
    k.build = k.build.replace(config=k.build.config.replace(SMP=False))
    ioremap(k, 0x10009000, PAGE)  # the caches are made
    free = unused_pages(k)
    va = ioremap(k, 0x40000000, 4 * MIB)
    assert va % (4 * MIB) == 0
    assert k.translate(va + 3 * MIB + 5).pa == 0x40300005
    assert k.translate(va).kind == "section"
    assert unused_pages(k) == free  # no table
    seq = k.mm.init_mm.vmalloc_seq
    iounmap(k, va)
    assert not k.translate(va)
    assert k.mm.init_mm.vmalloc_seq == seq + 2
    for _ in range(3):  # what waits is not used again before it is purged, tables are replaced by sections
        vfree(k, vmalloc(k, 4 * MIB))
    vm_unmap_aliases(k)
    again = ioremap(k, 0x40000000, 4 * MIB)
    assert again == va
    assert k.translate(again).pa == 0x40000000


def test_addresses_wait_until_many_do(k):
    first = vmalloc(k, MIB)
    vfree(k, first)
    count = 0
    while k.mm.vmap.areas.purge:
        va = vmalloc(k, MIB)
        assert va != first
        vfree(k, va)
        count += 1
    assert count == 3 * 32 * MIB // PAGE // 257  # fls(4 processors); each range with its guard page
    assert vmalloc(k, MIB) == first


def test_modules_lie_near_the_kernel_and_elsewhere_when_there_is_no_room(k):
    k.build = k.build.replace(config=k.build.config.replace(ARM_MODULE_PLTS=True))
    layout = k.mm.layout
    va = module_alloc(k, 100000)
    assert va == layout.MODULES_VADDR
    assert k.translate(va, "execute")
    assert not k.translate(vmalloc(k, PAGE), "execute")
    assert module_alloc(k, 13 * MIB) == va + 26 * PAGE
    assert module_alloc(k, 2 * MIB) >= layout.VMALLOC_START
    k.build = k.build.replace(config=k.build.config.replace(ARM_MODULE_PLTS=False))
    assert module_alloc(k, 2 * MIB) == 0


def test_short_mappings_share_a_block_of_a_processor(k):
    pages = [alloc_pages(k, GFP_KERNEL, 0) for _ in range(40)]
    one, three = vm_map_ram(k, pages, 1), vm_map_ram(k, pages[1:], 3)
    assert (three - one) // PAGE == 1
    assert vm_map_ram(k, pages, 2) == one + 5 * PAGE  # three pages take four
    assert k.translate(three + 2 * PAGE).pa >> 12 == pages[3]
    vm_unmap_ram(k, three, 3)
    assert not k.translate(three)
    assert vm_map_ram(k, pages, 4) != three  # used once in a block's life
    large = vm_map_ram(k, pages, 40)
    assert find_vm_area(k, large) is None
    vm_unmap_ram(k, large, 40)
    with on_cpu(k, 1):
        other = vm_map_ram(k, pages, 1)
    assert other % (block_pages(k) * PAGE) == 0  # the first page of a block of its own
    assert vm_map_ram(k, pages, 1) // (block_pages(k) * PAGE) == one // (block_pages(k) * PAGE)
    with pytest.raises(VmallocError, match="nothing of vm_map_ram"):
        vm_unmap_ram(k, 0xF7000000, 1)


@contextmanager
def on_cpu(k, number):
    before, k.mm.pgdat.cpu = k.mm.pgdat.cpu, number
    yield
    k.mm.pgdat.cpu = before


def test_a_block_is_given_back_when_nothing_of_it_is_in_use(k):
    page = alloc_pages(k, GFP_KERNEL, 0)
    vas = [vm_map_ram(k, [page] * 32, 32) for _ in range(block_pages(k) // 32)]
    for va in vas:
        vm_unmap_ram(k, va, 32)
    assert not k.mm.vmap.blocks
    half = vm_map_ram(k, [page], 1)
    vm_unmap_ram(k, half, 1)
    assert k.mm.vmap.blocks  # the rest of it may still be used
    vm_unmap_aliases(k)
    assert not k.mm.vmap.blocks
    assert not k.mm.vmap.areas.purge


def test_areas_for_per_cpu_memory(k):
    vms = pcpu_get_vm_areas(k, [0, 8 * PAGE], [2 * PAGE, 2 * PAGE], PAGE)
    assert [vm.addr for vm in vms] == [0xFF800000 - 10 * PAGE, 0xFF800000 - 2 * PAGE]
    assert all(find_vm_area(k, vm.addr) is vm for vm in vms)
    pcpu_free_vm_areas(k, vms)
    assert find_vm_area(k, 0xFF800000 - 2 * PAGE) is None


STEPS = st.lists(st.tuples(st.sampled_from(["vmalloc", "vzalloc", "user", "vmap", "module", "ioremap", "free", "free"]),
                           st.integers(1, 40 * PAGE)), max_size=30)  # fmt: skip


@settings(max_examples=40, deadline=None)
@given(STEPS)
def test_every_area_is_its_own(booted, steps):
    """Whatever is asked and given back, areas do not overlap, and what is written to one stays there."""
    k, held = booted.copy(), {}
    give = {"vmalloc": vmalloc, "vzalloc": vzalloc, "user": vmalloc_user, "module": module_alloc}
    for mark, (what, size) in enumerate(steps, 1):
        if what == "free" and held:
            va = sorted(held)[size % len(held)]
            kind, _, _ = held.pop(va)
            {"vmap": vunmap, "ioremap": iounmap}.get(kind, vfree)(k, va)
            assert not k.translate(va)
        elif what == "vmap":
            pages = [alloc_pages(k, GFP_KERNEL, 0) for _ in range(1 + size // PAGE)]
            held[vmap(k, pages, len(pages), VM_MAP, k.mm.pgprot_kernel)] = ("vmap", len(pages) * PAGE, mark)
        elif what == "ioremap":
            held[ioremap(k, 0x10000000, size)] = ("ioremap", size, None)
        elif what in give:
            held[give[what](k, size)] = (what, size, mark)
        for va, (_, length, written) in held.items():
            if written == mark:
                write(k, va + length - 1, bytes([mark]))
        ends = sorted((va, va + (length + PAGE - 1) // PAGE * PAGE) for va, (_, length, _) in held.items())
        assert all(end < start for (_, end), (start, _) in pairwise(ends))
        for va, (_, length, written) in held.items():
            if written is not None:
                assert k.read(va + length - 1, 1) == bytes([written])
            assert not k.translate(va + (length + PAGE - 1) // PAGE * PAGE)


def test_a_copy_has_its_own_areas(k):
    va = vmalloc(k, PAGE)
    other = k.copy()
    write(other, va, b"other")
    vfree(k, va)
    assert other.read(va, 5) == b"other"
    assert vmalloc(other, PAGE) != va
    vfree(other, va)
    assert [start for start, _ in other.mm.vmap.areas.purge] == [va]


IO36 = Path(__file__).parents[2] / "golden/builds/v5io36.yaml"


@pytest.mark.parametrize(("pfn", "size", "kind"), [
    (0x240000, 32 * MIB, "supersection"), (0x240000, 16 * MIB, "supersection"), (0x40000, 16 * MIB, "section")])
def test_what_lies_above_4_gib_is_mapped_in_supersections(tmp_path, pfn, size, kind):
    (tmp_path / "board.dts").write_text("""/dts-v1/;
/ { compatible = "arm,versatile-pb"; #address-cells = <1>; #size-cells = <1>;
	memory@0 { device_type = "memory"; reg = <0 0x8000000>; }; };
""")
    k = bootsim.boot(tmp_path / "board.dts", IO36, cpu=["pxa300"], dtb_addr=0x2000000, load_addr=0x8000)
    assert not k.build.config.SMP
    va = ioremap_pfn(k, pfn, 0x123, size - PAGE, MT_DEVICE)
    found = k.translate(va + size - 2 * PAGE)
    assert va % (16 * MIB) == 0x123
    assert (found.pa, found.kind) == ((pfn << 12) + 0x123 + size - 2 * PAGE, kind)
    iounmap(k, va)
    assert not k.translate(va)
    assert ioremap_pfn(k, pfn + 0x100, 0, PAGE, MT_DEVICE) == 0 or kind == "section"  # no whole supersection
