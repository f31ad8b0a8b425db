# bootsim: vexpress.dts --mem 1G --config 3G/1G
"""Where does the first page table lie, what does __create_page_tables write there, and why are there pages later on?"""

MIB, PAGE = 1 << 20, 4096
symbols, ram, table = k.build.symbols, k.machine.ram, k.mm.init_mm.pgd_pa

# 16 KiB, a word for each megabyte of 4 GiB, right below the kernel's code and aligned to their own size.
assert table == k.mm.phys_offset + 0x4000
assert table + 4096 * 4 == k.virt_to_phys(symbols.text)
assert table % (16 << 10) == 0


def words(kernel):
    return {i: word for i in range(4096) if (word := kernel.machine.ram.read32(table + 4 * i))}


# head.S clears them all, and writes three mappings of sections: the switch's megabyte to itself, the kernel up to its
# end, two megabytes around the device tree.
early = branch()
for i in range(0, 4096, 7):
    early.k.machine.ram.write32(table + 4 * i, 0xDEADBEEF)
early.create_page_tables()
first = words(early.k)
identity = k.virt_to_phys(symbols.turn_mmu_on) >> 20
image = range(k.build.config.PAGE_OFFSET >> 20, (symbols.end - 1 >> 20) + 1)
tree = range(0xFF800000 >> 20, (0xFF800000 >> 20) + 2)
assert sorted(first) == sorted([identity, *image, *tree])
assert all(word & 3 == 2 for word in first.values())  # sections, each of them
assert first[identity] == first[symbols.turn_mmu_on >> 20]
print(f"{len(first)} words: 1 for the switch, {len(image)} for the kernel, {len(tree)} for the tree")

# A section's word, bit by bit: base, who may do what (APX, AP), the kind of memory (TEX, C, B), shared or not, domain.
word = first[image[0]]
assert word >> 20 == k.mm.phys_offset >> 20
assert (word >> 15 & 1, word >> 10 & 3) == (0, 0b11)  # everyone may do everything: for the moment
assert (word >> 12 & 7, word >> 2 & 3) == (0b001, 0b11)  # write-back, write-allocate
assert (word >> 5 & 15, word >> 18 & 1) == (0, 0)  # domain 0, no supersection
assert early.k.translate(0xC0000000 + 123 * PAGE).kind == "section"

# paging_init() writes all of it again: rights that differ by megabytes, device memory, the vectors.
later = words(k)
assert identity not in later
assert k.translate(symbols.text + MIB, "execute")
assert not k.translate(symbols.text + MIB, "write")

# Why pages, where a section is one word? It is all or nothing: one megabyte, one right, one kind of memory. The vectors
# are a page that programs may read, the next is one that they may not, and nothing is mapped behind them.
vectors = later[0xFFFF0000 >> 20]
assert vectors & 3 == 1  # the word leads to a second-level table of 256 words
second = (vectors & ~0x3FF) + (0xFFFF0000 >> 12 & 0xFF) * 4
assert [ram.read32(second + 4 * i) & 3 != 0 for i in range(4)] == [True, True, False, False]
assert k.translate(0xFFFF0000, privileged=False)
assert not k.translate(0xFFFF1000, privileged=False)

# A small page's word: base, TEX, C, B, AP, APX, nG, S, and XN in bit 0, as bit 1 alone says that it is one.
page = ram.read32(second)
assert page >> 12 == k.mm.vectors_page_pa >> 12
assert page & 2
assert (page >> 9 & 1, page >> 4 & 3, page & 1) == (1, 0b11, 0)  # read-only for all, may be executed
print(vtop(0xFFFF0000))
