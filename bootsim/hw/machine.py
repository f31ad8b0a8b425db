"""The machine of one boot: processors, RAM, and what the bootloader put there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from bootsim.hw.cpu import CORTEX_A9, Cpu
from bootsim.hw.memory import PhysicalMemory
from bootsim.hw.mmu import Cp15, Fault, Translation, alignment_fault, external_abort, translate
from bootsim.hw.soc import Soc
from bootsim.page import page_pieces

_SCTLR_A = 1 << 1

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bootsim.hw.tlb import Tlb
    from bootsim.inputs.bootloader import Handover
    from bootsim.inputs.efimap import Firmware


class Machine:
    """The hardware state a kernel finds and changes.

    `banks` are (base, size) of the RAM that is really there (pa, bytes); `ram` answers for the whole address space and
    reads as zero elsewhere, but the MMU finds no tables there. `devices` are ranges (start, end; pa) where something
    other than RAM answers; while it is None that is everywhere. `dtb_pa` is in r2 and `kernel_pa` in the program
    counter at the kernel's first instruction. `cpus` counts the processors present, which the Snoop Control Unit
    reports and the device tree need not know. `soc` answers for what is not RAM. `told` is what the loader said and
    did, line by line; `firmware` is UEFI's, None without one.
    """

    def __init__(self, cpu: Cpu = CORTEX_A9, cpus: int = 1, soc: Soc | None = None,
                 banks: Sequence[tuple[int, int]] = (), dtb_pa: int = 0, kernel_pa: int = 0,
                 initrd_pa: int | None = None, initrd_bytes: int = 0, cp15: Cp15 | None = None,
                 told: Sequence[str] = (), firmware: Firmware | None = None) -> None:
        self.cpu = cpu
        self.cpus = cpus
        self.soc = soc or Soc()
        self.banks = list(banks)
        self.dtb_pa = dtb_pa
        self.kernel_pa = kernel_pa
        self.initrd_pa = initrd_pa
        self.initrd_bytes = initrd_bytes
        self.told = tuple(told)
        self.firmware = firmware
        self.ram = PhysicalMemory()
        self.ram.fit(self.banks)
        self.devices: list[tuple[int, int]] | None = None
        self.cp15 = cp15 or Cp15()
        self.tlb: Tlb | None = None  # made at the first access through it

    def translate(
        self, va: int, access: Literal["read", "write", "execute"] = "read", privileged: bool = True
    ) -> Translation | Fault:
        """What the boot processor's MMU makes of a virtual address, with its registers as they are now."""
        return translate(self.ram, self.cp15, va, access, privileged)

    def main_tlb(self) -> Tlb:
        """The boot processor's TLB; empty when it is asked for first."""
        if self.tlb is None:
            from bootsim.hw.tlbsize import tlb_of

            self.tlb = tlb_of(self.cpu)
        return self.tlb

    def load(self, va: int, size: int = 4, privileged: bool = True) -> int | Fault:
        """What LDR, LDRH or LDRB (`size` 4, 2, 1) finds at a virtual address through the TLB, or the fault it takes.

        A fault is noted in DFSR and DFAR. Before ARMv6, without SCTLR.A, LDR turns the word so that the byte at `va`
        comes lowest, and LDRH leaves out bit 0 of the address.
        """
        legacy, at = self._legacy(va, size)
        parts = self._data(at, size, "read", privileged)
        if isinstance(parts, Fault):
            return parts
        found = int.from_bytes(b"".join(self._bytes(pa, count) for pa, count in parts), "little")
        turn = 8 * (va - at) if legacy and size == 4 else 0
        return found >> turn | found << 32 - turn & 0xFFFFFFFF if turn else found

    def store(self, va: int, word: int, size: int = 4, privileged: bool = True) -> Fault | None:
        """Write as STR, STRH or STRB does; the fault it takes (noted in DFSR and DFAR), or None.

        Where there is no RAM nothing is written: the SoC's registers answer reads alone. Nothing is written either
        where a part of an unaligned word faults.
        """
        at = self._legacy(va, size)[1]
        parts = self._data(at, size, "write", privileged)
        if isinstance(parts, Fault):
            return parts
        data = word.to_bytes(size, "little")
        for pa, count in parts:
            if self.has_ram(pa, count):
                self.ram.write(pa, data[:count])
            data = data[count:]
        return None

    def fetch(self, va: int, privileged: bool = True) -> int | Fault:
        """The word that an instruction fetch finds at a virtual address (a multiple of 4), or the fault it takes.

        A fault is noted in IFSR and IFAR.
        """
        found = self.main_tlb().translate(self.ram, self.cp15, va, "execute", privileged)
        if isinstance(found, Translation) and not self.answers(found.pa):
            found = external_abort(self.cp15, found, "execute")
        if isinstance(found, Fault):
            self.cp15.take(found)
            return found
        return self.read32(found.pa)

    def _legacy(self, va: int, size: int) -> tuple[bool, int]:
        # before ARMv6, and without SCTLR.A, the low bits of an address do not reach the memory
        legacy = self.cp15.id_mmfr0 == 0 and not self.cp15.sctlr & _SCTLR_A
        return legacy, va & -size if legacy else va

    def _data(self, va: int, size: int, access: Literal["read", "write"], privileged: bool
              ) -> list[tuple[int, int]] | Fault:
        """Translate a data access: (pa, bytes) of its parts, two where it crosses pages; or the fault, noted."""
        found = self._parts(va, size, access, privileged)
        if isinstance(found, Fault):
            self.cp15.take(found)
        return found

    def _parts(self, va: int, size: int, access: Literal["read", "write"], privileged: bool
               ) -> list[tuple[int, int]] | Fault:
        # SCTLR.A, the MMU, what the kind of memory asks for, whether anything answers; a write begins when all may be
        if va % size and self.cp15.sctlr & _SCTLR_A:
            return alignment_fault(self.cp15, va, access)
        found = []
        for at, count in page_pieces(va, size):
            part = self.main_tlb().translate(self.ram, self.cp15, at & 0xFFFFFFFF, access, privileged)
            if isinstance(part, Fault):
                return part
            if va % size and part.memory.type != "normal":
                return alignment_fault(self.cp15, va, access)
            if access == "read" and not self.answers(part.pa):
                return external_abort(self.cp15, part, access)
            found.append((part, count))
        for part, _ in found:
            if not self.answers(part.pa):
                return external_abort(self.cp15, part, access)
        return [(part.pa, count) for part, count in found]

    def _bytes(self, pa: int, count: int) -> bytes:
        if self.has_ram(pa, count):
            return self.ram.read(pa, count)
        words = (self.read32(at).to_bytes(4, "little") for at in range(pa & ~3, pa + count, 4))
        return b"".join(words)[pa & 3 :][:count]

    def answers(self, pa: int) -> bool:
        """Whether an access to a physical address comes to an end: RAM, or a device."""
        if pa >> 32:
            return False
        return self.devices is None or self.has_ram(pa) or any(start <= pa < end for start, end in self.devices)

    def reset_cp15(self) -> Cp15:
        """The registers of one processor after reset: MMU off."""
        return Cp15(sctlr=self.cpu.sctlr, id_mmfr0=self.cpu.id_mmfr0, supersections=self.cpu.is_xsc3)

    def read32(self, pa: int) -> int:
        """The word at a physical address: RAM, or a register of the SoC."""
        return self.ram.read32(pa) if self.has_ram(pa, 4) else self.soc.read32(pa, self.cpus)

    def has_ram(self, pa: int, size: int = 1) -> bool:
        """Whether one bank holds all of [pa, pa + size)."""
        return any(base <= pa and pa + size <= base + bank_bytes for base, bank_bytes in self.banks)


def power_on(handover: Handover, cpu: Cpu | None = None, cpus: int = 1, soc: Soc | None = None) -> Machine:
    """A machine as the bootloader leaves it: MMU off, registers as after reset, tree and initrd in RAM.

    Raises PhysicalAddressError when the tree or the initrd would pass the end of the address space.
    """
    cpu = cpu or CORTEX_A9
    machine = Machine(
        cpu=cpu,
        cpus=cpus,
        soc=soc or Soc(),
        banks=[(base, size) for base, size in handover.banks],
        dtb_pa=handover.dtb_pa,
        kernel_pa=handover.kernel_pa,
        initrd_pa=handover.initrd_pa,
        initrd_bytes=handover.initrd_bytes,
        told=handover.told,
        firmware=handover.firmware,
    )
    machine.cp15 = machine.reset_cp15()
    machine.ram.write(handover.dtb_pa, handover.blob)
    for pa, content in handover.left:
        machine.ram.write(pa, content)
    return machine
