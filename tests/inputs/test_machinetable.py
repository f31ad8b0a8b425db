"""The table of 5.10's machine descriptors: against a real kernel's image, and against the kernel's source."""

import os
import re
from itertools import pairwise
from pathlib import Path

import pytest

from bootsim.inputs.configfile import read_build
from bootsim.inputs.kconfig import Kconfig
from bootsim.inputs.machines import machines_of_map
from bootsim.inputs.machinetable import FURTHER_OPTIONS, KNOWN_MACHINES

DEBIAN = read_build(Path(__file__).parents[1] / "golden" / "builds" / "deb510armmp.yaml")
HOOKS = ("smp", "smp_init", "dt_fixup", "pv_fixup", "reserve", "map_io", "init_early")


def kconfig(*options):
    return Kconfig("config", dict.fromkeys(options, "y"), {})


def symbols_of(names):
    return {f"__mach_desc_{name}": [0xC1000000 + 0x6C * index] for index, name in enumerate(names)}


def test_debians_machines_from_symbols_are_those_of_its_vmlinux():
    symbols = symbols_of(machine.symbol for machine in DEBIAN.machines)
    symbols["__mach_desc_GENERIC_DT.4"] = symbols.pop("__mach_desc_GENERIC_DT")
    machines, unknown = machines_of_map(symbols, kconfig("SMP", "ZONE_DMA", "ARCH_MULTI_V7", "MACH_MMP2_DT"))
    assert tuple(machines) == DEBIAN.machines
    assert unknown == []


def test_what_options_leave_out():
    machines, _ = machines_of_map(symbols_of(["BCM2835", "BCM2711", "VEXPRESS_DT"]), kconfig("ARCH_MULTI_V6"))
    assert [(m.dt_compat, m.smp, m.smp_init, m.dma_zone_size) for m in machines] == [
        ("brcm,bcm2835", None, None, 0),
        ("", None, None, 0),
        ("arm,vexpress", None, None, 0),
    ]
    (gemini,), _ = machines_of_map(symbols_of(["GEMINI_DT"]), kconfig())
    assert gemini.map_io is None


def test_two_descriptors_of_one_name():
    symbols = {"__mach_desc_R7S72100_DT": [0xC1000200, 0xC1000100]}
    both, unknown = machines_of_map(symbols, kconfig("ARCH_R7S72100", "ARCH_R7S9210"))
    assert [machine.dt_compat for machine in both] == ["renesas,r7s72100", "renesas,r7s9210"]
    assert unknown == []
    (one,), _ = machines_of_map({"__mach_desc_MMP2_DT": [0xC1000100]}, kconfig("MACH_MMP3_DT"))
    assert one.dt_compat == "marvell,mmp3"


def test_one_board_has_one_machine_in_the_table():
    by_name = sorted((known.machine.symbol, known.option) for known in KNOWN_MACHINES)
    assert all(before != after for before, after in pairwise(by_name))


# --- the source ---

_DESCRIPTOR = re.compile(r'(?ms)^\s*(?:DT_)?MACHINE_START\(\s*(\w+)\s*,\s*"(.*?)"\s*\)(.*?)MACHINE_END')
_ARRAY = re.compile(r"char (?:const )?\*\s*(?:const )?(\w+)\[\]\s*(?:__\w+\s*)*=\s*\{(.*?)\}", re.DOTALL)
_COMMENT = re.compile(r"/\*.*?\*/|//[^\n]*", re.DOTALL)


LATER_GONE = {("INTEGRATOR_CP_DT", "init_early"): "intcp_init_early"}  # hooks that a later 5.10.y has not


def source_descriptors(arm):
    """(symbol, name, dt_compat, dma_zone_size is there, hooks) of every descriptor with dt_compat in arch/arm."""
    for path in [arm / "kernel" / "devtree.c", *sorted(arm.glob("mach-*/*.c"))]:
        text = _COMMENT.sub("", path.read_text(errors="replace"))
        arrays = {name: " ".join(re.findall(r'"(.*?)"', body)) for name, body in _ARRAY.findall(text)}
        for symbol, name, body in _DESCRIPTOR.findall(text):
            body = re.sub(r"#if[^\n]*LPAE.*?#endif", "", body, flags=re.DOTALL)
            fields = dict(re.findall(r"\.(\w+)\s*=\s*(?:smp_ops\(|smp_init_ops\()?(\w+)", body))
            if "dt_compat" in fields or symbol == "GENERIC_DT":
                compat = arrays[fields["dt_compat"]] if "dt_compat" in fields else ""
                hooks = tuple(fields.get(hook, LATER_GONE.get((symbol, hook))) for hook in HOOKS)
                yield symbol, name, compat, "dma_zone_size" in fields, hooks


@pytest.mark.skipif(not os.environ.get("KERNEL_SRC"), reason="needs KERNEL_SRC, a tree of Linux 5.10")
def test_table_is_that_of_the_source():
    arm = Path(os.environ["KERNEL_SRC"]) / "arch" / "arm"
    table = {
        (m.symbol, m.name, m.dt_compat, bool(m.dma_zone_size), tuple(getattr(m, hook) for hook in HOOKS))
        for _, m in KNOWN_MACHINES
    }
    assert set(source_descriptors(arm)) == table


@pytest.mark.skipif(not os.environ.get("KERNEL_SRC"), reason="needs KERNEL_SRC, a tree of Linux 5.10")
def test_options_are_those_of_the_source():
    source = Path(os.environ["KERNEL_SRC"])
    files = [*source.glob("arch/arm/**/Kconfig*"), *source.glob("drivers/soc/**/Kconfig")]
    found = (re.findall(r"(?m)^\s*(?:menu)?config\s+(\w+)", path.read_text()) for path in files)
    options = {name for names in found for name in names}
    used = {known.option for known in KNOWN_MACHINES} | set(FURTHER_OPTIONS.values())
    assert used <= options
