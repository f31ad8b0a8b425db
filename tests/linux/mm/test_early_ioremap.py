"""Slots of the fixmap before and after ioremap() is there."""

import pytest

import bootsim
from bootsim.errors import InputError, KernelPanic
from bootsim.lab.session import Session
from bootsim.linux.arch.arm.asm.fixmap import fix_to_virt
from bootsim.linux.mm.early_ioremap import early_ioremap, early_iounmap
from bootsim.views import alive


@pytest.fixture
def lab():
    lab = Session(bootsim.boot("vexpress.dts", config="3G/1G", mem="256M"), alive.text)
    lab.names()
    return lab


def warnings(lab):
    return [r.text for r in lab.k.log.records if r.text.startswith("WARNING:") or "not found slot" in r.text
            or "not consistent" in r.text]


def test_early_ioremap_debug_tells_of_each_mapping():
    k = bootsim.boot("vexpress.dts", config="3G/1G", mem="256M", cmdline="early_ioremap_debug")
    va = early_ioremap(k, 0x10009FF8, 16)
    early_iounmap(k, va, 16)
    # as the kernel prints them: address and size are those behind the mapping by then
    assert [r.text for r in k.log.records if r.kernel and r.text.startswith(("__early_", "early_iounmap"))] == [
        f"__early_ioremap(0x1000b000, 00002000) [0] => 00000ff8 + {fix_to_virt(224):08x}",
        f"early_iounmap({va:08x}, 00000010) [0]"]


def test_panic_on_warn_is_for_warnings_after_the_command_line_is_read():
    k = bootsim.boot("vexpress.dts", config="3G/1G", mem="256M", cmdline="kernelcore=101% panic_on_warn=1")
    assert any("cmdline_parse_core" in r.text for r in k.log.records)  # an early option, before panic_on_warn
    with pytest.raises(KernelPanic, match="kernel: panic_on_warn set"):
        early_ioremap(k, 0x10009000, 0)
    assert k.log.records[-2].text == "---[ end Kernel panic - not syncing: kernel: panic_on_warn set ... ]---"
    assert k.panicked is not None


def test_a_slot_is_32_pages_and_the_first_lies_lowest(lab):
    va = lab.early_ioremap(0x10009008, 8)
    assert va == fix_to_virt(224) + 8
    found = lab.k.translate(va)
    assert (found.pa, found.memory.type, found.permissions.xn) == (0x10009008, "device", True)
    other = lab.early_memremap(0x60000FFC, 8)
    assert other == fix_to_virt(192) + 0xFFC
    assert [lab.k.translate(other + at).pa for at in (0, 4)] == [0x60000FFC, 0x60001000]
    assert lab.k.translate(other).memory.type == "normal"
    assert not lab.k.translate(lab.early_memremap_ro(0x60000000, 4096), "write")
    lab.early_iounmap(va, 8)
    assert not lab.k.translate(va)
    assert lab.early_ioremap(0x10000000, 4096) == fix_to_virt(224)


def test_seven_slots_and_no_more(lab):
    assert all(lab.early_ioremap(0x10000000, 1) for _ in range(7))
    assert lab.early_ioremap(0x10000000, 0x20) == 0
    assert warnings(lab)[-1] == "__early_ioremap(0x10000000, 00000020) not found slot"


def test_sizes_that_fit_no_slot(lab):
    for phys, size in ((0x10000000, 0), (0xFFFFF000, 0x2000), (0x10000000, 33 << 12), (0x10000001, 32 << 12)):
        before = len(warnings(lab))
        assert lab.early_ioremap(phys, size) == 0
        assert len(warnings(lab)) > before
    assert lab.early_ioremap(0x10000000, 32 << 12) == fix_to_virt(224)


def test_unmapping_what_was_not_mapped_so(lab):
    va = lab.early_ioremap(0x10000000, 0x100)
    lab.early_iounmap(va, 0x200)
    assert warnings(lab)[-1] == f"early_iounmap({va:08x}, 00000200) [0] size not consistent 00000100"
    lab.early_iounmap(va + 4, 0x100)
    assert warnings(lab)[-1].endswith("not found slot")
    assert lab.k.translate(va)


def test_one_page_of_the_fixmap_by_its_number(lab):
    va = fix_to_virt(5)
    getattr(lab, "__set_fixmap")(5, 0x60012345, lab.k.mm.pgprot_kernel)
    assert lab.k.translate(va).pa == 0x60012000
    assert isinstance(lab.load(va), int)
    getattr(lab, "__set_fixmap")(5, 0, 0)
    assert not isinstance(lab.load(va), int)  # the TLB was told
    with pytest.raises(InputError, match="BUG"):
        getattr(lab, "__set_fixmap")(5000, 0, 0)
