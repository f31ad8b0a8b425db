# bootsim: vexpress.dts --mem 1G --config 3G/1G
"""How is an MMU switched on that the code doing it does not know of? And what if it were not mapped where it lies?"""

from bootsim.errors import KernelPanic

# The code of the switch lies at a physical address, none of the kernel's virtual ones.
linked = k.build.symbols.turn_mmu_on
start = k.virt_to_phys(linked)
identity = start >> 20
ram, table = k.machine.ram, k.mm.init_mm.pgd_pa

# The way back to before the switch: head.S's first table in place of the one that the booted kernel has, the MMU off.
early = branch()
early.create_page_tables()
cp15, mmu = early.k.cpus[0].cp15, early.k.machine
cp15.sctlr &= ~1
assert early.k.translate(0xC0100000).pa == 0xC0100000  # off: an address is what it is
assert early.k.translate(start, "execute").pa == start

# MRC p15, 0, r0, c1, c0, 0; ORR r0, r0, #1; MCR p15, 0, r0, c1, c0, 0. From the next fetch on, every address goes
# through the table, that of the next instruction too: __create_page_tables has mapped that megabyte to itself.
r0 = cp15.sctlr
r0 |= 1
early.turn_mmu_on(r0)
assert cp15.sctlr & 1
assert mmu.fetch(start) == mmu.read32(start)
# A jump to its linked address goes on in the kernel: both lead to the same bytes.
assert early.k.translate(linked, "execute").pa == early.k.translate(start, "execute").pa

# Without the identity section the fetch after MCR faults, and so does that of the abort vector, over and over: a real
# machine hangs without a word.
lost = branch()
lost.create_page_tables()
lost.k.machine.ram.write32(table + 4 * identity, 0)
lost.k.cpus[0].cp15.sctlr &= ~1
told = ""
try:
    lost.turn_mmu_on(r0)
except KernelPanic as death:
    told = str(death)
print(told)
assert f"lacks the instruction at {start:#010x}: section translation fault" in told
fault = lost.k.machine.fetch(start)
assert (fault.kind, fault.level) == ("translation", "section")
assert (lost.k.cpus[0].cp15.ifsr, lost.k.cpus[0].cp15.ifar) == (fault.fsr, start)
assert not lost.k.translate(0xFFFF000C, "execute")  # nor is there a vector for a prefetch abort

# The kernel that is booted has done away with that section: paging_init() clears what lies below PAGE_OFFSET. The TLB
# may have it still: a change of a table is seen after a flush alone.
assert ram.read32(table + 4 * identity) == 0
early.k.machine.ram.write32(table + 4 * identity, 0)
assert mmu.fetch(start) == mmu.read32(start)
early.flush_tlb_all()
assert not mmu.fetch(start)
