"""How large the main TLB of a processor is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bootsim.hw.tlb import Tlb

if TYPE_CHECKING:
    from bootsim.hw.cpu import Cpu

# (entries, ways) by primary part number, from the Technical Reference Manuals, without lockable entries. Where data and
# instructions have TLBs of their own, it is that of data; where the size is the maker's choice, the usual one.
SIZES = {
    0xC05: (128, 2), 0xC07: (256, 2), 0xC08: (32, 32), 0xC09: (128, 2), 0xC0F: (512, 4),
    0xB36: (64, 2), 0xB76: (64, 2), 0xB02: (64, 2), 0x926: (64, 2), 0x920: (64, 64), 0x922: (64, 64),
}  # fmt: skip
OTHERS = (64, 2)


def tlb_of(cpu: Cpu) -> Tlb:
    """An empty TLB as a processor has it; of 64 entries in 2 ways where that is not known."""
    return Tlb(*SIZES.get(cpu.part, OTHERS))
