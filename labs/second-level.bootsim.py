# bootsim: vexpress.dts --mem 512M --config 3G/1G
"""What is in a page of second-level entries? 512 of Linux's own and 512 of the hardware's, for two megabytes."""

#   + 0     Linux's entries of the first megabyte       what the hardware has no bits for: young, dirty, present
#   + 1024  Linux's entries of the second
#   + 2048  the hardware's of the first                 where the first-level words point to
#   + 3072  the hardware's of the second

PAGE = 4096
ram, pgd = k.machine.ram, k.mm.init_mm.pgd_pa

va = vmalloc(3 << 20)
one = (va + (2 << 20) - 1) & -(2 << 20)  # the first two megabytes that one page of entries serves
first, second = (ram.read32(pgd + 4 * ((one >> 20) + i)) for i in range(2))
# Two first-level words, and both name the upper half of one page: its third and its fourth quarter.
assert first & 3 == second & 3 == 1
table = first & ~0x3FF
assert table % PAGE == 2048
assert second & ~0x3FF == table + 1024

index = 5
linux, hardware = ram.read32(table - 2048 + 4 * index), ram.read32(table + 4 * index)
# Both have the frame; below it lie different bits.
assert linux >> 12 == hardware >> 12 == vmalloc_to_pfn(one + index * PAGE)
assert linux & 1  # L_PTE_PRESENT
assert linux & 1 << 1  # L_PTE_YOUNG
assert linux & 1 << 6  # L_PTE_DIRTY
assert hardware & 2  # a small page; bit 0 is XN here
assert (linux >> 9 & 1, hardware & 1) == (1, 1)  # L_PTE_XN, XN: not to be executed

# A page that may not be written: L_PTE_RDONLY in one half, APX in the other.
assert (linux >> 7 & 1, hardware >> 9 & 1) == (0, 0)

# A section needs no such page: lowmem is mapped by first-level words alone.
word = ram.read32(pgd + 4 * (k.phys_to_virt(k.mm.phys_offset + (64 << 20)) >> 20))
assert word & 3 == 2
print(vtop(one + index * PAGE))
