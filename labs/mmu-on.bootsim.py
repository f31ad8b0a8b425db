# bootsim: vexpress.dts --mem 1G --config 3G/1G
"""How is an MMU switched on that the code doing it does not know of? And what if it were not mapped where it lies?"""

from bootsim.hw.mmu import Cp15

# MRC p15 c1, ORR #1, MCR: from the next fetch on, every address goes through the tables, that of the next instruction
# too. It lies at a physical address, none of the kernel's virtual ones: __create_page_tables maps that megabyte to
# itself.
start = virt_to_pfn(k.build.symbols.turn_mmu_on) << 12 | k.build.symbols.turn_mmu_on & 0xFFF
identity = start >> 20
ram, running = k.machine.ram, k.cpus[0].cp15
table = running.ttbr1 & ~0x3FFF
cp15 = Cp15(sctlr=running.sctlr, ttbr0=table, dacr=0x55, prrr=running.prrr, nmrr=running.nmrr)
mmu = type(k.machine.main_tlb())(128, 2)

# paging_init() has cleared that word since; without it the fetch after MCR faults, and so does that of the abort
# vector, over and over: the machine hangs without a word.
assert ram.read32(table + 4 * identity) == 0
fault = mmu.translate(ram, cp15, start, "execute")
assert (fault.kind, fault.level) == ("translation", "section")

# With it the fetch leads to where it was, and a jump to the virtual address goes on in the kernel.
section = ram.read32(table + 4 * (k.build.symbols.turn_mmu_on >> 20)) & 0x000FFFFF
ram.write32(table + 4 * identity, identity << 20 | section)
assert mmu.translate(ram, cp15, start, "execute").pa == start
assert mmu.translate(ram, cp15, k.build.symbols.turn_mmu_on, "execute").pa == start

# The TLB has both translations by now: taking the identity section away again is seen after a flush alone.
ram.write32(table + 4 * identity, 0)
assert mmu.translate(ram, cp15, start, "execute").pa == start
mmu.tlbiall()
assert not mmu.translate(ram, cp15, start, "execute")
