"""Modules loaded and unloaded: where each part goes, and what memory it takes (kernel/module.c).

    core     text | read-only data | read-only after init | data | symbols       kept while the module is there
    init     text | read-only data | data | all symbols                         freed after its init function

Each part is a range of module_alloc()'s, and each of its parts whole pages. Relocations are left out, and so is what
the module's own code does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bootsim.errors import BootsimError
from bootsim.linux.arch.arm.kernel.module import module_alloc
from bootsim.linux.arch.arm.kernel.module_plts import module_frob_arch_sections
from bootsim.linux.arch.arm.mm.pageattr import set_memory_nx, set_memory_ro, set_memory_x
from bootsim.linux.include.linux.slab import kfree, kmalloc
from bootsim.linux.kernel.module.elf import SHF_ALLOC, SHT_NOBITS, LoadInfo, Section
from bootsim.linux.kernel.printk import KERN_WARNING, printk, step
from bootsim.linux.mm.percpu import __alloc_reserved_percpu, free_percpu
from bootsim.linux.mm.vmalloc.alloc import vfree, vmalloc
from bootsim.linux.mm.vmalloc.area import find_vm_area
from bootsim.linux.mm.vmalloc.early import VM_FLUSH_RESET_PERMS
from bootsim.page import PAGE_SHIFT, PAGE_SIZE, page_align, page_pieces

if TYPE_CHECKING:
    from collections.abc import Callable

    from bootsim.linux import Kernel

SHF_WRITE, SHF_EXECINSTR, SHF_RO_AFTER_INIT = 0x1, 0x4, 0x00200000
# Bits that a section must have, and must not have, in the order in which the sections are laid out.
_MASKS = (
    (SHF_EXECINSTR | SHF_ALLOC, 0), (SHF_ALLOC, SHF_WRITE), (SHF_RO_AFTER_INIT | SHF_ALLOC, 0),
    (SHF_WRITE | SHF_ALLOC, 0), (SHF_ALLOC, 0),
)  # fmt: skip
_SIZEOF_SYM, _SIZEOF_MOD_KALLSYMS, _SIZEOF_INITFREE = 16, 16, 8


class ModuleError(BootsimError):
    """A module that cannot be loaded or is not there."""


class ModuleLayout:
    """struct module_layout: `size` bytes at `base` (va); text, read-only data and what becomes so end at the others."""

    def __init__(self) -> None:
        self.base = self.size = self.text_size = self.ro_size = self.ro_after_init_size = 0

    def __repr__(self) -> str:
        return f"{self.size:#x} bytes at {self.base:#x}"


class Module:
    """struct module: `sections` where each section lies (va), the empty ones left out.

    `percpu` is the pointer of its per-cpu part, 0 for none.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.core_layout = ModuleLayout()
        self.init_layout = ModuleLayout()
        self.sections: dict[str, int] = {}
        self.percpu = 0

    def __repr__(self) -> str:
        return f"Module({self.name}: {self.core_layout})"


def _get_offset(layout: ModuleLayout, section: Section) -> int:
    align = section.align or 1
    offset = -(-layout.size // align) * align
    layout.size = offset + section.size
    return offset


def _debug_align(layout: ModuleLayout) -> None:
    layout.size = page_align(layout.size)


def layout_sections(mod: Module, info: LoadInfo) -> None:
    """Give every section its place: code first, then what is read-only, then the rest; each kind begins a page.

    Source: kernel/module.c layout_sections()
    """
    for init, layout in ((False, mod.core_layout), (True, mod.init_layout)):
        for step_, (wanted, unwanted) in enumerate(_MASKS):
            for section in info.sections:
                if (section.flags & wanted == wanted and not section.flags & unwanted and section.offset is None
                        and info.is_init(section.name) == init):  # fmt: skip
                    section.offset, section.init = _get_offset(layout, section), init
            if step_ != 3:
                _debug_align(layout)
            if step_ == 0:
                layout.text_size = layout.size
            elif step_ == 1:
                layout.ro_size = layout.size
            elif step_ == 2:
                layout.ro_after_init_size = layout.ro_size if init else layout.size


def _is_core_symbol(info: LoadInfo, index: int, at: int, everything: bool) -> bool:
    # is_core_symbol(): one of a section that stays, and, without KALLSYMS_ALL, of code
    if not 0 < index < len(info.sections) or not at:
        return False
    section = info.sections[index]
    if everything and section is info.pcpu:
        return True
    return bool(section.flags & SHF_ALLOC and (everything or section.flags & SHF_EXECINSTR) and not section.init)


def layout_symtab(k: Kernel, mod: Module, info: LoadInfo) -> None:
    """Make room for the symbols: for all in the part that is freed, for those that stay at the end of the other.

    Source: kernel/module.c layout_symtab()
    """
    if not k.build.config.KALLSYMS:
        return
    core, init = mod.core_layout, mod.init_layout
    symbols, strings = info.sections[info.sym], info.sections[info.str]
    symbols.flags |= SHF_ALLOC
    symbols.offset, symbols.init = _get_offset(init, symbols), True
    kept = [s for i, s in enumerate(info.symbols)
            if not i or _is_core_symbol(info, s.section, s.at, k.build.config.KALLSYMS_ALL)]  # fmt: skip
    align = symbols.align or 1
    core.size = -(-core.size // align) * align + len(kept) * _SIZEOF_SYM
    core.size += sum(len(s.name.encode()) + 1 for s in kept) + len(kept)
    _debug_align(core)
    strings.flags |= SHF_ALLOC
    strings.offset, strings.init = _get_offset(init, strings), True
    init.size = (init.size + 3 & ~3) + _SIZEOF_MOD_KALLSYMS + len(info.symbols)
    _debug_align(init)


def copy_to_kernel(k: Kernel, va: int, data: bytes) -> None:
    """Write bytes at a kernel address, page by page through the tables.

    Source: kernel/module.c move_module(), its memcpy()
    """
    for start, length in page_pieces(va, len(data)):
        found = k.translate(start)
        if not found:
            raise ModuleError(f"nothing is mapped at {start:#x}")
        k.machine.ram.write(found.pa, data[start - va:start - va + length])


def move_module(k: Kernel, mod: Module, info: LoadInfo) -> bool:
    """Take memory for both parts, cleared, and copy every section to its place; whether there was memory.

    Source: kernel/module.c move_module()
    """
    for layout in (mod.core_layout, mod.init_layout):
        if layout.size:
            layout.base = module_alloc(k, layout.size, caller="load_module")
            if not layout.base:
                if layout is mod.init_layout:
                    vfree(k, mod.core_layout.base)
                return False
            copy_to_kernel(k, layout.base, bytes(layout.size))
    for section in info.sections:
        if section.flags & SHF_ALLOC and section.offset is not None:
            section.addr = (mod.init_layout if section.init else mod.core_layout).base + section.offset
            if section.kind != SHT_NOBITS:
                copy_to_kernel(k, section.addr, section.data)
            if section.size:
                mod.sections[section.name] = section.addr
    return True


def layout_and_allocate(k: Kernel, info: LoadInfo) -> Module | None:
    """Lay a module out and put it where it will be; None when there is no memory.

    Source: kernel/module.c layout_and_allocate()
    """
    mod = Module(info.name)
    if k.build.config.ARM_MODULE_PLTS:
        module_frob_arch_sections(k, info)
    if info.pcpu is not None:
        info.pcpu.flags &= ~SHF_ALLOC
    for name in (".data..ro_after_init", "__jump_table"):
        found = info.by_name(name)
        if found is not None:
            found.flags |= SHF_RO_AFTER_INIT
    layout_sections(mod, info)
    layout_symtab(k, mod, info)
    return mod if move_module(k, mod, info) else None


def _frob(k: Kernel, layout: ModuleLayout, parts: str, change: Callable[[Kernel, int, int], int]) -> None:
    # frob_text(), frob_rodata(), frob_ro_after_init(), frob_writable_data(): t r a w
    ends = [0, layout.text_size, layout.ro_size, layout.ro_after_init_size, layout.size]
    for part in parts:
        first = "traw".index(part)
        change(k, layout.base + ends[first], ends[first + 1] - ends[first] >> PAGE_SHIFT)


def complete_formation(k: Kernel, mod: Module) -> None:
    """Let text be read and executed alone, and data not be executed, as CONFIG_STRICT_MODULE_RWX wants it.

    Source: kernel/module.c complete_formation(), module_enable_ro(), module_enable_nx(), module_enable_x()
    """
    core, init, strict = mod.core_layout, mod.init_layout, k.build.config.STRICT_MODULE_RWX
    if strict and k.options.get("rodata", True):
        for layout in (core, init):
            area = find_vm_area(k, layout.base) if layout.base else None
            if area is not None:
                area.flags |= VM_FLUSH_RESET_PERMS
            _frob(k, layout, "tr", set_memory_ro)
    if strict:
        _frob(k, core, "raw", set_memory_nx)
        _frob(k, init, "rw", set_memory_nx)
    for layout in (core, init):
        _frob(k, layout, "t", set_memory_x)


def do_init_module(k: Kernel, mod: Module) -> bool:
    """Run a module's init function, then free the part that only it needed; whether there was memory to do so later.

    Source: kernel/module.c do_init_module(), do_free_init()
    Differs: the function does not run; the part is freed at once, where the kernel waits for RCU.
    """
    initfree = kmalloc(k, _SIZEOF_INITFREE)
    if not initfree:
        return False
    if k.build.config.STRICT_MODULE_RWX and k.options.get("rodata", True):
        _frob(k, mod.core_layout, "tra", set_memory_ro)
    if mod.init_layout.base:
        vfree(k, mod.init_layout.base)
    mod.sections = {name: va for name, va in mod.sections.items()
                    if not mod.init_layout.base <= va < mod.init_layout.base + mod.init_layout.size}
    mod.init_layout = ModuleLayout()
    kfree(k, initfree)
    return True


def load_module(k: Kernel, data: bytes, place: str) -> Module | None:
    """Load a module from its file's bytes; None when there is no memory, and the log says so. Raises InputError.

    `place` is what messages call the file.
    Source: kernel/module.c finit_module(), load_module()
    Differs: relocations are left out, and with them the search for the symbols that it needs; the memory of its
        descriptor in sysfs, of its parameters and notes is not taken; versions and licences are not looked at.
    """
    info = LoadInfo(k, data, place)
    if info.name in k.mm.modules:
        raise ModuleError(f"{place}: module {info.name} is loaded already")
    copy = vmalloc(k, len(data), caller="kernel_read_file")
    if not copy:
        return None
    copy_to_kernel(k, copy, data)
    mod = layout_and_allocate(k, info)
    if mod is not None and info.pcpu is not None and info.pcpu.size:
        align = info.pcpu.align or 1
        if align > PAGE_SIZE:
            printk(k, KERN_WARNING, "{name}: per-cpu alignment {align} > {limit}", func="percpu_modalloc",
                   name=mod.name, align=align, limit=PAGE_SIZE)
            align = PAGE_SIZE
        mod.percpu = __alloc_reserved_percpu(k, info.pcpu.size, align)
        if not mod.percpu:
            printk(k, KERN_WARNING, "{name}: Could not allocate {size} bytes percpu data", func="percpu_modalloc",
                   name=mod.name, size=info.pcpu.size)
            for layout in (mod.init_layout, mod.core_layout):
                vfree(k, layout.base)
            mod = None
    if mod is None:
        vfree(k, copy)
        return None
    step(k, "module {name}: core {core_bytes:#x} bytes at {core:#010x}, init {init_bytes:#x} at {init:#010x}; "
         "relocations are left out, and its init function does not run", func="load_module", name=mod.name,
         core=mod.core_layout.base, core_bytes=mod.core_layout.size, init=mod.init_layout.base,
         init_bytes=mod.init_layout.size)
    complete_formation(k, mod)
    vfree(k, copy)
    k.mm.modules[mod.name] = mod
    if not do_init_module(k, mod):
        vfree(k, mod.init_layout.base)
        delete_module(k, mod.name)
        return None
    return mod


def delete_module(k: Kernel, name: str) -> None:
    """Unload a module. Raises ModuleError when it is not there.

    Source: kernel/module.c delete_module(), free_module()
    """
    mod = k.mm.modules.pop(name, None)
    if mod is None:
        raise ModuleError(f"no module {name!r}; there are: {', '.join(k.mm.modules) or 'none'}")
    free_percpu(k, mod.percpu)
    vfree(k, mod.core_layout.base)
