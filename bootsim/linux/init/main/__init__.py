"""start_kernel() (init/main.c).

One C file, in parts:

    parameters    the tables of options, and who takes the words of the command line
    elsewhere     options of files that the replay has nothing else of
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bootsim.causes import cause
from bootsim.errors import KernelPanic
from bootsim.linux.arch.arm.asm.cp15 import CR_V
from bootsim.linux.arch.arm.asm.memory import VECTORS_BASE
from bootsim.linux.arch.arm.kernel.head import stext
from bootsim.linux.arch.arm.kernel.setup import setup_arch, smp_setup_processor_id
from bootsim.linux.arch.arm.mm.dma_mapping import atomic_pool_init
from bootsim.linux.arch.arm.mm.init import free_initmem, initrd_place, mark_rodata_ro, mem_init
from bootsim.linux.fs.dcache import dcache_init_early
from bootsim.linux.fs.inode import inode_init_early
from bootsim.linux.include.linux.err import Err
from bootsim.linux.init.initramfs import populate_rootfs
from bootsim.linux.init.main.parameters import panic_later, parse_boot_params
from bootsim.linux.kernel.jump_label import jump_label_init
from bootsim.linux.kernel.panic import death_of_idle
from bootsim.linux.kernel.printk import (
    KERN_ALERT,
    KERN_INFO,
    KERN_NOTICE,
    KERN_WARNING,
    printk,
    setup_log_buf,
    step,
)
from bootsim.linux.kernel.smp import setup_nr_cpu_ids, smp_init
from bootsim.linux.mm import slab, slub
from bootsim.linux.mm.cma import cma_init_reserved_areas
from bootsim.linux.mm.memblock import memblock_alloc
from bootsim.linux.mm.page_alloc import (
    __GFP_BITS_MASK,
    build_all_zonelists,
    check_buddy_invariants,
    init_debug_pagealloc,
    init_per_zone_wmark_min,
    setup_per_cpu_pageset,
    want_init_on_alloc,
    want_init_on_free,
)
from bootsim.linux.mm.page_ext import page_ext_init_flatmem
from bootsim.linux.mm.percpu import setup_per_cpu_areas
from bootsim.owners import Purpose
from bootsim.places import memory_place

if TYPE_CHECKING:
    from bootsim.linux import Kernel

VECTOR_IRQ = 0x18  # where the processor goes at an interrupt, from the vectors on


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
    jump_label_init(k)
    parse_boot_params(k)
    setup_log_buf(k)
    vfs_caches_init_early(k)
    k.stage = "mm_init"
    mm_init(k)
    k.stage = "start_kernel"
    if k.build.config.SMP:
        k.cpus[0].comm = "swapper/0"  # sched_init(), init_idle()
    local_irq_enable(k)
    if k.build.config.SLAB:
        slab.kmem_cache_init_late(k)
    if k.build.config.VT and k.build.config.VGA_CONSOLE:
        from bootsim.linux.drivers.video.console.vgacon import vgacon_startup  # few kernels have it

        vgacon_startup(k)
    panic_later(k)
    setup_per_cpu_pageset(k)
    k.stage = "kernel_init"
    kernel_init(k)


def local_irq_enable(k: Kernel) -> None:
    """Let interrupts in. The first one goes through the vectors: without them the kernel is silent for ever.

    Source: include/linux/irqflags.h local_irq_enable()
    """
    vectors = VECTORS_BASE if k.cpus[0].cp15.sctlr & CR_V else 0
    found = k.translate(vectors + VECTOR_IRQ, "execute")
    if not found or found.pa != k.mm.vectors_page_pa + VECTOR_IRQ:
        raise KernelPanic(None, f"the page table of the vectors at {vectors:#010x} is overwritten, and the first "
                          f"interrupt needs it; memory: {memory_place(k)}")


def mm_init(k: Kernel) -> None:
    """Set up the kernel's memory allocators.

    Source: init/main.c mm_init()
    """
    page_ext_init_flatmem(k)
    init_debug_pagealloc(k)
    report_meminit(k)
    k.reached("mem_init:entry")
    mem_init(k)
    k.reached("mem_init")
    kmem_cache_init(k)


def kmem_cache_init(k: Kernel) -> None:
    """Start the slab allocator of this build; no other is loaded.

    Source: mm/slub.c, mm/slab.c, mm/slob.c kmem_cache_init()
    """
    config = k.build.config
    if config.SLUB:
        slub.kmem_cache_init(k)
    elif config.SLAB:
        slab.kmem_cache_init(k)
    else:
        from bootsim.linux.mm import slob  # other builds do without

        slob.kmem_cache_init(k)


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
    smp_init(k)
    k.reached("cma_init_reserved_areas:entry")
    cma_init_reserved_areas(k)
    k.reached("cma_init_reserved_areas")
    atomic_pool_init(k)
    init_per_zone_wmark_min(k)
    populate_rootfs(k)
    k.reached("free_initmem:entry")
    free_initmem(k)
    k.reached("free_initmem")
    for fault in check_buddy_invariants(k.mm.pgdat):
        step(k, "the free lists do not hold together: {fault}", func="kernel_init", level=KERN_WARNING, fault=fault)
    mark_readonly(k)
    k.reached("mark_readonly")


def mark_readonly(k: Kernel) -> None:
    """Make code and read-only data read-only, or say why not.

    Source: init/main.c mark_readonly()
    """
    if not k.build.config.STRICT_KERNEL_RWX:
        printk(k, KERN_WARNING, "Kernel memory protection not selected by kernel config.")
    elif k.options.get("rodata", True):
        mark_rodata_ro(k)
    else:
        printk(k, KERN_INFO, "Kernel memory protection disabled.")


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
    limit = k.mm.arm_lowmem_limit
    where = f"above lowmem, which ends at {limit:#010x}"
    if k.virt_to_phys(magic) < limit:
        where = "in a part of lowmem that the kernel has dropped or may not use"
    raise KernelPanic(death_of_idle(k), f"{initrd_place(k)} puts the initrd at {k.phys_initrd_start:#010x}, {where}: "
                      "the kernel reads it where nothing is mapped")


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


def vfs_caches_init_early(k: Kernel) -> None:
    """Allocate the dentry and inode hash tables.

    Source: fs/dcache.c vfs_caches_init_early()
    """
    dcache_init_early(k)
    inode_init_early(k)
