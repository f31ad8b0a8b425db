"""start_kernel() and the options it reads (init/main.c)."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from bootsim.causes import cause
from bootsim.errors import KernelPanic
from bootsim.linux.arch.arm.kernel.head import stext
from bootsim.linux.arch.arm.kernel.setup import early_mem, setup_arch, smp_setup_processor_id
from bootsim.linux.arch.arm.mm.dma_mapping import early_coherent_pool
from bootsim.linux.arch.arm.mm.init import free_initmem, free_initrd_mem, initrd_place, mark_rodata_ro, mem_init
from bootsim.linux.arch.arm.mm.mmu import early_cachepolicy, early_ecc, early_nocache, early_nowrite, early_vmalloc
from bootsim.linux.arch.arm.mm.mmu.mem_types import value_of
from bootsim.linux.fs.dcache import dcache_init_early
from bootsim.linux.fs.inode import inode_init_early
from bootsim.linux.include.linux.err import Err
from bootsim.linux.init.do_mounts_initrd import early_initrdmem
from bootsim.linux.kernel.cpu import mitigations_parse_cmdline
from bootsim.linux.kernel.dma.contiguous import early_cma
from bootsim.linux.kernel.panic import warn
from bootsim.linux.kernel.params import parameq, parse_args
from bootsim.linux.kernel.printk import (
    KERN_ALERT,
    KERN_INFO,
    KERN_NOTICE,
    KERN_WARNING,
    ignore_loglevel_setup,
    log_buf_len_setup,
    printk,
    setup_log_buf,
    step,
)
from bootsim.linux.lib.cmdline import get_option, memparse, simple_strtoull
from bootsim.linux.lib.kstrtox import kstrtobool
from bootsim.linux.mm.cma import cma_init_reserved_areas
from bootsim.linux.mm.memblock import early_memblock, memblock_alloc
from bootsim.linux.mm.page_alloc import (
    __GFP_BITS_MASK,
    build_all_zonelists,
    cmdline_parse_kernelcore,
    cmdline_parse_movablecore,
    early_init_on_alloc,
    early_init_on_free,
    init_per_zone_wmark_min,
    setup_per_cpu_pageset,
    want_init_on_alloc,
    want_init_on_free,
)
from bootsim.linux.mm.page_ext import page_ext_init_flatmem
from bootsim.linux.mm.page_owner import early_page_owner_param
from bootsim.linux.mm.page_poison import early_page_poison_param
from bootsim.linux.mm.percpu import percpu_alloc_setup, setup_per_cpu_areas
from bootsim.linux.mm.slub import kmem_cache_init
from bootsim.owners import Purpose

if TYPE_CHECKING:
    from bootsim.linux import Kernel

CONSOLE_LOGLEVEL_DEBUG = 10


def start_kernel(k: Kernel) -> None:
    """Boot: from the Image's first instruction to free_initmem().

    Source: init/main.c start_kernel(), arch/arm/kernel/head.S stext
    Differs: only what touches the memory map, the log, or the page allocator before free_initmem is replayed.
    """
    stext(k)
    k.stage = "start_kernel"
    k.reached("__create_page_tables")
    smp_setup_processor_id(k)
    printk(k, KERN_NOTICE, "{banner}", banner=k.build.banner.rstrip("\n"))
    setup_arch(k)
    k.stage = "start_kernel"
    setup_boot_config(k)
    setup_command_line(k)
    setup_nr_cpu_ids(k)
    k.reached("setup_arch")  # where boots are captured: the command line is copied already
    k.stage = "setup_per_cpu_areas"
    setup_per_cpu_areas(k)
    k.stage = "start_kernel"
    build_all_zonelists(k)
    printk(k, KERN_NOTICE, "Kernel command line: {cmdline}", cmdline=k.boot_command_line)
    parse_boot_params(k)
    setup_log_buf(k)
    vfs_caches_init_early(k)
    k.stage = "mm_init"
    mm_init(k)
    k.stage = "start_kernel"
    setup_per_cpu_pageset(k)
    k.stage = "kernel_init"
    kernel_init(k)


def mm_init(k: Kernel) -> None:
    """Set up the kernel's memory allocators.

    Source: init/main.c mm_init()
    """
    page_ext_init_flatmem(k)
    report_meminit(k)
    k.reached("mem_init:entry")
    mem_init(k)
    k.reached("mem_init")
    if k.build.config.SLUB:
        kmem_cache_init(k)


def report_meminit(k: Kernel) -> None:
    """Say which memory is cleared without being asked.

    Source: init/main.c report_meminit()
    """
    config = k.build.config
    stack = next((text for on, text in (
        (config.INIT_STACK_ALL_PATTERN, "all(pattern)"),
        (config.INIT_STACK_ALL_ZERO, "all(zero)"),
        (config.GCC_PLUGIN_STRUCTLEAK_BYREF_ALL, "byref_all(zero)"),
        (config.GCC_PLUGIN_STRUCTLEAK_BYREF, "byref(zero)"),
        (config.GCC_PLUGIN_STRUCTLEAK_USER, "__user(zero)"),
    ) if on), "off")
    on_alloc, on_free = ("on" if on else "off" for on in (want_init_on_alloc(k, 0), want_init_on_free(k)))
    printk(k, KERN_INFO, "mem auto-init: stack:{stack}, heap alloc:{alloc}, heap free:{free}", stack=stack,
           alloc=on_alloc, free=on_free)
    if want_init_on_free(k):
        printk(k, KERN_INFO, "mem auto-init: clearing system memory may take some time...")


def kernel_init(k: Kernel) -> None:
    """The memory side of the initcalls, then the end of the init sections.

    Source: init/main.c kernel_init(), do_initcalls(), kernel_init_freeable()
    Differs: drivers allocate nothing.
    """
    k.mm.pgdat.gfp_allowed_mask = __GFP_BITS_MASK
    k.nr_online_cpus = min(k.machine.cpus, k.num_possible_cpus) if k.is_smp else 1
    k.reached("cma_init_reserved_areas:entry")
    cma_init_reserved_areas(k)
    k.reached("cma_init_reserved_areas")
    init_per_zone_wmark_min(k)
    if k.initrd_start and not k.options.get("retain_initrd"):
        free_initrd_mem(k, k.initrd_start, k.initrd_end)
    k.reached("free_initmem:entry")
    free_initmem(k)
    k.reached("free_initmem")
    if k.build.config.STRICT_KERNEL_RWX and k.options.get("rodata", True):
        mark_rodata_ro(k)


def setup_boot_config(k: Kernel) -> None:
    """Look for a bootconfig at the end of the initrd, through the linear mapping.

    Source: init/main.c setup_boot_config(), get_boot_config_from_initrd()
    Differs: the initrd's content is not modelled; it is taken to have no bootconfig. The registers that an oops shows
        are left out.
    """
    magic = (k.initrd_end - 12) & 0xFFFFFFFF
    if not k.initrd_end or k.translate(magic):
        return
    printk(k, KERN_ALERT, "8<--- cut here ---", func="die_kernel_fault")
    printk(k, KERN_ALERT, "Unable to handle kernel paging request at virtual address {va:08x}",
           func="die_kernel_fault", va=magic)
    raise KernelPanic("Attempted to kill the idle task!",
                      f"{initrd_place(k)} puts the initrd at {k.phys_initrd_start:#010x}, above lowmem, which ends at "
                      f"{k.mm.arm_lowmem_limit:#010x}: the kernel reads it where nothing is mapped")


def setup_command_line(k: Kernel) -> None:
    """Keep two copies of the command line.

    Source: init/main.c setup_command_line()
    """
    text = k.boot_command_line.encode("latin-1", "replace") + b"\0"
    for what in ("saved_command_line", "static_command_line"):
        pa = memblock_alloc(k.mm.memblock, len(text), k.mm.smp_cache_bytes, "setup_command_line",
                            Purpose("other", what))
        if isinstance(pa, Err):
            raise KernelPanic(f"setup_command_line: Failed to allocate {len(text)} bytes", cause(k, pa.why))
        k.machine.ram.write(pa, text)
        step(k, "{what} at {pa:#010x}", what=what, pa=pa)


def setup_nr_cpu_ids(k: Kernel) -> None:
    """From now on only the possible CPUs count.

    Source: kernel/smp.c setup_nr_cpu_ids()
    """
    if k.build.config.SMP:
        k.nr_cpu_ids = k.num_possible_cpus
    k.facts.add("nr_cpu_ids", k.nr_cpu_ids, "cpus", "highest possible CPU + 1",
                ("num_possible_cpus", "CONFIG_NR_CPUS", "CONFIG_SMP"), "kernel/smp.c setup_nr_cpu_ids()")


def vfs_caches_init_early(k: Kernel) -> None:
    """Allocate the dentry and inode hash tables.

    Source: fs/dcache.c vfs_caches_init_early()
    """
    dcache_init_early(k)
    inode_init_early(k)


# ---------------------------------------------------------------- command line


def _loglevel(k: Kernel, arg: str | None) -> int:
    # loglevel()
    level = get_option(arg)
    if level is None:
        return -22
    k.log.console_loglevel = level
    return 0


def _set_console_loglevel(k: Kernel, level: int) -> int:
    k.log.console_loglevel = level
    return 0


def _warn_bootconfig(k: Kernel) -> int:
    # warn_bootconfig()
    printk(k, KERN_WARNING, "WARNING: 'bootconfig' found on the kernel command line but CONFIG_BOOT_CONFIG is not set.",
           func="warn_bootconfig")
    return 0


def _nr_cpus(k: Kernel, arg: str | None) -> int:
    # nrcpus()
    n = get_option(arg)
    if n is not None and 0 < n < k.nr_cpu_ids:
        k.nr_cpu_ids = n
    return 0


def _init_on(k: Kernel, arg: str | None, handler: Callable[[Kernel, str | None], int]) -> int:
    # early_init_on_alloc(), early_init_on_free(): they switch a static key before static keys may be used
    ret = handler(k, arg)
    if not ret:
        on = kstrtobool(arg)
        warn(k, f"include/linux/jump_label.h:{306 if on else 317}", func=f"static_key_{'enable' if on else 'disable'}")
    return ret


def _zone_core(k: Kernel, arg: str | None, handler: Callable[[Kernel, str | None], int]) -> int:
    # cmdline_parse_core() warns of more than all
    number, taken = simple_strtoull(arg or "")
    if number > 100 and (arg or "")[taken:].startswith("%"):
        warn(k, "mm/page_alloc.c:7632", func="cmdline_parse_core")
    return handler(k, arg)


def _earlycon(k: Kernel, arg: str | None) -> int:
    from bootsim.linux.drivers.tty.serial.earlycon import param_setup_earlycon

    return param_setup_earlycon(k, arg)


def _memblock_option(k: Kernel, arg: str | None) -> int:
    early_memblock(k.mm.memblock, arg)
    return 0


_EARLY: tuple[tuple[str, Callable[[Kernel, str | None], int]], ...] = (
    ("bootconfig", lambda k, arg: _warn_bootconfig(k)),
    ("cachepolicy", early_cachepolicy),
    ("cma", early_cma),
    ("coherent_pool", early_coherent_pool),
    ("debug", lambda k, arg: _set_console_loglevel(k, CONSOLE_LOGLEVEL_DEBUG)),
    ("earlycon", _earlycon),
    ("ecc", early_ecc),
    ("ignore_loglevel", lambda k, arg: ignore_loglevel_setup(k)),
    ("init_on_alloc", lambda k, arg: _init_on(k, arg, early_init_on_alloc)),
    ("init_on_free", lambda k, arg: _init_on(k, arg, early_init_on_free)),
    ("initrd", early_initrdmem),
    ("initrdmem", early_initrdmem),
    ("kernelcore", lambda k, arg: _zone_core(k, value_of("kernelcore", arg), cmdline_parse_kernelcore)),
    ("log_buf_len", log_buf_len_setup),
    ("loglevel", _loglevel),
    ("mem", early_mem),
    ("memblock", _memblock_option),
    ("mitigations", mitigations_parse_cmdline),
    ("movablecore", lambda k, arg: _zone_core(k, arg, cmdline_parse_movablecore)),
    ("nocache", early_nocache),
    ("nowb", early_nowrite),
    ("nr_cpus", _nr_cpus),
    ("page_owner", early_page_owner_param),
    ("page_poison", early_page_poison_param),
    ("page_poison", early_page_poison_param),
    ("percpu_alloc", percpu_alloc_setup),
    ("quiet", lambda k, arg: _set_console_loglevel(k, k.build.config.CONSOLE_LOGLEVEL_QUIET)),
    ("vmalloc", early_vmalloc),
)
# Options of a part that the build may leave out.
_NEEDS = {"cma": "DMA_CMA", "earlycon": "SERIAL_EARLYCON", "initrd": "BLK_DEV_INITRD", "initrdmem": "BLK_DEV_INITRD",
          "nr_cpus": "SMP", "page_owner": "PAGE_OWNER",
          "page_poison": "PAGE_POISONING", "percpu_alloc": "SMP"}


def _early_handlers(k: Kernel) -> list[tuple[str, Callable[[Kernel, str | None], int]]]:
    # the early_param() entries that the build has
    config = k.build.config
    absent = {name for name, symbol in _NEEDS.items() if not getattr(config, symbol)}
    if config.BOOT_CONFIG:
        absent.add("bootconfig")
    return [(name, handler) for name, handler in _EARLY if name not in absent]


def parse_early_param(k: Kernel) -> None:
    """Hand each word of the command line to its early handler; unknown words pass in silence.

    Source: init/main.c parse_early_param(), do_early_param()
    """
    handlers = _early_handlers(k)

    def do_early_param(param: str, val: str | None) -> None:
        for name, handler in handlers:
            if (parameq(param, name) or (param == "console" and name == "earlycon")) and handler(k, val):
                explained = k.log.records[-1].text.startswith("bootsim: cause:")
                printk(k, KERN_WARNING, "Malformed early option '{param}'", func="do_early_param", param=param)
                if not explained:
                    step(k, "cause: cmdline: {word}: no value that the kernel understands", func="do_early_param",
                         word=param if val is None else f"{param}={val}")

    parse_args(k.boot_command_line, do_early_param)


def parse_boot_params(k: Kernel) -> None:
    """The later options: those that size the hash tables and SLUB's slabs, or keep memory that is freed otherwise.

    Source: init/main.c start_kernel(), its call of parse_args("Booting kernel")
    """

    def handle(param: str, val: str | None) -> None:
        name = param.replace("-", "_")
        if name in ("dhash_entries", "ihash_entries") and val:
            setattr(k, name, simple_strtoull(val)[0] & 0xFFFFFFFF)
        elif name in ("slub_min_order", "slub_min_objects") and val:
            k.options[name] = memparse(val)[0]
        elif name == "slub_max_order" and val:
            k.options[name] = min(memparse(val)[0], k.mm.max_order - 1)
        elif name == "retain_initrd" and val is None:
            k.options[name] = True
        elif name == "rodata" and val in ("off", "0", "n", "no"):
            k.options[name] = False

    parse_args(k.boot_command_line, handle)
