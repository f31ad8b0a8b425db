import pytest

from bootsim.errors import InputError, KernelPanic
from bootsim.hw.cpu import CORTEX_A5, CORTEX_A7, CORTEX_A9, CORTEX_A15
from bootsim.hw.machine import Machine
from bootsim.hw.soc import Soc
from bootsim.linux.arch.arm.kernel.head import fixup_smp, lookup_processor_type, stext, turn_mmu_on, vet_atags

UP, SMP = 0xC0E, 0x11C0E


def words(k):
    """{index: word} of the live entries of the first level."""
    table = memoryview(k.machine.ram.read(k.mm.init_mm.pgd_pa, 16384)).cast("I")
    return {i: word for i, word in enumerate(table) if word}


def expected_words(flags):
    table = {0x601: 0x60100000 | flags}
    table |= {0xC00 + i: 0x60000000 + (i << 20) | flags for i in range(13)}
    return table | {0xFF8: 0x68000000 | flags, 0xFF9: 0x68100000 | flags}


def test_the_first_table_on_one_cortex_a9_is_the_real_one(make):
    k = make.started()
    assert words(k) == expected_words(UP)
    assert k.mm.init_mm.pgd_pa == 0x60004000


def test_the_first_table_on_four_processors_is_the_real_one(make):
    k = make.started(cpus=4)
    assert words(k) == expected_words(SMP)
    assert k.is_smp


def test_registers_are_the_real_ones(make):
    k = make.started()
    assert (k.machine.cp15.sctlr, k.machine.cp15.dacr, k.machine.cp15.ttbcr) == (0x10C5387D, 0x51, 0)
    assert k.cr_alignment == 0x10C5387D
    assert k.atags_pointer == 0x68000000
    assert k.machine.cp15.ttbr0 == 0x60004059


def test_a_second_page_table_root_has_shareable_walks_on_smp(make):
    assert make.started(cpus=2).machine.cp15.ttbr0 == 0x6000406A


def test_the_kernel_is_mapped_at_its_linked_and_its_physical_address(make):
    k = make.started()
    assert k.translate(0xC0100000, "execute").pa == 0x60100000
    assert k.translate(0x60100000, "execute").pa == 0x60100000
    assert k.translate(0xFF800000).pa == 0x68000000
    assert not k.translate(0xC0D00000)
    assert not k.translate(0x60200000)


def test_without_the_identity_section_the_next_fetch_faults(make):
    k = make.started()
    k.machine.ram.write32(k.mm.init_mm.pgd_pa + 4 * 0x601, 0)
    with pytest.raises(KernelPanic, match="identity mapping lacks the instruction at 0x60100000"):
        turn_mmu_on(k, k.cr_alignment)


@pytest.mark.parametrize(("cpu", "cpus", "smp"), [
    (CORTEX_A9, 1, False), (CORTEX_A9, 2, True), (CORTEX_A15, 1, True), (CORTEX_A7, 1, True), (CORTEX_A5, 1, True)])
def test_only_a_lone_cortex_a9_becomes_a_uniprocessor(cpu, cpus, smp):
    assert fixup_smp(Machine(cpu=cpu, cpus=cpus)) is smp


def test_a_cortex_a9_whose_scu_says_one_processor_is_a_uniprocessor():
    soc = Soc(0x2C000000, {0x2C000004: 0})
    assert not fixup_smp(Machine(cpu=CORTEX_A9, cpus=4, soc=soc))
    assert not fixup_smp(Machine(cpu=CORTEX_A9, cpus=4, soc=Soc(0)))
    assert fixup_smp(Machine(cpu=CORTEX_A9, cpus=4, soc=Soc(0x2C000000, {0x2C000004: 3})))


def test_a_kernel_without_smp_on_up_stays_as_built(make):
    assert make.started(SMP_ON_UP=False).is_smp
    assert not make.started(SMP=False, SMP_ON_UP=False, cpus=4).is_smp


def test_bss_is_cleared_and_nothing_after_it(make):
    k = make.powered_on()
    start, stop = 0x60C91F50, 0x60CC39E8
    k.machine.ram.write(start - 4, b"\xff" * (stop - start + 8))
    stext(k)
    assert k.machine.ram.read(start - 4, stop - start + 8) == b"\xff" * 4 + bytes(stop - start) + b"\xff" * 4


@pytest.mark.parametrize(("pa", "first"), [(0x68000001, 0xEDFE0DD0), (0x68000000, 0), (0x68000000, 0xD00DFEED)])
def test_a_pointer_to_no_tree_is_dropped(make, pa, first):
    k = make.powered_on()
    k.machine.ram.write32(0x68000000, first)
    assert vet_atags(k, pa) == 0


@pytest.mark.parametrize("size", [2, 5])
def test_a_tagged_list_is_taken(make, size):
    k = make.powered_on()
    k.machine.ram.write32(0x60000100, size)
    k.machine.ram.write32(0x60000104, 0x54410001)
    assert vet_atags(k, 0x60000100) == 0x60000100


def test_no_tree_no_mapping_of_it(make):
    k = make.started(dtb_pa=0)
    assert k.atags_pointer == 0
    assert 0xFF8 not in words(k)


def test_a_tree_inside_the_page_table_is_overwritten(make):
    k = make.started(dtb_pa=0x60005000)
    assert k.atags_pointer == 0x60005000
    assert k.machine.ram.read32(0x60005000) != 0xEDFE0DD0


def test_phys_offset_must_be_a_multiple_of_16_mib(make):
    with pytest.raises(KernelPanic, match="multiple of 16 MiB") as death:
        make.started(kernel_pa=0x60208000)
    assert death.value.reason is None


def test_a_kernel_without_patching_must_be_where_it_was_built_for(make):
    make.started(ARM_PATCH_PHYS_VIRT=False, PHYS_OFFSET=0x60000000)
    with pytest.raises(KernelPanic, match="CONFIG_PHYS_OFFSET=0x80000000"):
        make.started(ARM_PATCH_PHYS_VIRT=False, PHYS_OFFSET=0x80000000)


@pytest.mark.parametrize("phys_offset", [0x80000000, 0x10000000, 0xC0000000])
def test_the_table_follows_the_load_address(make, phys_offset):
    k = make.started(kernel_pa=phys_offset + 0x8000, dtb_pa=phys_offset + 0x08000000)
    assert k.mm.phys_offset == phys_offset
    assert k.translate(0xC0B00460, "execute").pa == phys_offset + 0xB00460


def test_the_debug_port_gets_a_section(make):
    k = make.started(DEBUG_LL=True, DEBUG_UART_PHYS=0x10009000, DEBUG_UART_VIRT=0xF8009000)
    assert words(k)[0xF80] == 0x10000C12
    with pytest.raises(InputError, match="DEBUG_UART_PHYS"):
        make.started(DEBUG_LL=True)


@pytest.mark.parametrize(("midr", "name"), [
    (0x410FC090, "__v7_ca9mp_proc_info"), (0x413FC090, "__v7_ca9mp_proc_info"), (0x414FC0F0, "__v7_ca15mp_proc_info"),
    (0x410FC075, "__v7_ca7mp_proc_info"), (0x410FD034, "__v7_proc_info"), (0x511F04D0, "__krait_proc_info")])
def test_processor_lookup(make, midr, name):
    assert lookup_processor_type(make.powered_on(), midr).name == name


def test_an_unknown_processor_is_the_end(make):
    with pytest.raises(KernelPanic, match="0x4107b361"):
        lookup_processor_type(make.powered_on(), 0x4107B361)


def test_every_step_is_recorded(make):
    k = make.started()
    text = "\n".join(r.text for r in k.log.records)
    assert all(r.text.startswith("bootsim: ") for r in k.log.records)
    assert "kernel: 0xc0000000-0xc0cfffff -> 0x60000000, 13 section(s)" in text
    assert "MMU on" in text
    assert k.facts.value("PHYS_OFFSET") == 0x60000000
    assert k.facts.value("PKMAP_BASE") == 0xBFE00000
