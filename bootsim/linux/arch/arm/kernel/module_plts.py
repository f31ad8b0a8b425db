"""Room in a module for jumps to where a branch does not reach (arch/arm/kernel/module-plts.c)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bootsim.errors import InputError
from bootsim.linux.lib.sort import sort

if TYPE_CHECKING:
    from bootsim.linux import Kernel
    from bootsim.linux.kernel.module.elf import LoadInfo, Section

R_ARM_PC24, R_ARM_THM_CALL, R_ARM_CALL, R_ARM_JUMP24, R_ARM_THM_JUMP24 = 1, 10, 28, 29, 30
_ARM = (R_ARM_CALL, R_ARM_PC24, R_ARM_JUMP24)
_THUMB = (R_ARM_THM_CALL, R_ARM_THM_JUMP24)
SHT_NOBITS, SHT_REL = 8, 9
SHF_ALLOC, SHF_EXECINSTR = 2, 4


def is_zero_addend_relocation(section: Section, offset: int, kind: int) -> bool:
    """Whether a branch goes to its symbol itself.

    Source: arch/arm/kernel/module-plts.c is_zero_addend_relocation()
    """
    word = int.from_bytes(section.data[offset:offset + 4], "little")
    if kind in _ARM:
        return word & 0xFFFFFF == 0xFFFFFE
    return word & 0x7FF == 0x7FF and word >> 16 & 0x2FFF == 0x2FFE


def count_plts(info: LoadInfo, section: Section, index: int, relocations: list[tuple[int, int]]) -> int:
    """How many jumps a section may need; `relocations` are (offset, info) in the kernel's order.

    Source: arch/arm/kernel/module-plts.c count_plts()
    """
    count, before = 0, None
    for offset, what in relocations:
        kind, symbol = what & 0xFF, what >> 8
        if kind in _ARM + _THUMB and symbol < len(info.symbols) and info.symbols[symbol].section != index:
            zero = is_zero_addend_relocation(section, offset, kind)
            again = before is not None and before[1] == what and is_zero_addend_relocation(section, before[0], kind)
            count += not zero or not again
        before = offset, what
    return count


def _cmp_rel(one: tuple[int, int], two: tuple[int, int]) -> int:
    a, b = ((what & 0xFF, what >> 8) for _, what in (one, two))
    return (a > b) - (a < b)


def module_frob_arch_sections(k: Kernel, info: LoadInfo) -> None:
    """Give .plt and .init.plt the size that the branches of a module may need. Raises InputError without them.

    Source: arch/arm/kernel/module-plts.c module_frob_arch_sections()
    """
    plts = {name: info.by_name(name, allocated=False) for name in (".plt", ".init.plt")}
    if not all(plts.values()):
        raise InputError(f"{info.place}: module PLT section(s) missing, which a kernel with ARM_MODULE_PLTS demands")
    fixed = 2 if k.build.config.DYNAMIC_FTRACE else 0
    counts = {".plt": fixed, ".init.plt": fixed}
    for section in info.sections[1:]:
        if section.kind != SHT_REL or not 0 < section.info < len(info.sections):
            continue
        target = info.sections[section.info]
        if not target.flags & SHF_EXECINSTR:
            continue
        relocations = section.relocations()
        sort(relocations, _cmp_rel)
        where = ".init.plt" if info.is_init(target.name) else ".plt"
        counts[where] += count_plts(info, target, section.info, relocations)
    line = 1 << k.build.config.ARM_L1_CACHE_SHIFT
    for name, count in counts.items():
        plt = plts[name]
        if plt is not None:
            plt.kind, plt.flags, plt.align = SHT_NOBITS, SHF_EXECINSTR | SHF_ALLOC, line
            plt.size = -(-count * 8 // (2 * line)) * 2 * line
