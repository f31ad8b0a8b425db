"""Options by their handlers: what a real kernel says to them, and what they do."""

from __future__ import annotations

import pytest

from bootsim.errors import InputError

MIB = 1 << 20
PLAIN = "Kernel command line: "

# What Debian's 5.10.0-32-armmp says more than without the word, booted in QEMU 7.2 -M virt with it.
REAL = [
    ("panic_on_taint", "Malformed early option 'panic_on_taint'"),
    ("panic_on_taint=20,nousertaint", "panic_on_taint: bitmask=0x20 nousertaint_mode=enabled"),
    ("oops", "Malformed early option 'oops'"),
    ("keep_bootcon", "printk: debug: skip boot console de-registration."),
    ("elfcorehdr", "Malformed early option 'elfcorehdr'"),
    ("ipcmni_extend", "IPCMNI extended to 16777216."),
    ("debug_boot_weak_hash", "debug_boot_weak_hash enabled"),
    ("irqchip.gicv2_force_probe", "Malformed early option 'irqchip.gicv2_force_probe'"),
    ("random.trust_bootloader", "Malformed early option 'random.trust_bootloader'"),
    ("iommu.passthrough=", "Malformed early option 'iommu.passthrough'"),
    ("fw_devlink", "Malformed early option 'fw_devlink'"),
    ("pci=foo", "PCI: Unknown option `foo'"),
    ("rodata=maybe", "Invalid option string for rodata: 'maybe'"),
    ("load_ramdisk=1", "ignoring the deprecated load_ramdisk= option"),
    ("schedstats=x", "Unable to parse schedstats="),
    ("audit=0", "audit: disabled (until reboot)"),
    ("audit=1", "audit: enabled (after initialization)"),
    ("audit_backlog_limit=x", "audit: audit_backlog_limit: using default of 64, unable to parse x"),
    ("profile=2", "kernel profiling enabled (shift: 2)"),
    ("clock=x", "clocksource: clock= boot option is deprecated - use clocksource=xyz"),
    ("resumedelay=x", "PM: hibernation: resumedelay: bad option string 'x'"),
    ("hardened_usercopy=x", "usercopy: Invalid option string for hardened_usercopy: 'x'"),
    ("printk.devkmsg=x", "printk: printk.devkmsg: bad option string 'x'"),
    ("sysrq_always_enabled", "sysrq: sysrq always enabled."),
    ("noirqdebug", "IRQ lockup detection disabled"),
    ("pcie_aspm=off", "PCIe ASPM is disabled"),
    ("isolcpus=99", "Housekeeping: nohz_full= or isolcpus= incorrect CPU range"),
    ("initcall_blacklist=foo", "blacklisting initcall foo"),
    ("slub_debug=x", "slub_debug option 'x' unknown. skipped"),
    ("panic=x", "Booting kernel: `x' invalid for parameter `panic'"),
    ("panic", "Booting kernel: `' invalid for parameter `panic'"),
    ("irqtime=x", "Booting kernel: `x' invalid for parameter `irqtime'"),
]
DEBIAN = dict.fromkeys(
    ("CRASH_DUMP", "SYSVIPC_SYSCTL", "ARM_GIC", "IOMMU_API", "PCI", "AUDIT", "SCHEDSTATS", "HIBERNATION", "MAGIC_SYSRQ",
     "HARDENED_USERCOPY", "PCIEASPM", "CPU_ISOLATION", "KALLSYMS", "SLUB_DEBUG", "PRINTK", "BLOCK", "PROFILING"), True
)  # fmt: skip


def more(board, cmdline, **tree):
    """The kernel's lines that a boot without the words does not have."""
    plain = set(board.said(board.boot("", until="mem_init:entry", **tree)))
    return [line for line in board.said(board.boot(cmdline, until="mem_init:entry", **tree))
            if line not in plain and not line.startswith(PLAIN)]


@pytest.mark.parametrize(("cmdline", "line"), REAL)
def test_what_a_real_kernel_says(board, cmdline, line):
    assert more(board, cmdline, build=DEBIAN) == [line]


@pytest.mark.parametrize("cmdline", [
    "sched_debug", "threadirqs", "skew_tick=x", "boot_delay", "mminit_loglevel=", "debugfs=off", "fw_devlink=x", "pci",
    "pci=nomsi,debug", "iommu.strict=1", "noefi", "elfcorehdr=1M@0x1000", "random.trust_cpu=on", "quiet",
    "panic=5", "panic_print=0x1", "initcall_debug", "nomodule=0", "module_blacklist=a,b", "schedstats=enable",
    "noalign", "profile=x", "printk.devkmsg=on", "alignment=2", "console=ttyAMA0", "foo", "foo.bar=1", "--",
    "dhash_entries=x"])
def test_words_to_which_it_says_nothing(board, cmdline):
    assert not [line for line in more(board, cmdline, build=DEBIAN) if "hash table" not in line]


def test_an_option_of_a_part_that_is_not_there_is_not_heard(board):
    assert more(board, "audit=0 elfcorehdr pcie_aspm=off schedstats=x", build=dict.fromkeys(DEBIAN, False)) == [
        "Unable to parse schedstats="]


@pytest.mark.parametrize(("cmdline", "lines"), [
    ("isolcpus=0", ["Housekeeping: must include one present CPU, using boot CPU:0"]),
    ("isolcpus=nohz,domain,0", ["Housekeeping: must include one present CPU, using boot CPU:0",
                                "Housekeeping: nohz unsupported. Build with CONFIG_NO_HZ_FULL"]),
    ("isolcpus=foo,0", ["isolcpus: Skipped unknown flag foo",
                        "Housekeeping: must include one present CPU, using boot CPU:0"]),
    ("isolcpus=f-o,0", ["isolcpus: Invalid flag f-o"]),
])
def test_isolcpus(board, cmdline, lines):
    assert more(board, cmdline, build=DEBIAN) == lines


def test_lines_that_mminit_loglevel_asks_for_are_said_to_be_missing(board):
    def told(cmdline, on):
        k = board.boot(cmdline, build={"DEBUG_MEMORY_INIT": on})
        return [r.text for r in k.log.records if "mminit::" in r.text]

    assert told("mminit_loglevel=4", True) == ["bootsim: cmdline: mminit_loglevel=: the lines that start with mminit:: "
                                               "are left out"]
    assert told("mminit_loglevel=0", True) == told("mminit_loglevel=4", False) == []


# ---------------------------------------------------------------- static keys

JUMP_LABEL = {"JUMP_LABEL": True, "KALLSYMS_ALL": True, "PAGE_POISONING": True}


@pytest.mark.parametrize(("cmdline", "key"), [("init_on_alloc=1", "init_on_alloc"), ("init_on_free=y", "init_on_free"),
                                              ("page_poison=on", "want_page_poisoning")])
def test_a_key_switched_on_too_early_warns_and_stays_without_effect(board, cmdline, key):
    k = board.boot(cmdline, build=JUMP_LABEL, until="mem_init")
    assert board.said(k, "WARNING", "static key") == [
        "WARNING: CPU: 0 PID: 0 at kernel/jump_label.c:166 static_key_enable_cpuslocked",
        f"static_key_enable_cpuslocked(): static key '{key}+0x0/0x8' used before call to jump_label_init()"]
    assert board.said(k, "mem auto-init") == ["mem auto-init: stack:all(zero), heap alloc:off, heap free:off"]


def test_a_key_switched_off_too_early_warns_and_is_off(board):
    k = board.boot("init_on_alloc=0", build={**JUMP_LABEL, "INIT_ON_ALLOC_DEFAULT_ON": True}, until="mem_init")
    assert board.said(k, "WARNING") == [
        "WARNING: CPU: 0 PID: 0 at kernel/jump_label.c:197 static_key_disable_cpuslocked"]
    assert board.said(k, "mem auto-init") == ["mem auto-init: stack:all(zero), heap alloc:off, heap free:off"]


def test_without_jump_labels_a_key_is_a_variable(board):
    k = board.boot("init_on_free=1", build={"JUMP_LABEL": False}, until="mem_init")
    assert board.said(k, "mem auto-init") == ["mem auto-init: stack:all(zero), heap alloc:off, heap free:on",
                                              "mem auto-init: clearing system memory may take some time..."]
    assert board.said(board.boot("init_on_alloc=1 page_poison=1", build={"PAGE_POISONING": True}, until="mem_init"),
                      "mem auto-init:") == ["mem auto-init: stack:all(zero), heap alloc:off, heap free:off"]


# ---------------------------------------------------------------- page allocator and slabs


@pytest.mark.parametrize(("cmdline", "alloc"), [("", "on"), ("debug_pagealloc=on", "off"), ("debug_pagealloc=0", "on")])
def test_debug_pagealloc_poisons_pages_on_arm(board, cmdline, alloc):
    build = {"DEBUG_PAGEALLOC": True, "PAGE_POISONING": True, "INIT_ON_ALLOC_DEFAULT_ON": True}
    k = board.boot(cmdline, build=build, until="mem_init")
    assert board.said(k, "mem auto-init") == [f"mem auto-init: stack:all(zero), heap alloc:{alloc}, heap free:off"]


def test_guard_pages_are_refused(board):
    build = {"DEBUG_PAGEALLOC": True, "PAGE_POISONING": True}
    k = board.boot("debug_guardpage_minorder=1", build=build, until="mem_init")
    assert board.said(k, "debug_guardpage_minorder to") == ["Setting debug_guardpage_minorder to 1"]
    assert board.said(board.boot("debug_guardpage_minorder=9", build=build), "Bad debug") == [
        "Bad debug_guardpage_minorder value"]
    with pytest.raises(InputError, match=r"cmdline: debug_guardpage_minorder="):
        board.boot("debug_guardpage_minorder=1 debug_pagealloc=on", build=build, until="mem_init")


def test_shuffled_free_lists_are_refused(board):
    shuffle = {"SHUFFLE_PAGE_ALLOCATOR": True}
    with pytest.raises(InputError, match=r"cmdline: page_alloc.shuffle=.*random order"):
        board.boot("page_alloc.shuffle=1", build=shuffle, until="mem_init")
    assert board.boot("page_alloc.shuffle=0", build=shuffle, until="mem_init").panicked is None
    assert board.boot("page_alloc.shuffle=1", until="mem_init").panicked is None
    assert more(board, "page_alloc.shuffle", build=shuffle) == [
        "Booting kernel: `' invalid for parameter `page_alloc.shuffle'"]


@pytest.mark.parametrize(("cmdline", "said"), [("slub_debug", 1), ("slub_debug=P", 1), ("slub_debug=FZ", 0),
                                               ("slub_debug=,kmalloc-64", 0), ("slub_debug=P,kmalloc-64", 0),
                                               ("slub_debug=F;P", 1), ("slub_debug=P;F", 0), ("slub_debug=P-", 0)])
def test_slub_debug(board, cmdline, said):
    k = board.boot(cmdline, build={"INIT_ON_ALLOC_DEFAULT_ON": True, "SLUB_DEBUG": True}, until="mem_init")
    assert board.said(k, "SLAB_POISON") == [
        "mem auto-init: SLAB_POISON will take precedence over init_on_alloc/init_on_free"] * said


@pytest.mark.parametrize(("cmdline", "words"), [
    ("", "Order=0-3, MinObjects=0"),
    ("slub_min_order=1 slub_max_order=2 slub_min_objects=8", "Order=1-2, MinObjects=8"),
    ("slub_max_order=99", "Order=0-10, MinObjects=0"), ("slub_min_objects=x", "Order=0-3, MinObjects=0"),
    ("slub_max_order=-1", "Order=0-10, MinObjects=0"), ("slub_min_objects=", "Order=0-3, MinObjects=0")])
def test_slub_orders(board, cmdline, words):
    assert words in board.said(board.boot(cmdline, until="cma_init_reserved_areas:entry"), "SLUB")[0]


@pytest.mark.parametrize(("arg", "passes"), [("memtest=1", 1), ("memtest=3", 3), ("memtest", 17), ("memtest=18", 18),
                                             ("memtest=0", 0)])
def test_memtest(board, arg, passes):
    k = board.boot(f"{arg} vmalloc=800M", build={"MEMTEST": True}, until="mem_init:entry")
    assert board.said(k, "early_memtest") == [f"early_memtest: # of tests: {passes}"] * bool(passes)
    lines = board.said(k, " pattern ")
    assert len({line.rpartition(" ")[2] for line in lines}) == min(passes, 17)
    limit = k.mm.max_low_pfn << 12
    assert all(int(line.split()[2], 16) <= limit for line in lines)
    if passes == 18:  # the last pass but one writes ones, the first one starts the patterns again
        assert lines[0].endswith("pattern 0000000000000000")
        assert lines[len(lines) // 18].endswith("pattern 4c494e5558726c7a")


def test_memtest_without_end(board):
    with pytest.raises(InputError, match="expected at most 1000"):
        board.boot("memtest=4000000000", build={"MEMTEST": True}, until="mem_init")
    assert more(board, "memtest=x", build={"MEMTEST": True}) == ["Malformed early option 'memtest'"]


def test_earlyprintk(board):
    build = {"EARLY_PRINTK": True}
    assert more(board, "earlyprintk=serial", build=build) == ["printk: bootconsole [earlycon0] enabled"]
    assert more(board, "earlyprintk earlyprintk", build=build) == [
        "printk: bootconsole [earlycon0] enabled", "------------[ cut here ]------------",
        "WARNING: CPU: 0 PID: 0 at kernel/printk/printk.c:2809 register_console",
        "console 'earlycon0' already registered"]
    assert more(board, "earlyprintk") == []


# ---------------------------------------------------------------- firmware


def test_efi_says_that_there_is_none(board):
    lines = board.said(board.boot("efi=debug", build={"EFI": True}))
    at = lines.index("efi: UEFI not found.")
    assert lines[at - 1] == "efi: Getting UEFI parameters from /chosen in DT:"
    assert lines[at + 1].startswith("cma: Reserved")
    assert board.said(board.boot("efi=debug"), "efi:") == []
    assert board.said(board.boot("efi", build={"EFI": True}), "efi") == [
        "efi: need at least one option", "Malformed early option 'efi'", "efi: UEFI not found."]


def test_a_tree_from_a_uefi_stub_is_refused(board):
    stub = ("linux,uefi-system-table = <0 1>; linux,uefi-mmap-start = <0 2>; linux,uefi-mmap-size = <3>; "
            "linux,uefi-mmap-desc-size = <4>; linux,uefi-mmap-desc-ver = <5>; linux,uefi-secure-boot = <0>;")
    with pytest.raises(InputError, match=r"board.dts:\d+ /chosen linux,uefi-system-table"):
        board.boot(chosen=stub, build={"EFI": True})
    assert board.boot(chosen=stub, build={"EFI": False}).panicked is None
    part = stub.replace("linux,uefi-mmap-size = <3>; ", "")
    assert board.said(board.boot(chosen=part, build={"EFI": True}), "efi") == [
        "efi: Can't find property 'linux,uefi-mmap-size' in DT!"]


def test_a_tree_from_xen_is_refused(board):
    xen = 'hypervisor { compatible = "xen,xen-4.14", "xen,xen"; };'
    with pytest.raises(InputError, match="Xen is not modelled"):
        board.boot("", xen, build={"XEN": True})
    assert board.boot("", xen, build={"XEN": False}).panicked is None


PSCI = ["psci: probing for conduit method from DT.", "psci: PSCIv1.1 detected in firmware.",
        "psci: Using standard PSCI v0.2 function IDs", "psci: Trusted OS migration not required",
        "psci: SMC Calling Convention v1.0"]


@pytest.mark.parametrize(("properties", "lines"), [
    ('compatible = "arm,psci-1.0", "arm,psci-0.2", "arm,psci"; method = "hvc";', PSCI),
    ('compatible = "arm,psci-0.2", "arm,psci"; method = "smc";', PSCI),
    ('compatible = "arm,psci", "arm,psci-0.2"; method = "smc";',
     [PSCI[0], "psci: Using PSCI v0.1 Function IDs from DT"]),
    ('compatible = "arm,psci-1.0";', [PSCI[0], 'psci: missing "method" property']),
    ('compatible = "arm,psci-1.0"; method = "x";', [PSCI[0], 'psci: invalid "method" property: x']),
    ('compatible = "arm,psci-1.0"; method = "smc"; status = "disabled";', []),
])
def test_psci_goes_by_the_most_specific_compatible(board, properties, lines):
    k = board.boot("", f"psci {{ {properties} }};", build={"ARM_PSCI_FW": True}, until="setup_arch")
    assert board.said(k, "psci") == lines
