
import pytest

from bootsim.errors import InputError
from bootsim.hw.cpu import (
    ARM926,
    ARM1176,
    CORTEX_A5,
    CORTEX_A7,
    CORTEX_A8,
    CORTEX_A9,
    CORTEX_A15,
    CPUS,
    PJ4,
    cpu_for,
    stated,
)


def test_cpus_are_found_by_their_compatible_string():
    assert cpu_for("arm,cortex-a9") is CORTEX_A9
    assert cpu_for("arm,cortex-a15") is CORTEX_A15
    assert cpu_for("arm,cortex-a7") is CORTEX_A7
    assert cpu_for("arm,cortex-a5") is CORTEX_A5
    assert cpu_for("arm,arm926ejs") is ARM926
    assert cpu_for("arm,arm1176jzf") is ARM1176
    assert cpu_for("arm,cortex-m3") is None


def test_identification():
    assert (CORTEX_A9.part, CORTEX_A9.variant, CORTEX_A9.revision) == (0xC09, 0, 0)
    assert (CORTEX_A15.part, CORTEX_A15.variant, CORTEX_A15.revision) == (0xC0F, 4, 0)
    assert (CORTEX_A7.part, CORTEX_A7.variant, CORTEX_A7.revision) == (0xC07, 0, 5)


def test_what_the_features_mean():
    assert not CORTEX_A9.has_pxn
    assert CORTEX_A15.has_pxn
    assert (CORTEX_A9.divides, CORTEX_A15.divides) == (0, 2)


def test_instruction_cache_ways():
    assert CORTEX_A9.l1i_way_bytes == 4096  # a page: no aliases
    assert CORTEX_A7.l1i_way_bytes == 16384


ARMV7 = CPUS[: CPUS.index(ARM926)]


@pytest.mark.parametrize("cpu", ARMV7, ids=lambda cpu: cpu.name)
def test_every_cpu_is_an_armv7_as_the_kernel_sees_it(cpu):
    assert cpu.midr >> 24 in (0x41, 0x42, 0x51, 0x56)  # Arm, Broadcom, Qualcomm, Marvell
    assert cpu.midr >> 16 & 0xF == 0xF
    assert cpu.id_mmfr0 & 0xF >= 3
    assert cpu.mpidr >> 30 == (0 if cpu in (CORTEX_A8, PJ4) else 0b10)
    assert cpu.ctr >> 29 == 0b100  # the ARMv7 register format


def test_a_cpu_does_not_change():
    with pytest.raises(AttributeError):
        CORTEX_A9.midr = 0


def test_a_processor_is_stated_by_model_and_registers():
    assert stated([], lambda: CORTEX_A8) is CORTEX_A8
    assert stated(["cortex-a15"], lambda: CORTEX_A8) == CORTEX_A15
    assert stated(["arm,cortex-a15"], lambda: CORTEX_A8) == CORTEX_A15
    assert stated(["mpidr=0x80000000"], lambda: CORTEX_A9._replace(mpidr=0x80000900)) == CORTEX_A9
    assert stated(["mpidr=0x80000101"], lambda: CORTEX_A9).mpidr == 0x80000101
    other = stated(["midr=0x412fc0f1"], lambda: CORTEX_A8)
    assert other == CORTEX_A15._replace(midr=0x412FC0F1)
    assert stated(["midr=0x413fc090", "cortex-a7"], lambda: CORTEX_A9) == CORTEX_A7._replace(midr=0x413FC090)


@pytest.mark.parametrize(("word", "message"), [
    ("cortex-m4", "--cpu cortex-m4: expected cortex-a9, .*, or NAME=VALUE with a name of midr, mpidr"),
    ("mpidr=", "--cpu mpidr=: expected NAME=VALUE with a 32-bit value"),
    ("mpidr=0x100000000", "with a 32-bit value"),
    ("cr=1", "a name of midr, mpidr, ctr, tcmtr, dtcm, dtcm1, itcm, itcm1"),
    ("midr=0x410fc230", "--cpu midr=0x410fc230: no processor that is modelled; expected one of cortex-a9"),
])
def test_a_processor_that_cannot_be_stated(word, message):
    with pytest.raises(InputError, match=message):
        stated([word], lambda: CORTEX_A9)
