"""The machine of one boot: processors, RAM, and what the bootloader put there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from bootsim.hw.cpu import CORTEX_A9, Cpu
from bootsim.hw.memory import PhysicalMemory
from bootsim.hw.mmu import Cp15, Fault, Translation, translate
from bootsim.hw.soc import Soc

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bootsim.hw.tlb import Tlb
    from bootsim.inputs.bootloader import Handover
    from bootsim.inputs.efimap import Firmware


class Machine:
    """The hardware state a kernel finds and changes.

    `banks` are (base, size) of the RAM that is really there (pa, bytes); `ram` answers for the whole address space and
    reads as zero elsewhere. `dtb_pa` is in r2 and `kernel_pa` in the program counter at the kernel's first instruction.
    `cpus` counts the processors present, which the Snoop Control Unit reports and the device tree need not know. `soc`
    answers for what is not RAM. `told` is what the loader said and did, line by line;
    `firmware` is UEFI's, None without one.
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

    def load(self, va: int, privileged: bool = True) -> int | Fault:
        """The word that LDR finds at a virtual address (a multiple of 4) through the TLB, or the fault it takes."""
        found = self.main_tlb().translate(self.ram, self.cp15, va, "read", privileged)
        return self.read32(found.pa) if isinstance(found, Translation) else found

    def store(self, va: int, word: int, privileged: bool = True) -> Fault | None:
        """Write a word at a virtual address (a multiple of 4) as STR does; the fault it takes, or None.

        Where there is no RAM nothing is written: the SoC's registers answer reads alone.
        """
        found = self.main_tlb().translate(self.ram, self.cp15, va, "write", privileged)
        if not isinstance(found, Translation):
            return found
        if self.has_ram(found.pa, 4):
            self.ram.write32(found.pa, word)
        return None

    def reset_cp15(self) -> Cp15:
        """The registers of one processor after reset: MMU off."""
        return Cp15(sctlr=self.cpu.sctlr, id_mmfr0=self.cpu.id_mmfr0)

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
