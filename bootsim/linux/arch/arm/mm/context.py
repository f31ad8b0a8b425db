"""Which number an address space has in the TLB: ASIDs, by generations.

    context_id   63             8 7      0
                | generation     | ASID   |

An address space keeps its number while its generation is the current one. When all 255 are given, a new generation
begins, the TLB is flushed, and only the address spaces that processors are in keep theirs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bootsim.linux.arch.arm.asm.memory import VMALLOC_END
from bootsim.linux.arch.arm.asm.pgtable_2level import PMD_SIZE
from bootsim.linux.arch.arm.asm.tlbflush import flush_tlb_all, has_asids
from bootsim.linux.kernel.printk import step

if TYPE_CHECKING:
    from bootsim.linux import Kernel
    from bootsim.linux.mm.mmap.structs import UserMm

ASID_BITS = 8
ASID_MASK = ~((1 << ASID_BITS) - 1)
ASID_FIRST_VERSION = 1 << ASID_BITS
NUM_USER_ASIDS = ASID_FIRST_VERSION
_TABLE_FLAGS = 0x3FFF


class Asids:
    """The numbers in use: `generation`, `taken` (one bool a number), `cur_idx` where the search begins.

    `active` and `reserved` have one context_id a possible processor, 0 for none. Number 0 is never given.
    """

    def __init__(self, cpus: int) -> None:
        self.generation = ASID_FIRST_VERSION
        self.taken = [False] * NUM_USER_ASIDS
        self.cur_idx = 1
        self.active = [0] * cpus
        self.reserved = [0] * cpus
        self.flush_pending = [False] * cpus

    def next_free(self, start: int) -> int:
        """Return the lowest free number from `start` on; NUM_USER_ASIDS when there is none."""
        return next((n for n in range(start, NUM_USER_ASIDS) if not self.taken[n]), NUM_USER_ASIDS)


def asids(k: Kernel) -> Asids:
    """The kernel's numbers of address spaces, made at the first switch.

    Source: arch/arm/mm/context.c asid_generation, asid_map, active_asids, reserved_asids, tlb_flush_pending
    """
    if k.mm.asids is None:
        k.mm.asids = Asids(k.num_possible_cpus)
    return k.mm.asids


def flush_context(k: Kernel) -> None:
    """Begin a generation: all numbers are free but those of the address spaces that processors are in.

    Source: arch/arm/mm/context.c flush_context()
    """
    ids = asids(k)
    ids.taken = [False] * NUM_USER_ASIDS
    for cpu, active in enumerate(ids.active):
        if active:
            ids.reserved[cpu] = active
        ids.active[cpu] = 0
        ids.taken[ids.reserved[cpu] & ~ASID_MASK] = True
        ids.flush_pending[cpu] = True


def check_update_reserved_asid(k: Kernel, asid: int, newasid: int) -> bool:
    """Whether a processor was in the address space at the last turn; it has the new number then.

    Source: arch/arm/mm/context.c check_update_reserved_asid()
    """
    reserved = asids(k).reserved
    hit = asid in reserved
    reserved[:] = [newasid if old == asid else old for old in reserved]
    return hit


def new_context(k: Kernel, mm: UserMm) -> int:
    """Return a context_id of the current generation: with the number of before, if it is free, or the next free one.

    Source: arch/arm/mm/context.c new_context()
    """
    ids = asids(k)
    old = mm.context_id
    if old:
        newasid = ids.generation | old & ~ASID_MASK
        if check_update_reserved_asid(k, old, newasid):
            return newasid
        if not ids.taken[old & ~ASID_MASK]:
            ids.taken[old & ~ASID_MASK] = True
            return newasid
    asid = ids.next_free(ids.cur_idx)
    if asid == NUM_USER_ASIDS:
        ids.generation += ASID_FIRST_VERSION
        flush_context(k)
        asid = ids.next_free(1)
        step(k, "ASIDs: all are given; generation {generation} begins, the TLB is flushed", func="new_context",
             generation=ids.generation >> ASID_BITS)
    ids.taken[asid] = True
    ids.cur_idx = asid
    return asid | ids.generation


def check_vmalloc_seq(k: Kernel, mm: UserMm) -> None:
    """Copy the kernel's first-level words of vmalloc space to a process, where some went away since.

    Source: arch/arm/mm/ioremap.c __check_vmalloc_seq()
    """
    init_mm, layout = k.mm.init_mm, k.mm.layout
    if mm.vmalloc_seq == init_mm.vmalloc_seq:
        return
    first, end = (va // PMD_SIZE * 8 for va in (layout.VMALLOC_START, VMALLOC_END))
    k.machine.ram.write(mm.pgd_pa + first, bytes(k.machine.ram.read(init_mm.pgd_pa + first, end - first)))
    mm.vmalloc_seq = init_mm.vmalloc_seq


def check_and_switch_context(k: Kernel, mm: UserMm) -> None:
    """Have the boot processor translate by an address space, with a number of the current generation.

    Source: arch/arm/mm/context.c check_and_switch_context()
    """
    check_vmalloc_seq(k, mm)
    if not has_asids(k):
        cpu_switch_mm(k, mm)
        return
    cp15, ids, cpu = k.cpus[0].cp15, asids(k), 0
    cp15.ttbr0 = cp15.ttbr1
    if (mm.context_id ^ ids.generation) >> ASID_BITS or not ids.active[cpu]:
        if (mm.context_id ^ ids.generation) >> ASID_BITS:
            mm.context_id = new_context(k, mm)
        if ids.flush_pending[cpu]:
            ids.flush_pending[cpu] = False
            flush_tlb_all(k)
    ids.active[cpu] = mm.context_id
    cpu_switch_mm(k, mm)


def cpu_switch_mm(k: Kernel, mm: UserMm) -> None:
    """Put the number and the tables of an address space into CP15; without numbers the TLB is flushed.

    Source: arch/arm/mm/proc-v7-2level.S cpu_v7_switch_mm(), arch/arm/mm/proc-arm926.S cpu_arm926_switch_mm()
    Differs: caches are not modelled, nor the process's number that CONFIG_PID_IN_CONTEXTIDR adds.
    """
    cp15 = k.cpus[0].cp15
    if has_asids(k):
        cp15.contextidr = mm.context_id & 0xFF
        cp15.ttbr0 = mm.pgd_pa | cp15.ttbr1 & _TABLE_FLAGS
    else:
        cp15.ttbr0 = mm.pgd_pa
        flush_tlb_all(k)


def switch_mm(k: Kernel, mm: UserMm) -> None:
    """Switch the boot processor to an address space, unless it is in it.

    Raises ValueError for one without tables.
    Source: arch/arm/include/asm/mmu_context.h switch_mm()
    """
    if not mm.pgd_pa:
        raise ValueError(f"{mm.name} has no page tables")
    if k.active_mm is not mm:
        check_and_switch_context(k, mm)
        k.active_mm = mm


def leave_mm(k: Kernel, mm: UserMm) -> None:
    """Have the boot processor translate by the kernel's tables alone, where it is in an address space that ends.

    Source: kernel/sched/core.c finish_task_switch()
    Differs: the kernel keeps the first-level table until another process runs; here none may.
    """
    if k.active_mm is mm:
        k.cpus[0].cp15.ttbr0 = k.cpus[0].cp15.ttbr1 if has_asids(k) else k.mm.init_mm.pgd_pa
        k.active_mm = None
