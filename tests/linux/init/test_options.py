"""The kernel's own tables of options: each is modelled, or known to change no memory."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from bootsim.inputs.build import Config
from bootsim.linux.init.main import parameters

LIST = Path(__file__).parents[2] / "data/linux-5.10-options.txt"
FOLDERS = ("init", "kernel", "mm", "fs", "lib", "security", "block", "crypto", "ipc", "net", "drivers", "arch/arm")
# What a 32-bit ARM kernel without NUMA and memory hotplug cannot have.
NOT_ON_ARM = re.compile(
    r"drivers/(acpi|s390|parisc|pnp|eisa|pcmcia/vrc|iommu/(amd|intel|irq_remapping)|gpu/drm/gma500|tty/hvc/hvc_iucv|usb/early"
    r"|block/(amiflop|ataflop|floppy)|video/(console/(sticore|mdacon|vgacon)|fbdev/stifb)|cpufreq/(elanfreq|intel_pstate)"
    r"|firewire/init_ohci|firmware/efi/(apple|fake_mem)|clocksource/acpi_pm|char/(hpet|agp|hangcheck)|net/(arcnet|appletalk)"
    r"|net/wan/sbni|scsi/(mac_scsi|atari_scsi|BusLogic))"
    r"|mm/(mempolicy|memory_hotplug|huge_memory|hugetlb)\.c|kernel/locking/qspinlock|kernel/dma/pool\.c"
)
NUMA = {"cma_pernuma", "hashdist="}
KINDS = {"early_param": "early", "__setup": "setup", "__setup_param": "setup", "core_param": "core"}
ENTRY = re.compile(r'^\s*(early_param|__setup|__setup_param|core_param)\s*\(\s*"?([^",\s)]+)"?\s*,', re.M)


def from_source(root: Path) -> set[tuple[str, str]]:
    """Every option of the kernel source that a 32-bit ARM kernel can have, as (kind, name)."""
    found = set()
    for folder in FOLDERS:
        for path in (root / folder).rglob("*.[ch]"):
            if not NOT_ON_ARM.match(str(path.relative_to(root))):
                matches = ENTRY.findall(path.read_text(errors="replace"))
                found |= {(KINDS[macro], name) for macro, name in matches if name not in NUMA}
    return found


def stored() -> set[tuple[str, str]]:
    lines = [line for line in LIST.read_text().splitlines() if not line.startswith("#")]
    return {(kind, name) for kind, _, names in (line.partition(":") for line in lines) for name in names.split()}


def known() -> dict[tuple[str, str], tuple[str, ...]]:
    """The entries of the replay, with what each needs of the build."""
    tables = (("early", parameters._EARLY), ("setup", parameters._SETUP), ("core", parameters._CORE))
    return {(kind, entry.name): entry.needs for kind, table in tables for entry in table}


def test_every_option_of_the_kernel_is_known():
    assert stored() - known().keys() == set()


def test_no_option_is_made_up():
    modules = {name for kind, name in known() if kind == "core" and "." in name}
    assert modules == {"printk.ignore_loglevel", "page_alloc.shuffle"}  # module_param()s, which the list has not
    assert {key for key in known() if key[1] not in modules} - stored() == set()


def test_an_option_is_registered_once():
    for table in (parameters._EARLY, parameters._SETUP, parameters._CORE):
        names = [entry.name for entry in table]
        assert len(set(names)) == len(names)


def test_needs_are_options_of_a_build():
    for needs in known().values():
        assert {need.removeprefix("!") for need in needs} <= Config.KERNEL_NAMES.keys()


@pytest.mark.skipif("KERNEL_SRC" not in os.environ, reason="KERNEL_SRC is not set")
def test_the_stored_list_is_that_of_the_source():
    assert stored() == from_source(Path(os.environ["KERNEL_SRC"]))


def test_the_list_is_read_from_source_as_the_kernel_writes_it(tmp_path):
    (tmp_path / "mm").mkdir()
    (tmp_path / "mm/one.c").write_text('early_param("a", f);\n\t__setup("b=", g);\ncore_param(c, v, int, 0);\n'
                                       '__setup_param("d", id, f, 0);\n/* early_param("x", f) */\n')
    (tmp_path / "mm/hugetlb.c").write_text('early_param("e", f);\n')
    assert from_source(tmp_path) == {("early", "a"), ("setup", "b="), ("core", "c"), ("setup", "d")}
