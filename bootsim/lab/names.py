"""What a shell or a script may write bare: the kernel's functions and constants. A new one is listed here alone."""

from __future__ import annotations

# Functions by their module. Each takes the machine first, which the session gives it.
FUNCTIONS = {
    "bootsim.linux.mm.page_alloc": (
        "drain_all_pages", "drain_pages_zone", "get_pageblock_migratetype", "page_zone_name", "nr_free_pages",
        "set_page_count", "alloc_contig_range", "free_contig_range", "page_info",
    ),
    "bootsim.linux.include.linux.gfp": (
        "alloc_pages", "alloc_page", "__get_free_pages", "__get_free_page", "__get_dma_pages", "get_zeroed_page",
        "alloc_pages_exact", "alloc_contig_pages", "__free_pages", "__free_page", "free_pages", "free_page",
        "free_pages_exact", "split_page", "virt_to_pfn",
    ),
    "bootsim.linux.mm.cma": ("cma_alloc", "cma_release"),
    "bootsim.linux.mm.usercopy": ("check_object_size",),
    "bootsim.linux.mm.compaction.api": ("compact_memory", "fragmentation_index", "compaction_suitable"),
    "bootsim.linux.include.linux.slab": (
        "kmem_cache_create", "kmem_cache_create_usercopy", "kmem_cache_destroy", "kmem_cache_shrink",
        "kmem_cache_alloc", "kmem_cache_zalloc", "kmem_cache_alloc_bulk", "kmem_cache_free", "kmem_cache_free_bulk",
        "kmalloc", "kzalloc", "kmalloc_array", "kcalloc", "krealloc", "kfree", "ksize",
    ),
    "bootsim.linux.mm.slab": ("cache_reap",),
    "bootsim.linux.mm.vmalloc.alloc": (
        "vmalloc", "vzalloc", "vmalloc_user", "__vmalloc", "vmap", "vunmap", "vfree", "kvfree", "PAGE_KERNEL",
    ),
    "bootsim.linux.mm.vmalloc.block": ("vm_map_ram", "vm_unmap_ram", "vm_unmap_aliases"),
    "bootsim.linux.mm.vmalloc.tables": ("vmalloc_to_page", "vmalloc_to_pfn"),
    "bootsim.linux.mm.vmalloc.area": ("find_vm_area", "pcpu_get_vm_areas", "pcpu_free_vm_areas"),
    "bootsim.linux.arch.arm.mm.ioremap.remap": (
        "ioremap", "ioremap_cache", "ioremap_wc", "arch_memremap_wb", "__arm_ioremap_pfn", "iounmap",
    ),
    "bootsim.linux.drivers.of.address": ("of_get_address", "of_translate_address", "of_iomap"),
    "bootsim.linux.mm.early_ioremap": (
        "early_ioremap", "early_memremap", "early_memremap_ro", "early_iounmap", "__set_fixmap",
    ),
    "bootsim.linux.include.linux.highmem": (
        "kmap", "kunmap", "kmap_atomic", "kmap_atomic_prot", "kunmap_atomic", "kmap_to_page", "kmap_flush_unused",
        "page_address", "PageHighMem",
    ),
    "bootsim.linux.arch.arm.asm.tlbflush": (
        "flush_tlb_all", "flush_tlb_mm", "flush_tlb_page", "flush_tlb_range", "flush_tlb_kernel_page",
        "flush_tlb_kernel_range",
    ),
    "bootsim.linux.arch.arm.kernel.head": ("create_page_tables", "turn_mmu_on"),
    "bootsim.linux.arch.arm.kernel.module": ("module_alloc",),
    "bootsim.linux.mm.percpu": ("__alloc_percpu", "__alloc_percpu_gfp", "free_percpu", "per_cpu_ptr"),
    "bootsim.linux.mm.percpu.chunks": ("pcpu_balance_workfn",),
    "bootsim.linux.fs.char_dev": ("register_chrdev", "unregister_chrdev"),
    "bootsim.linux.mm.memory.driver": ("get_page", "put_page"),
}  # fmt: skip

# What a driver's class is made from, and calls about a mapping, which knows its machine.
DRIVERS = {
    "bootsim.linux.fs.char_dev": ("CharDevice",),
    "bootsim.linux.mm.memory.driver": ("remap_pfn_range", "vm_insert_page"),
    "bootsim.linux.mm.mmap.protection": ("pgprot_noncached", "pgprot_writecombine", "pgprot_device"),
}

# Modules of which every name that begins so is a constant of the kernel's.
CONSTANTS = {
    "bootsim.linux.mm.page_alloc": ("GFP_", "__GFP_", "MIGRATE_"),
    "bootsim.linux.mm.slab_common": ("SLAB_",),
    "bootsim.linux.include.linux.mman": ("PROT_", "MAP_", "MREMAP_", "MADV_", "MLOCK_", "MCL_", "MS_"),
    "bootsim.linux.mm.vmalloc.early": ("VM_",),
    "bootsim.linux.fs.char_dev": ("VM_FAULT_",),
    "bootsim.linux.arch.arm.asm.mach.map": ("MT_",),
    "bootsim.linux.include.linux.errno": ("E",),
}

# Constants that are 0, no flag, in a build without an option; None: in every build that bootsim knows.
NO_FLAG_WITHOUT = {"SLAB_ACCOUNT": "MEMCG_KMEM", "SLAB_DEBUG_OBJECTS": None, "SLAB_FAILSLAB": None, "SLAB_KASAN": None}

# Functions that give memory, and their answer: the first page, its frame, its address (va), or that of an object.
GIVES = {
    "alloc_pages": "page", "alloc_page": "page", "alloc_contig_pages": "page", "cma_alloc": "pfn",
    **dict.fromkeys(("__get_free_pages", "__get_free_page", "__get_dma_pages", "get_zeroed_page"), "address"),
    "alloc_pages_exact": "address",
    "kmalloc": "va", "kzalloc": "va", "kmalloc_array": "va", "kcalloc": "va", "krealloc": "va",
    "kmem_cache_alloc": "va", "kmem_cache_zalloc": "va",
    "__alloc_percpu": "va", "__alloc_percpu_gfp": "va",
    **dict.fromkeys(("vmalloc", "vzalloc", "vmalloc_user", "__vmalloc", "vmap", "vm_map_ram", "module_alloc"), "va"),
    **dict.fromkeys(("ioremap", "ioremap_cache", "ioremap_wc", "arch_memremap_wb", "__arm_ioremap_pfn",
                     "of_iomap"), "va"),
}  # fmt: skip
# Functions that take an object back, and which argument is its address.
TAKES = {
    "kfree": 0, "kmem_cache_free": 1, "krealloc": 0, "free_percpu": 0,
    **dict.fromkeys(("vfree", "vunmap", "kvfree", "vm_unmap_ram", "iounmap"), 0),
}  # fmt: skip
