"""Options of C files that a boot has need of nothing else of: they change no memory before its end.

Some speak, or want a value of a certain kind: those have a handler here. All others take their word in silence, and are
listed by name alone. Options that 32-bit ARM cannot have (ACPI, x86, s390, ...) are not here.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING

from bootsim.errors import InputError
from bootsim.linux.include.linux.errno import EINVAL
from bootsim.linux.kernel.printk import KERN_ERR, KERN_INFO, KERN_NOTICE, KERN_WARNING, printk, step
from bootsim.linux.lib.cmdline import CoreParam, EarlyParam, SetupParam, get_option, memparse, value_of
from bootsim.linux.lib.kstrtox import kstrtobool, kstrtol, kstrtoull

if TYPE_CHECKING:
    from bootsim.linux import Kernel


_SILENT_EARLY = """
nokgdbroundup kgdbcon kgdbwait sched_debug threadirqs rcu_nocb_poll skew_tick nosmt nohugeiomap
debugfs debug_objects boot_delay sysfs.deprecated no_debug_objects rockchip.usb_uart lsmsi ekgdboc
kgdboc_earlycon mem_fclk_21285 balloon3_features rproc_mem atmel.pm_modes
"""
_SILENT_SETUP = """
noinitrd lpj= reset_devices prompt_ramdisk= ramdisk_start= ro rw root= rootwait rootflags= rootfstype= rootdelay=
stacktrace ftrace= ftrace_dump_on_oops traceoff_on_warning alloc_snapshot trace_options= trace_clock= tp_printk
trace_buf_size= tracing_thresh= ftrace_notrace= ftrace_filter= ftrace_graph_filter= ftrace_graph_notrace=
ftrace_graph_max_depth= kprobe_event= trace_event= nmi_watchdog= softlockup_panic= nowatchdog nosoftlockup
watchdog_thresh= reserve= iomem= nohlt hlt psi= noautogroup console_msg_format= console= no_console_suspend
cgroup_no_v1= cgroup_debug rcu_nocbs= no_file_caps test_suspend noresume resume_offset= resume= hibernate= resumewait
nohibernate pm_debug_messages mem_sleep_default= ntp_tick_adj= highres= clocksource= nohz= dma_debug=
dma_debug_entries= dma_debug_driver= reboot= print-fatal-signals= nodelayacct fail_futex= gcov_persist=
coredump_filter= kasan_multi_shot vm_debug slub_memcg_sysfs= noaliencache
failslab= fail_page_alloc=  cgroup.memory= swapaccount= mhash_entries=
mphash_entries= cifsroot= nfsrootdebug nfsroot= ddebug_query= debug_locks_verbose= fail_usercopy= enforcing= selinux=
integrity_audit= ima_template= ima_template_fmt= ima_hash= ima_appraise= ima_tcb ima_policy= ima_appraise_tcb
ima_canonical_fmt evm= TOMOYO_loader= TOMOYO_trigger= apparmor= security= lsm= lsm.debug blkdevparts= gpt
fail_io_timeout= fail_make_request= fips= ca_keys= ether= netdev= fb_tunnels= tcpmhash_entries= uhash_entries=
thash_entries= ip= nfsaddrs= dhcpclass= carrier_timeout= baycom_ser_hdx= baycom_epp= baycom_par= baycom_ser_fdx=
stmmaceth= xirc2ps_cs= cs89x0_dma= cs89x0_media= sxgbeeth= netconsole= plip= mtdparts= slram= parport=
parport_init_mode= raid= md= kgdbts= aoe_iflist= ramdisk_size= max_loop= aha152x= sim710= qla1280= wd33c93= ncr53c8xx=
gdth= st= ips= fas216_logging= androidboot.bootdevice= aic79xx= aic7xxx= efivar_ssdt= devtmpfs.mount=
deferred_probe_timeout= driver_async_probe= pd_ignore_unused clk_ignore_unused ras video= fbcon= lp= apm= kgdboc=
pcmv= pcie_pme= pcie_ports= pcie_port_pm= pci_slot_ignore= i2c_bus= tpm= lcd= fpe= user_debug= five_v_on force_ep80219
iop3xx_init_atu omap_dma_reserve_ch= tft= mini2440= mini6410= mtdset= real6410=
"""
_CORE = {
    "bint": "nomodule",
    "charp": "module_blacklist",
    "int": "irqtime consoleblank alignment colibri_pxa270_baseboard",
    "bool": "ignore_rlimit_data novmcoredd xen_scrub_pages nogreybus no_bL_switcher",
}


def _early_silent(_k: Kernel, _arg: str | None) -> int:
    return 0


def _setup_silent(_k: Kernel, _text: str) -> bool:
    return True


def _setup_passes(_k: Kernel, _text: str) -> bool:
    return False


def _early_bool(_k: Kernel, arg: str | None) -> int:
    return 0 if kstrtobool(arg) is not None else -EINVAL


def _early_with_value(_k: Kernel, arg: str | None) -> int:
    return 0 if arg is not None else -EINVAL


def _early_says(text: str) -> Callable[[Kernel, str | None], int]:
    def handler(k: Kernel, _arg: str | None) -> int:
        printk(k, KERN_INFO, "{text}", func="do_early_param", text=text)
        return 0

    return handler


def _setup_says(*lines: str, level: int = KERN_INFO, takes: bool = True) -> Callable[[Kernel, str], bool]:
    def handler(k: Kernel, _text: str) -> bool:
        for line in lines:
            printk(k, level, "{line}", func="obsolete_checksetup", line=line)
        return takes

    return handler


def _setup_number(complaint: str, *, signed: bool = True) -> Callable[[Kernel, str], bool]:
    # a number is wanted; anything else is complained about, and taken all the same
    def handler(k: Kernel, text: str) -> bool:
        if (kstrtol(text) if signed else kstrtoull(text, 0, 32)) is None:
            printk(k, KERN_WARNING, "{complaint}", func="obsolete_checksetup", complaint=complaint.format(text))
        return True

    return handler


# ---------------------------------------------------------------- handlers with a rule of their own


def setup_io_tlb_npages(_k: Kernel, arg: str | None) -> int:
    """swiotlb=: without LPAE no bounce buffer is taken. Returns 0.

    Source: kernel/dma/swiotlb.c setup_io_tlb_npages()
    """
    value_of("swiotlb", arg)
    return 0


def setup_elfcorehdr(_k: Kernel, arg: str | None) -> int:
    """elfcorehdr=[SIZE@]ADDRESS. Returns 0 or a negative errno.

    Source: kernel/crash_dump.c setup_elfcorehdr()
    Differs: a kernel that dumps another one's memory does so after the boot.
    """
    if arg is None or (memparse(arg)[1] == arg and not arg.startswith("@")):
        return -EINVAL
    return 0


def kmemleak_boot_config(k: Kernel, arg: str | None) -> int:
    """kmemleak=on|off. Returns 0 or a negative errno.

    Source: mm/kmemleak.c kmemleak_boot_config()
    """
    if arg == "off":
        printk(k, KERN_INFO, "kmemleak: Kernel memory leak detector disabled", func="kmemleak_disable")
    return 0 if arg in ("on", "off") else -EINVAL


def early_ioremap_debug_setup(k: Kernel, _arg: str | None) -> int:
    """early_ioremap_debug: a warning for each mapping made and taken away. Returns 0.

    Source: mm/early_ioremap.c early_ioremap_debug_setup()
    """
    k.options["early_ioremap_debug"] = True
    return 0


def lockdown_param(k: Kernel, arg: str | None) -> int:
    """lockdown=integrity|confidentiality. Returns 0 or a negative errno.

    Source: security/lockdown/lockdown.c lockdown_param()
    """
    if arg not in ("integrity", "confidentiality"):
        return -EINVAL
    printk(k, KERN_NOTICE, "Kernel is locked down from command line; see man kernel_lockdown.7",
           func="lock_kernel_down")
    return 0


_PCI_WORDS = ("nomsi", "noaer", "earlydump", "nodomains")
_PCI_STARTS = (
    "realloc", "noari", "cbiosize=", "cbmemsize=", "resource_alignment=", "ecrc=", "hpiosize=", "hpmmiosize=",
    "hpmmioprefsize=", "hpmemsize=", "hpbussize=", "pcie_bus_tune_off", "pcie_bus_safe", "pcie_bus_perf",
    "pcie_bus_peer2peer", "pcie_scan_all", "disable_acs_redir=",
)  # fmt: skip


def pci_setup(k: Kernel, arg: str | None) -> int:
    """pci=WORD,...: what the PCI code may do, after the boot. Returns 0.

    Source: drivers/pci/pci.c pci_setup(), arch/arm/kernel/bios32.c pcibios_setup()
    """
    for word in (arg or "").split(","):
        if word.startswith("noats"):
            printk(k, KERN_INFO, "PCIe: ATS is disabled")
        elif word not in ("", "debug", *_PCI_WORDS) and not word.startswith(_PCI_STARTS):
            printk(k, KERN_ERR, "PCI: Unknown option `{word}'", word=word)
    return 0


def audit_enable(k: Kernel, text: str) -> bool:
    """audit=0|off|1|on.

    Source: kernel/audit.c audit_enable()
    """
    off = text.lower() == "off" or text == "0"
    if not off and text.lower() != "on" and text != "1":
        printk(k, KERN_ERR, "audit: audit: invalid 'audit' parameter value ({text})", text=text)
    printk(k, KERN_INFO, "audit: {state}", state="disabled (until reboot)" if off else "enabled (after initialization)")
    return True


def audit_backlog_limit_set(k: Kernel, text: str) -> bool:
    """audit_backlog_limit=N.

    Source: kernel/audit.c audit_backlog_limit_set()
    """
    limit = kstrtoull(text, 0, 32)
    shown = f"using default of 64, unable to parse {text}" if limit is None else str(limit - (limit >> 31 << 32))
    printk(k, KERN_INFO, "audit: audit_backlog_limit: {shown}", shown=shown)
    return True


def setup_schedstats(k: Kernel, text: str) -> bool:
    """schedstats=enable|disable.

    Source: kernel/sched/core.c setup_schedstats()
    """
    if text in ("enable", "disable"):
        return True
    printk(k, KERN_WARNING, "Unable to parse schedstats=")
    return False


def profile_setup(k: Kernel, text: str) -> bool:
    """profile=[sleep,|schedule,|kvm,]SHIFT.

    Source: kernel/profile.c profile_setup()
    """
    names = {"sleep": "sleep ", "schedule": "schedule ", "kvm": "KVM "}
    word = next((word for word in names if text.startswith(word)), "")
    found, shift, _ = get_option(text.removeprefix(word).removeprefix(",") if word else text)
    what = names.get(word, "")
    if not word and not found:
        return True
    if what == "sleep " and not k.build.config.SCHEDSTATS:
        printk(k, KERN_WARNING, "kernel sleep profiling requires CONFIG_SCHEDSTATS")
    else:
        printk(k, KERN_INFO, "kernel {what}profiling enabled (shift: {shift})", what=what,
               shift=min(max(shift, 0), 31) if found else 0)
    return True


def pcie_aspm_disable(k: Kernel, text: str) -> bool:
    """pcie_aspm=off|force.

    Source: drivers/pci/pcie/aspm.c pcie_aspm_disable()
    """
    if text in ("off", "force"):
        printk(k, KERN_INFO, "PCIe ASPM is {state}", state="disabled" if text == "off" else "forcibly enabled")
    return True


def boot_override_clock(k: Kernel, text: str) -> bool:
    """clock=NAME, an old name of clocksource=.

    Source: kernel/time/clocksource.c boot_override_clock()
    """
    printk(k, KERN_WARNING, "clocksource: clock=pmtmr is deprecated - use clocksource=acpi_pm" if text == "pmtmr" else
           "clocksource: clock= boot option is deprecated - use clocksource=xyz")
    return True


def checkreqprot_setup(k: Kernel, text: str) -> bool:
    """checkreqprot=0|1.

    Source: security/selinux/hooks.c checkreqprot_setup()
    """
    if kstrtoull(text, 0, 32):
        printk(k, KERN_WARNING, "SELinux: checkreqprot set to 1 via kernel parameter.  This is deprecated and will be "
               "rejected in a future kernel release.")
    return True


def parse_hardened_usercopy(k: Kernel, text: str) -> bool:
    """hardened_usercopy=on|off.

    Source: mm/usercopy.c parse_hardened_usercopy()
    """
    value = kstrtobool(text)
    if value is None:
        printk(k, KERN_WARNING, "usercopy: Invalid option string for hardened_usercopy: '{text}'", text=text)
    else:
        k.options["hardened_usercopy"] = value
    return True


def cgroup_disable(k: Kernel, text: str) -> bool:
    """cgroup_disable=NAME,...

    Source: kernel/cgroup/cgroup.c cgroup_disable()
    Differs: of the subsystems, only memory and cpuset are known.
    """
    config = k.build.config
    known = {name for name, there in (("memory", config.MEMCG), ("cpuset", config.CPUSETS)) if there}
    for name in text.split(","):
        if name in known:
            printk(k, KERN_INFO, "cgroup: Disabling {name} control group subsystem", name=name)
    return True


def _cpulist(text: str, nr_cpus: int) -> set[int] | None:
    # cpulist_parse() without groups ("0-7:2/4"); None when it is no list, or holds a CPU that cannot be
    cpus: set[int] = set()
    for part in filter(None, re.split(r"[,\s]+", text)):
        match = re.fullmatch(r"(\d+)(?:-(\d+))?", part)
        if match is None:
            return None
        first, last = int(match[1]), int(match[2] or match[1])
        if first > last or last >= nr_cpus:
            return None
        cpus |= set(range(first, last + 1))
    return cpus


def _no_cpumask_offstack(k: Kernel, option: str) -> None:
    if k.build.config.CPUMASK_OFFSTACK:
        raise InputError(f"cmdline: {option}= with CONFIG_CPUMASK_OFFSTACK: expected one of them alone; masks that are "
                         "allocated for options are not modelled")


def _housekeeping_setup(k: Kernel, text: str, nohz: bool) -> bool:
    # housekeeping_setup(): CPUs that are left alone
    cpus = _cpulist(text, k.nr_cpu_ids)
    if cpus is None:
        printk(k, KERN_WARNING, "Housekeeping: nohz_full= or isolcpus= incorrect CPU range", func="housekeeping_setup")
        return False
    if 0 in cpus:
        printk(k, KERN_WARNING, "Housekeeping: must include one present CPU, using boot CPU:0",
               func="housekeeping_setup")
    if nohz:
        printk(k, KERN_WARNING, "Housekeeping: nohz unsupported. Build with CONFIG_NO_HZ_FULL",
               func="housekeeping_setup")
    return not nohz


def housekeeping_nohz_full_setup(k: Kernel, text: str) -> bool:
    """nohz_full=CPUS.

    Source: kernel/sched/isolation.c housekeeping_nohz_full_setup(), housekeeping_setup()
    Differs: CONFIG_NO_HZ_FULL is taken not to be set.
    """
    _no_cpumask_offstack(k, "nohz_full")
    return _housekeeping_setup(k, text, nohz=True)


def housekeeping_isolcpus_setup(k: Kernel, text: str) -> bool:
    """isolcpus=[FLAG,...]CPUS.

    Source: kernel/sched/isolation.c housekeeping_isolcpus_setup(), housekeeping_setup()
    Differs: as housekeeping_nohz_full_setup(); of several options each is heard as if it were alone.
    """
    _no_cpumask_offstack(k, "isolcpus")
    nohz = False
    while text[:1].isalpha():
        flag, comma, text = text.partition(",")
        nohz = nohz or (bool(comma) and flag == "nohz")
        if comma and flag in ("nohz", "domain", "managed_irq"):
            continue
        if re.search(r"[^A-Za-z_]", flag):
            printk(k, KERN_WARNING, "isolcpus: Invalid flag {flag}", flag=flag)
            return False
        printk(k, KERN_INFO, "isolcpus: Skipped unknown flag {flag}", flag=flag)
    return _housekeeping_setup(k, text, nohz)


def set_mminit_loglevel(k: Kernel, arg: str | None) -> int:
    """mminit_loglevel=N: the kernel tells more of how it sets zones up. Returns 0.

    Source: mm/mm_init.c set_mminit_loglevel()
    Differs: what it tells is left out.
    """
    if get_option(arg)[1] > 0:
        step(k, "cmdline: mminit_loglevel=: the lines that start with mminit:: are left out", level=KERN_WARNING)
    return 0


def irq_affinity_setup(k: Kernel, _text: str) -> bool:
    """irqaffinity=CPUS.

    Source: kernel/irq/irqdesc.c irq_affinity_setup()
    """
    _no_cpumask_offstack(k, "irqaffinity")
    return True


EARLY_PARAMS = (
    EarlyParam("mminit_loglevel", set_mminit_loglevel, ("DEBUG_MEMORY_INIT",)),
    EarlyParam("swiotlb", setup_io_tlb_npages, ("SWIOTLB",)),
    EarlyParam("elfcorehdr", setup_elfcorehdr, ("CRASH_DUMP",)),
    EarlyParam("kmemleak", kmemleak_boot_config, ("DEBUG_KMEMLEAK",)),
    EarlyParam("early_ioremap_debug", early_ioremap_debug_setup),
    EarlyParam("ipcmni_extend", _early_says("IPCMNI extended to 16777216."), ("SYSVIPC_SYSCTL",)),
    EarlyParam("lockdown", lockdown_param, ("SECURITY_LOCKDOWN_LSM",)),
    EarlyParam("debug_boot_weak_hash", _early_says("debug_boot_weak_hash enabled")),
    EarlyParam("irqchip.gicv2_force_probe", _early_bool, ("ARM_GIC",)),
    EarlyParam("irqchip.gicv3_nolpi", _early_bool, ("ARM_GIC_V3",)),
    EarlyParam("pci", pci_setup, ("PCI",)),
    EarlyParam("random.trust_bootloader", _early_bool),
    EarlyParam("random.trust_cpu", _early_bool),
    EarlyParam("iommu.strict", _early_bool, ("IOMMU_API",)),
    EarlyParam("iommu.passthrough", _early_bool, ("IOMMU_API",)),
    EarlyParam("fw_devlink", _early_with_value),
    EarlyParam("clocksource.arm_arch_timer.evtstrm", _early_bool, ("ARM_ARCH_TIMER",)),
    *(EarlyParam(name, _early_silent) for name in _SILENT_EARLY.split()),
)
SETUP_PARAMS = (
    SetupParam("load_ramdisk=", _setup_says("ignoring the deprecated load_ramdisk= option", level=KERN_WARNING)),
    SetupParam("schedstats=", setup_schedstats),
    SetupParam("isolcpus=", housekeeping_isolcpus_setup, ("CPU_ISOLATION",)),
    SetupParam("nohz_full=", housekeeping_nohz_full_setup, ("CPU_ISOLATION",)),
    SetupParam("irqaffinity=", irq_affinity_setup, ("SMP",)),
    SetupParam("cgroup_disable=", cgroup_disable),
    SetupParam("earlyprintk", _setup_passes),
    SetupParam("earlycon", _setup_passes),
    SetupParam("sched_thermal_decay_shift=",
               _setup_number("Unable to set scheduler thermal pressure decay shift parameter"), ("SMP",)),
    SetupParam("relax_domain_level=", _setup_number("Unable to set relax_domain_level"), ("SMP",)),
    SetupParam("resumedelay=", _setup_number("PM: hibernation: resumedelay: bad option string '{}'", signed=False),
               ("HIBERNATION",)),
    SetupParam("irqpoll", _setup_says("Misrouted IRQ fixup and polling support enabled",
                                      "This may significantly impact system performance", level=KERN_WARNING)),
    SetupParam("irqfixup", _setup_says("Misrouted IRQ fixup support enabled.",
                                       "This may impact system performance.", level=KERN_WARNING)),
    SetupParam("noirqdebug", _setup_says("IRQ lockup detection disabled")),
    SetupParam("profile=", profile_setup, ("PROFILING",)),
    SetupParam("clock=", boot_override_clock),
    SetupParam("audit_backlog_limit=", audit_backlog_limit_set, ("AUDIT",)),
    SetupParam("audit=", audit_enable, ("AUDIT",)),
    SetupParam("hardened_usercopy=", parse_hardened_usercopy, ("HARDENED_USERCOPY",)),
    SetupParam("checkreqprot=", checkreqprot_setup, ("SECURITY_SELINUX",)),
    SetupParam("elevator=", _setup_says("Kernel parameter elevator= does not have any effect anymore.\n"
                                        "Please use sysfs to set IO scheduler for individual devices.",
                                        level=KERN_WARNING), ("BLOCK",)),
    SetupParam("pcie_aspm=", pcie_aspm_disable, ("PCIEASPM",)),
    SetupParam("sysrq_always_enabled", _setup_says("sysrq: sysrq always enabled."), ("MAGIC_SYSRQ",)),
    *(SetupParam(name, _setup_silent) for name in _SILENT_SETUP.split()),
)
CORE_PARAMS = tuple(CoreParam(name, kind) for kind, names in _CORE.items() for name in names.split())
