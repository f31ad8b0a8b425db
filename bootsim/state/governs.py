"""Which facts a part of a boot rests on: the step from something that changed to the facts that may explain it.

A number that changed as a recorded fact did rests on that fact. Otherwise the function decides: the facts it recorded,
and those that the tables here name for it. Names may hold wildcards, which stand for the facts that changed; names of
roots stand for themselves.
"""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from bootsim.facts import Fact
    from bootsim.state.causal import Causes
    from bootsim.state.logdiff import Entry

# What the allocator of early boot works with: memory, its limit, and everything that takes some.
MEMORY = ("memory.*", "bank*", "mem_option.*", "cmdline:mem", "dtb:/reserved-memory:*")
RESERVED = ("kernel.*", "swapper_pg_dir", "dtb.*", "phys_initrd_*", "cma*", "dtb:/reserved-memory:*")
ALLOCATED = ("memblock.current_limit", "vectors_page", "empty_zero_page", "mem_map*", "zone.*.usemap_size",
             "unflattened_tree*", "pcpu*", "nr_cpu_ids", "log_buf_len", "hash.*", "CONFIG_SPARSEMEM",
             "cmdline:*")  # fmt: skip
PAGES = (*MEMORY, "arm_lowmem_limit", "zone.*", "totalram_pages", *RESERVED, *ALLOCATED, "CONFIG_FORCE_MAX_ZONEORDER",
         "symbol:__init_begin", "symbol:__init_end")  # fmt: skip
SECTIONS = ("symbol:_stext", "symbol:__init_begin", "symbol:__init_end", "symbol:_sdata", "symbol:_end",
            "symbol:__start_rodata_section_aligned", "CONFIG_STRICT_KERNEL_RWX")  # fmt: skip
# What decides the bits of descriptors.
TABLE_BITS = ("CONFIG_SMP", "CONFIG_CPU_DCACHE_WRITETHROUGH", "CONFIG_CPU_DCACHE_DISABLE", "CONFIG_CPU_USE_DOMAINS",
              "CONFIG_CPU_SW_DOMAIN_PAN", "CONFIG_KUSER_HELPERS", "CONFIG_ARM_DMA_MEM_BUFFERABLE",
              "cmdline:cachepolicy", "cmdline:nocache", "cmdline:nowb", "cmdline:ecc", "option:smp", "cpu:name",
              "cpu:midr", "build:machines")  # fmt: skip
_LINEAR = ("PAGE_OFFSET", "PHYS_OFFSET", "high_memory", "arm_lowmem_limit")
_TREE = ("dtb:/:model", "dtb:/:compatible", "build:machines")
_CPU = ("cpu:name", "cpu:midr", "dtb:/cpus:*", "option:smp", "CONFIG_SMP", "CONFIG_SMP_ON_UP")
_PERCPU = ("pcpu*", "nr_cpu_ids", "CONFIG_SMP", "cmdline:percpu_alloc")
_CMA = ("cma*", "arm_lowmem_limit", "high_memory", "memory.end", "zone.*", "dtb:/reserved-memory:*", "cmdline:cma")
_ZONES = ("zone.*", "memory.*", "bank*", "max_pfn", "CONFIG_HIGHMEM", "CONFIG_ZONE_DMA", "cmdline:kernelcore",
          "cmdline:movablecore")  # fmt: skip

# By function: what its message or its allocation rests on, beyond the facts that it recorded itself.
FUNCTIONS: dict[str, tuple[str, ...]] = {
    # entry
    "stext": ("PHYS_OFFSET", "option:load-addr", "option:dtb-addr", *_CPU),
    "__vet_atags": ("option:dtb-addr",),
    "__create_page_tables": ("PAGE_OFFSET", "PHYS_OFFSET", "swapper_pg_dir", "dtb.*", "option:dtb-addr", *SECTIONS,
                             "symbol:__turn_mmu_on", *TABLE_BITS, "CONFIG_DEBUG_LL"),
    "__turn_mmu_on": ("swapper_pg_dir", "PHYS_OFFSET", "symbol:__turn_mmu_on", *TABLE_BITS),
    "__mmap_switched": ("symbol:__bss_start", "symbol:__bss_stop", "PHYS_OFFSET"),
    "smp_setup_processor_id": _CPU,
    "start_kernel": ("build:banner", "cmdline:*", "CONFIG_CMDLINE"),
    "setup_processor": _CPU,
    "cacheid_init": _CPU,
    "patch_aeabi_idiv": (*_CPU, "CONFIG_ARM_PATCH_IDIV"),
    "hyp_mode_check": (*_CPU, "CONFIG_ARM_VIRT_EXT"),
    # tree and command line
    "setup_machine_fdt": _TREE,
    "of_flat_dt_match_machine": _TREE,
    "early_init_dt_scan_nodes": ("dtb:/chosen:*", "cmdline:*", "CONFIG_CMDLINE"),
    "early_init_dt_scan_chosen": ("dtb:/chosen:*", "cmdline:*", "CONFIG_CMDLINE", "CONFIG_CMDLINE_FORCE",
                                  "CONFIG_CMDLINE_EXTEND"),
    "early_init_dt_scan_chosen_stdout": ("dtb:/chosen:*", "dtb:/:*", "cmdline:earlycon"),
    "early_init_dt_check_for_initrd": ("dtb:/chosen:*", "phys_initrd_*", "CONFIG_BLK_DEV_INITRD"),
    "early_init_dt_scan_memory": ("dtb:/:*",),
    "early_init_dt_add_memory_arch": ("bank*", "dtb:/:*"),
    "of_alias_scan": ("unflattened_tree*", "dtb:/aliases:*", "sizeof:struct alias_prop"),
    "psci_dt_init": ("dtb:/psci:*",),
    "setup_command_line": ("unflattened_tree*", "cmdline:*", "CONFIG_CMDLINE"),
    # options that speak while they are read
    "ignore_loglevel_setup": ("cmdline:ignore_loglevel",),
    "arm_add_memory": ("cmdline:mem", "PHYS_OFFSET"),
    "early_vmalloc": ("cmdline:vmalloc", "PAGE_OFFSET"),
    "early_coherent_pool": ("cmdline:coherent_pool",),
    "early_cma": ("cmdline:cma",),
    "early_cachepolicy": ("cmdline:cachepolicy", "cpu:name"),
    "early_nocache": ("cmdline:nocache",),
    "early_nowrite": ("cmdline:nowb",),
    "init_default_cache_policy": TABLE_BITS,
    "log_buf_len_update": ("cmdline:log_buf_len", "nr_cpu_ids"),
    "mitigations_parse_cmdline": ("cmdline:mitigations",),
    "percpu_alloc_setup": ("cmdline:percpu_alloc",),
    "register_earlycon": ("cmdline:earlycon", "dtb:/chosen:*"),
    "of_setup_earlycon": ("cmdline:earlycon", "dtb:/chosen:*", "dtb:/:*"),
    "earlycon_print_info": ("cmdline:earlycon", "dtb:/chosen:*", "dtb:/:*"),
    "register_console": ("cmdline:earlycon", "dtb:/chosen:*"),
    "fdt_translate_address": ("dtb:/:*",),
    "dump_no_machine": _TREE,
    # death: whatever the boot is made from may be behind it
    "panic": ("cmdline:*", "dtb:/:*", "option:load-addr", "option:dtb-addr", "option:initrd", *PAGES, *_LINEAR),
    "die_kernel_fault": ("cmdline:*", "dtb:/:*", "option:load-addr", "option:dtb-addr", *PAGES, *_LINEAR),
    "setup_boot_config": ("cmdline:bootconfig", "CONFIG_BOOT_CONFIG"),
    "do_early_param": ("cmdline:*",),
    "arm_dt_init_cpu_maps": _CPU,
    # memblock and its callers
    "adjust_lowmem_bounds": ("arm_lowmem_limit", "memblock.current_limit", "memory.*", "CONFIG_HIGHMEM"),
    "arm_memblock_init": ("kernel.*",),
    "arm_mm_memblock_reserve": ("swapper_pg_dir",),
    "arm_initrd_init": ("phys_initrd_*", "dtb:/chosen:*"),
    "reserve_dtb": ("dtb.*",),
    "early_init_fdt_scan_reserved_mem": ("dtb:/reserved-memory:*", *MEMORY),
    "__fdt_scan_reserved_mem": ("dtb:/reserved-memory:*", *MEMORY),
    "__reserved_mem_alloc_size": ("dtb:/reserved-memory:*", *MEMORY, *RESERVED),
    "early_init_dt_alloc_reserved_memory_arch": ("dtb:/reserved-memory:*", *MEMORY, *RESERVED),
    "__reserved_mem_init_node": ("dtb:/reserved-memory:*", "CONFIG_DMA_CMA", "CONFIG_DMA_DECLARE_COHERENT"),
    "__reserved_mem_reserve_reg": ("dtb:/reserved-memory:*", *MEMORY, *RESERVED),
    "fdt_reserved_mem_save_node": ("dtb:/reserved-memory:*",),
    "__rmem_check_for_overlap": ("dtb:/reserved-memory:*",),
    "fdt_init_reserved_mem": ("dtb:/reserved-memory:*",),
    "rmem_cma_setup": ("dtb:/reserved-memory:*", "cmdline:cma", "CONFIG_DMA_CMA"),
    "rmem_dma_setup": ("dtb:/reserved-memory:*", "CONFIG_DMA_DECLARE_COHERENT"),
    "cma_declare_contiguous": (*_CMA, *MEMORY),
    "cma_declare_contiguous_nid": (*_CMA, *MEMORY),
    "cma_init_reserved_mem": _CMA,
    "cma_activate_area": _CMA,
    "early_alloc": ("vectors_page", "empty_zero_page", "CONFIG_HIGHMEM", "arm_lowmem_limit", "cma*", "bank*"),
    # page tables
    "build_mem_type_table": TABLE_BITS,
    "prepare_page_table": (*_LINEAR, "VMALLOC_START", "kernel.*", *MEMORY),
    "create_mapping": (*_LINEAR, *SECTIONS, *MEMORY, *RESERVED, "vectors_page", "CONFIG_HIGHMEM", *TABLE_BITS),
    "devicemaps_init": ("VMALLOC_START", "dtb.*", "vectors_page", *TABLE_BITS),
    "early_fixmap_init": ("symbol:bm_pte", "PAGE_OFFSET", "PHYS_OFFSET"),
    "early_fixmap_shutdown": ("symbol:bm_pte", "cmdline:earlycon"),
    "dma_contiguous_remap": (*_CMA, *_LINEAR),
    "early_trap_init": ("vectors_page", "CONFIG_KUSER_HELPERS"),
    "kmap_init": ("vectors_page", "empty_zero_page", "PKMAP_BASE", "PAGE_OFFSET", "CONFIG_HIGHMEM"),
    "paging_init": ("empty_zero_page",),
    "set_section_perms": (*SECTIONS, "PAGE_OFFSET"),
    # zones and pages
    "free_area_init": _ZONES,
    "find_zone_movable_pfns_for_nodes": _ZONES,
    "calculate_node_totalpages": _ZONES,
    "free_area_init_node": _ZONES,
    "free_area_init_core": (*_ZONES, "mem_map*"),
    "zone_pcp_init": _ZONES,
    "init_unavailable_range": (*_ZONES, "mem_map*"),
    "alloc_node_mem_map": ("mem_map*",),
    "sparse_init": ("mem_map*", *MEMORY, "CONFIG_SPARSEMEM"),
    "setup_usemap": ("zone.*.usemap_size", "CONFIG_SPARSEMEM"),
    "request_standard_resources": (*MEMORY, "kernel.*"),
    "early_init_dt_alloc_memory_arch": ("unflattened_tree*", "dtb:/aliases:*"),
    "unflatten_device_tree": ("unflattened_tree*",),
    "__unflatten_device_tree": ("unflattened_tree*",),
    "pcpu_dfl_fc_alloc": _PERCPU,
    "pcpu_embed_first_chunk": _PERCPU,
    "pcpu_dump_alloc_info": _PERCPU,
    "pcpu_alloc_first_chunk": _PERCPU,
    "pcpu_setup_first_chunk": _PERCPU,
    "setup_per_cpu_areas": _PERCPU,
    "build_all_zonelists": ("nr_all_pages", "zone.*"),
    "setup_log_buf": ("log_buf_len",),
    "log_buf_add_cpu": ("cmdline:log_buf_len", "nr_cpu_ids", "CONFIG_LOG_CPU_MAX_BUF_SHIFT", "CONFIG_LOG_BUF_SHIFT"),
    "alloc_large_system_hash": ("hash.*", "nr_kernel_pages", "cmdline:dhash_entries", "cmdline:ihash_entries"),
    "report_meminit": ("CONFIG_INIT_STACK_ALL_ZERO", "CONFIG_INIT_STACK_ALL_PATTERN", "CONFIG_INIT_ON_ALLOC_DEFAULT_ON",
                       "CONFIG_INIT_ON_FREE_DEFAULT_ON", "cmdline:init_on_alloc", "cmdline:init_on_free",
                       "CONFIG_GCC_PLUGIN_STRUCTLEAK_USER", "CONFIG_GCC_PLUGIN_STRUCTLEAK_BYREF",
                       "CONFIG_GCC_PLUGIN_STRUCTLEAK_BYREF_ALL", "CONFIG_PAGE_POISONING"),
    "free_memmap": ("mem_map*", *MEMORY),
    "memblock_free_all": PAGES,
    "free_highpages": (*_ZONES, *RESERVED),
    "mem_init_print_info": (*PAGES, "symbol:_etext", "symbol:_sdata", "symbol:_edata", "symbol:__start_rodata",
                            "symbol:__end_rodata", "symbol:__bss_start", "symbol:__bss_stop", "symbol:_stext",
                            "symbol:_sinittext", "symbol:_einittext", "CONFIG_HIGHMEM"),
    "mem_init": (*_LINEAR, "VMALLOC_START", "MODULES_*", "PKMAP_BASE", *SECTIONS, "symbol:_text", "symbol:_etext",
                 "symbol:_edata", "symbol:__bss_start", "symbol:__bss_stop"),
    "kmem_cache_init": ("nr_cpu_ids", "CONFIG_SLUB", "CONFIG_ARM_L1_CACHE_SHIFT", "cmdline:slub_min_order",
                        "cmdline:slub_max_order"),
    "setup_per_cpu_pageset": _ZONES,
    "free_reserved_area": ("symbol:__init_begin", "symbol:__init_end", "phys_initrd_*"),
}
# The allocator itself speaks, with memblock=debug: whatever is added, reserved or taken.
_MEMBLOCK = (*MEMORY, *RESERVED, *ALLOCATED, *_LINEAR, "arm_dma_limit", "cmdline:memblock")


class Index:
    """The changed facts of two boots by value, and by the function that recorded them."""

    def __init__(self, causes: Causes) -> None:
        self._causes = causes
        self._pairs: dict[tuple[int, int], list[str]] = {}
        self._single: tuple[dict[int, list[str]], dict[int, list[str]]] = ({}, {})
        self._functions: dict[str, list[str]] = {}
        self._matches: dict[str, list[str]] = {}
        for change in causes.facts.values():
            if change.name not in causes.explained:
                continue
            a, b = change.a, change.b
            for side, fact in enumerate((a, b)):
                if fact is not None:
                    self._functions.setdefault(_function(fact), []).append(change.name)
                    for value in _faces(fact):
                        self._single[side].setdefault(value, []).append(change.name)
            if a is not None and b is not None:
                for pair in zip(_faces(a), _faces(b), strict=False):
                    self._pairs.setdefault(pair, []).append(change.name)

    def by_values(self, a: Iterable[int], b: Iterable[int]) -> list[str]:
        """The facts that went from a value in `a` to the one beside it in `b`."""
        return _flat(self._pairs.get(pair, []) for pair in zip(a, b, strict=False) if pair[0] != pair[1])

    def by_value(self, side: int, values: Iterable[int]) -> list[str]:
        """The changed facts that have one of these values in the first (0) or the second (1) boot."""
        return _flat(self._single[side].get(value, []) for value in values if value >= _LARGE)

    def of_entry(self, entry: Entry) -> list[str]:
        """What explains a step that changed: facts of its numbers, then of its function, then what the tables say."""
        a, b = entry.a, entry.b
        found: list[str] = []
        if a is not None and b is not None:
            fields = [(a.fields[n], b.fields[n]) for n in a.fields if n in b.fields]
            numbers = [(x, y) for x, y in fields if _is_number(x) and _is_number(y)]
            found += self.by_values([x for x, _ in numbers], [y for _, y in numbers])
        for side, line in enumerate((a, b)):
            if line is not None:
                found += self.by_value(side, filter(_is_number, line.fields.values()))
                found += self.of_function(line.func)
        return list(dict.fromkeys(found))

    def explaining(self, names: Iterable[str]) -> list[str]:
        """Of names, patterns and @functions that something rests on, the facts and roots that explain its change."""
        found: list[str] = []
        for name in names:
            found += self.of_function(name[1:]) if name.startswith("@") else self._matching(name)
        return list(dict.fromkeys(found))

    def of_function(self, func: str) -> list[str]:
        """What explains a change of something that function did."""
        names = FUNCTIONS.get(func, _MEMBLOCK if func.startswith("memblock_") else ())
        return [*self._functions.get(func, []), *_flat(self._matching(name) for name in names)]

    # The names that explain a change; a pattern stands for every fact that fits, in the order of the boot.
    def _matching(self, name: str) -> list[str]:
        if name not in self._matches:
            causes = self._causes
            if "*" in name and ":" not in name:
                fitting = [fact for fact in causes.facts if fact in causes.explained and fnmatchcase(fact, name)]
                self._matches[name] = fitting
            else:
                self._matches[name] = causes.because([name])
        return self._matches[name]


_LARGE = 4096  # smaller numbers are equal by chance


def _is_number(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


# A value as messages show it: an address, the last byte before it, its page frame; bytes in KiB, MiB; pages in bytes.
def _faces(fact: Fact) -> Iterator[int]:
    value = fact.value
    if not isinstance(value, int):
        return
    yield value
    yield value - 1
    if fact.unit in ("pa", "va", "bytes"):
        yield value >> 12
        yield value >> 10
        yield value >> 20
    elif fact.unit in ("pfn", "pages"):
        yield value << 12
        yield (value << 12) - 1


def _function(fact: Fact) -> str:
    return fact.source.rpartition(" ")[2].removesuffix("()")


def _flat(lists: Iterable[list[str]]) -> list[str]:
    return list(dict.fromkeys(name for names in lists for name in names))
