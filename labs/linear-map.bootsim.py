# bootsim: vexpress.dts --mem 1G --config 3G/1G
"""Where is the linear map, what does it cost to go from a virtual address to a physical one, and where does it end?"""

MIB = 1 << 20
start, end = k.build.config.PAGE_OFFSET, k.mm.high_memory

# One subtraction and one addition: the same for every address of lowmem. The page tables say the same.
for va in range(start + MIB, end, 7 * MIB + 4096):
    assert k.virt_to_phys(va) == va - start + k.mm.phys_offset
    assert k.translate(va).pa == k.virt_to_phys(va)
    assert k.phys_to_virt(k.virt_to_phys(va)) == va

# Beyond its end the formula still gives a number, and it means nothing.
assert not k.translate(end)
assert k.virt_to_phys(end) >> 12 == k.mm.max_low_pfn

# RAM beyond lowmem is high memory: struct pages it has, an address it has not.
assert page_zone_name(k.mm.max_low_pfn - 1) == "Normal"
assert page_zone_name(k.mm.max_low_pfn) == "HighMem"
assert k.page(k.mm.max_low_pfn).va is None
print(f"lowmem: {(end - start) // MIB} MiB of {(k.mm.max_pfn - (k.mm.phys_offset >> 12)) >> 8} MiB")
