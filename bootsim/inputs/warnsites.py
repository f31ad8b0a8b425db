"""Where a kernel's warnings about itself stand in its source: file and line, which the compiler put into the code.

WARN() calls warn_slowpath_fmt(file, line, ...). In ARM code that is

    movw  r0, #low of the file's name     movt  r0, #high          (or ldr r0, [pc, #...])
    mov   r1, #line                       (or movw, or ldr; before ARMv7 also mov, and add, sub or orr the rest)
    bl    warn_slowpath_fmt

A build is described by what differs from 5.10.223, whose places are those that the replay itself knows.
"""

from __future__ import annotations

import bisect
import struct
from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

from bootsim.errors import InputError

if TYPE_CHECKING:
    from bootsim.inputs.kconfig import Kconfig
    from bootsim.inputs.vmlinux import Vmlinux


class WarnSite(NamedTuple):
    """A warning that the replay gives: place in 5.10.223, function, which of the function's warnings in that file.

    `within` is the function that a compiler may have put this one into.
    """

    place: str
    function: str
    nth: int = 0
    without: str = ""  # the option that takes it away
    needs: str = ""  # the option that it comes with
    within: str = ""


WARN_SITES = (
    WarnSite("arch/arm/kernel/devtree.c:126", "arm_dt_init_cpu_maps"),
    WarnSite("arch/arm/kernel/devtree.c:148", "arm_dt_init_cpu_maps", 1),
    WarnSite("arch/arm/mm/mmu.c:408", "__set_fixmap"),
    WarnSite("arch/arm/mm/pageattr.c:44", "change_memory_common"),
    WarnSite("include/linux/jump_label.h:306", "static_key_enable", without="JUMP_LABEL"),
    WarnSite("include/linux/jump_label.h:317", "static_key_disable", without="JUMP_LABEL"),
    WarnSite("kernel/dma/coherent.c:374", "rmem_dma_setup", needs="DMA_DECLARE_COHERENT"),
    WarnSite("kernel/jump_label.c:166", "static_key_enable_cpuslocked", needs="JUMP_LABEL"),
    WarnSite("kernel/jump_label.c:197", "static_key_disable_cpuslocked", needs="JUMP_LABEL"),
    WarnSite("kernel/printk/printk.c:2809", "register_console", needs="PRINTK"),
    WarnSite("mm/cma.c:106", "cma_init_reserved_areas", needs="CMA"),
    WarnSite("mm/early_ioremap.c:114", "__early_ioremap"),
    WarnSite("mm/early_ioremap.c:124", "__early_ioremap", 1),
    WarnSite("mm/early_ioremap.c:130", "__early_ioremap", 2),
    WarnSite("mm/early_ioremap.c:145", "__early_ioremap", 3),
    WarnSite("mm/early_ioremap.c:161", "__early_ioremap", 4),
    WarnSite("mm/early_ioremap.c:184", "early_iounmap"),
    WarnSite("mm/early_ioremap.c:188", "early_iounmap", 1),
    WarnSite("mm/early_ioremap.c:193", "early_iounmap", 2),
    WarnSite("mm/early_ioremap.c:197", "early_iounmap", 3),
    WarnSite("mm/page_alloc.c:3451", "get_page_from_freelist"),
    WarnSite("mm/page_alloc.c:4664", "__alloc_pages_slowpath", 1, within="__alloc_pages_nodemask"),
    WarnSite("mm/page_alloc.c:4876", "__alloc_pages_slowpath", 2, within="__alloc_pages_nodemask"),
    WarnSite("mm/page_alloc.c:4892", "__alloc_pages_slowpath", 4, within="__alloc_pages_nodemask"),
    WarnSite("mm/page_alloc.c:5240", "alloc_pages_exact"),
    WarnSite("mm/page_alloc.c:7632", "cmdline_parse_core"),
    WarnSite("mm/page_alloc.c:7638", "cmdline_parse_core", 1),
    WarnSite("mm/page_alloc.c:8814", "free_contig_range"),
    WarnSite("mm/percpu.c:1714", "pcpu_alloc"),
    WarnSite("mm/slab.c:2580", "cache_grow_begin", needs="SLAB"),
    WarnSite("mm/slab.c:2992", "cache_alloc_debugcheck_after", needs="DEBUG_SLAB"),
    WarnSite("mm/slab.h:435", "kmem_cache_free", needs="SLUB"),
    WarnSite("mm/slab.h:467", "kmem_cache_free", 1, needs="SLUB"),
    WarnSite("mm/slab_common.c:335", "kmem_cache_create_usercopy", 1, needs="SLUB"),
    WarnSite("mm/slab_common.c:336", "kmem_cache_create_usercopy", 2, needs="SLUB"),
    WarnSite("mm/slob.c:616", "slob_alloc_node", needs="SLOB", within="kmem_cache_alloc"),
    WarnSite("mm/slub.c:2575", "___slab_alloc", 1, needs="SLUB"),
    WarnSite("mm/slub.c:3264", "kmem_cache_free_bulk", needs="SLUB"),
    WarnSite("mm/slub.c:4096", "__ksize", needs="SLUB"),
    WarnSite("mm/swap_slots.c:248", "enable_swap_slots_cache", needs="SWAP"),
    WarnSite("mm/usercopy.c:75", "usercopy_warn", needs="HARDENED_USERCOPY"),
    WarnSite("mm/vmalloc.c:1654", "vb_alloc"),
    WarnSite("mm/vmalloc.c:2245", "__vunmap"),
    WarnSite("mm/vmalloc.c:2251", "__vunmap", 1),
    WarnSite("mm/vmalloc.c:3225", "pcpu_get_vm_areas", within="pcpu_create_chunk"),
    WarnSite("arch/arm/mm/ioremap.c:288", "__arm_ioremap_pfn_caller"),
)

REFERENCE_VERSION = "5.10.223"
_CALLEE = "warn_slowpath_fmt"
_ASSUMED = "lines of warnings"
# Instructions between loading an argument and the call.
_REACH = 16


def warnings_of_image(vmlinux: Vmlinux, kconfig: Kconfig) -> tuple[tuple[str, ...], list[str]]:
    """What differs from 5.10.223, as "PLACE-IN-5.10.223 PLACE FUNCTION", and what of it could not be read."""
    if kconfig.is_on("THUMB2_KERNEL"):
        return (), [_ASSUMED]
    code = _Code(vmlinux)
    differing, unread = [], False
    for site in WARN_SITES:
        if (site.without and kconfig.is_on(site.without)) or (site.needs and not kconfig.is_on(site.needs)):
            continue
        found = code.place(site)
        unread |= found is None
        if found is not None and found != (site.place, site.function):
            differing.append(f"{site.place} {found[0]} {found[1]}")
    return tuple(differing), [_ASSUMED] * unread


def _lines_of(site: WarnSite) -> set[int]:
    """The lines in 5.10.223 of all warnings of the same function."""
    return {int(other.place.rpartition(":")[2]) for other in WARN_SITES if other.function == site.function}


def warnings_of_map(kconfig: Kconfig) -> list[str]:
    """What a symbol table cannot tell: the lines of another source than 5.10.223's are assumed to be the same."""
    return [] if kconfig.version == REFERENCE_VERSION else [_ASSUMED]


# add, orr and sub of an immediate
_CHANGES = {0xE2800000: 1, 0xE3800000: 1, 0xE2400000: -1}


def _rotated(word: int) -> int:
    """The immediate of an instruction that works on data."""
    turn = word >> 7 & 0x1E
    return ((word & 0xFF) >> turn | (word & 0xFF) << (32 - turn)) & 0xFFFFFFFF


class _Code:
    """The calls of warn_slowpath_fmt() in a kernel's code."""

    def __init__(self, vmlinux: Vmlinux) -> None:
        self._vmlinux = vmlinux
        self._starts = sorted({address for found in vmlinux.symbols.values() for address in found})
        self._callee = vmlinux.symbols.get(_CALLEE, [0])[0]

    def place(self, site: WarnSite) -> tuple[str, str] | None:
        """Where a warning stands, and the function that it is in; None when its call cannot be found.

        Where a warning of the function is at the line of 5.10.223, all that are found are.
        """
        file, _, known = site.place.rpartition(":")
        for function in filter(None, (site.function, site.within)):
            for name, addresses in self._vmlinux.symbols.items():
                if name != function and not name.startswith(f"{function}."):
                    continue
                for address in addresses:
                    lines = sorted(line for where, line in self._calls(address) if where in (file, None))
                    if int(known) in lines:
                        return site.place, function
                    if site.nth < len(lines) and not _lines_of(site).intersection(lines):
                        return f"{file}:{lines[site.nth]}", function
        return None

    def _calls(self, start: int) -> Iterator[tuple[str | None, int]]:
        after = bisect.bisect_right(self._starts, start)
        words = (self._starts[after] - start) // 4 if after < len(self._starts) else 0
        try:
            code = struct.unpack(f"<{words}I", self._vmlinux.read(start, 4 * words))
        except InputError:
            return
        for index, word in enumerate(code):
            offset = (word & 0xFFFFFF) - ((word & 0x800000) << 1)
            if word >> 24 == 0xEB and (start + 4 * index + 8 + 4 * offset) & 0xFFFFFFFF == self._callee:
                arguments = self._arguments(code, index, start)
                if 1 in arguments:
                    yield self._name(arguments.get(0)), arguments[1]

    # What r0 and r1 hold at a call, as far as constants before it tell. A branch leads elsewhere: what is added to a
    # constant before one does not hold behind it.
    def _arguments(self, code: tuple[int, ...], call: int, start: int) -> dict[int, int]:
        loaded: dict[int, int] = {}
        held: dict[int, int] = {}
        for index in range(max(0, call - _REACH), call):
            word = code[index]
            target, first, opcode = word >> 12 & 15, word >> 16 & 15, word & 0xFFF00000
            constant = self._constant(word, start + 4 * index)
            if constant is not None:
                loaded[target] = held[target] = constant
            elif opcode == 0xE3400000 and target in loaded:  # movt
                loaded[target] = held[target] = loaded[target] & 0xFFFF | (word >> 4 & 0xF000 | word & 0xFFF) << 16
            elif opcode in _CHANGES and first in held:
                held[target] = held[first] + _CHANGES[opcode] * _rotated(word)
            elif word & 0xFFF00FF0 == 0xE0800000 and first in held and word & 15 in held:  # add of two registers
                held[target] = held[first] + held[word & 15]
            elif word >> 24 == 0xEA:  # b
                held = dict(loaded)
        return held

    def _constant(self, word: int, va: int) -> int | None:
        """What an instruction at `va` loads whatever was before: movw, mov, or ldr of a literal behind the function."""
        if word & 0xFFF00000 == 0xE3000000:
            return word >> 4 & 0xF000 | word & 0xFFF
        if word & 0xFFFF0000 == 0xE3A00000:
            return _rotated(word)
        if word & 0xFF7F0000 == 0xE51F0000:
            offset = (word & 0xFFF) if word & 0x800000 else -(word & 0xFFF)
            try:
                return self._vmlinux.read_word(va + 8 + offset)
            except InputError:  # data, not code
                return None
        return None

    def _name(self, at: int | None) -> str | None:
        try:
            return None if at is None else self._vmlinux.read_string(at)
        except InputError:
            return None
