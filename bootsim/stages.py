"""The stages of a boot, in one table: their names in order, what a snapshot shows at each, and what each is about.

A stage named `f` is the state after f() returned, `f:entry` the state on entry. A real kernel is captured at all of
them but the last, which no console shows and which changes nothing but the protection of the kernel's own mappings.
"""

from __future__ import annotations

from typing import NamedTuple


class Described(NamedTuple):
    """The parts of the state that a snapshot of a stage shows, and what the stage is about."""

    parts: tuple[str, ...]
    about: str


STAGES: dict[str, Described] = {
    "__create_page_tables": Described(
        ("tables", "entry"), "the first page table: the kernel's sections, the identity section, the tree"),
    "setup_machine_fdt": Described(("memblock",), "memory nodes read from the tree and added to memblock"),
    "adjust_lowmem_bounds": Described(
        ("memblock", "lowmem_limit"), "where lowmem ends, from vmalloc= and the banks"),
    "arm_memblock_init": Described(
        ("memblock", "lowmem_limit"), "kernel, tree, initrd, reserved-memory and CMA reserved"),
    "adjust_lowmem_bounds_2": Described(
        ("memblock", "lowmem_limit"), "the end of lowmem once more: reservations may have removed memory"),
    "paging_init:entry": Described(("tables",), "before the kernel's own page tables"),
    "bootmem_init:entry": Described(
        ("memblock", "tables"), "lowmem, CMA, fixmap, vectors, devices and pkmap mapped"),
    "request_standard_resources": Described(
        ("memblock", "tables", "limits"), "zones laid out, mem_map allocated, System RAM resources made"),
    "setup_arch": Described(("memblock",), "the ARM part is done"),
    "mem_init:entry": Described(
        ("memblock",), "per-cpu areas, hash tables and log buffer allocated; memblock is still in charge"),
    "memblock_free_all": Described(
        ("memblock", "zones", "tables"), "free memory handed to the buddy allocator, highmem too"),
    "mem_init": Described(("zones",), "the Memory: line has been printed"),
    "cma_init_reserved_areas:entry": Described(("zones", "areas"), "before CMA areas go to the buddy allocator"),
    "cma_init_reserved_areas": Described(("zones", "areas"), "CMA pageblocks are free for movable pages"),
    "free_initmem:entry": Described(
        ("zones", "areas", "tables"), "watermarks set, initrd freed; before the init sections go"),
    "free_initmem": Described(("zones", "areas", "tables"), "init sections freed"),
    "mark_readonly": Described(
        ("zones", "areas", "tables"), "the end of the boot: kernel code and read-only data can no longer be written"),
}  # fmt: skip
