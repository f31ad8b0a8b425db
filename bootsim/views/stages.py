"""The stages of a boot, one line each: when, and what can be seen there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bootsim.state.snapshot import STAGES

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

ABOUT = {
    "__create_page_tables": "the first page table: the kernel's sections, the identity section, the tree",
    "setup_machine_fdt": "memory nodes read from the tree and added to memblock",
    "adjust_lowmem_bounds": "where lowmem ends, from vmalloc= and the banks",
    "arm_memblock_init": "kernel, tree, initrd, reserved-memory and CMA reserved",
    "adjust_lowmem_bounds_2": "the end of lowmem once more: reservations may have removed memory",
    "paging_init:entry": "before the kernel's own page tables",
    "bootmem_init:entry": "lowmem, CMA, fixmap, vectors, devices and pkmap mapped",
    "request_standard_resources": "zones laid out, mem_map allocated, System RAM resources made",
    "setup_arch": "the ARM part is done",
    "mem_init:entry": "per-cpu areas, hash tables and log buffer allocated; memblock is still in charge",
    "memblock_free_all": "free memory handed to the buddy allocator, highmem too",
    "mem_init": "the Memory: line has been printed",
    "cma_init_reserved_areas:entry": "before CMA areas go to the buddy allocator",
    "cma_init_reserved_areas": "CMA pageblocks are free for movable pages",
    "free_initmem:entry": "watermarks set, initrd freed; before the init sections go",
    "free_initmem": "init sections freed",
}


def data(held: Mapping[str, Mapping[str, Any]] | None = None) -> list[dict[str, Any]]:
    """Return the stages in order with what they are about; `parts` is what a state directory holds at each.

    `held` are the stages of one state directory, by name: then only those are listed, with what they really hold.
    """
    named = {name: list(parts) for name, parts in (STAGES if held is None else held).items()}
    return [{"stage": name, "about": ABOUT.get(name, ""), "parts": parts} for name, parts in named.items()]


def lines(held: Mapping[str, Mapping[str, Any]] | None = None) -> Iterator[str]:
    """Yield a line for each stage: its name, and what it is about."""
    for stage in data(held):
        parts = "" if held is None else f"  ({', '.join(stage['parts'])})"
        yield f"{stage['stage']:<30} {stage['about']}{parts}".rstrip()
