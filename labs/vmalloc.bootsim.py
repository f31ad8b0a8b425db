# bootsim: vexpress.dts --mem 1G --config 3G/1G
"""What does vmalloc() do that kmalloc() does not, which pages does it take, and how much can it give?"""

PAGE = 4096
MIB = 1 << 20


def frames(va, size):
    return [vmalloc_to_pfn(va + at) for at in range(0, size, PAGE)]


# kmalloc() gives consecutive frames, out of the linear mapping. vmalloc() gives consecutive addresses, elsewhere.
linear, elsewhere = kmalloc(MIB, GFP_KERNEL), vmalloc(MIB)
assert k.translate(linear + MIB - 1).pa - k.translate(linear).pa == MIB - 1
assert linear < k.mm.high_memory <= k.mm.layout.VMALLOC_START <= elsewhere

# Its pages come one by one, of high memory as long as there is some, and any will do.
assert {page_zone_name(pfn) for pfn in frames(elsewhere, MIB)} == {"HighMem"}
held = [alloc_page(GFP_HIGHUSER) for _ in range(k.zone("HighMem").managed)]
held = [page for page in held if page is not None]
mixed = vmalloc(4 * MIB)
assert "Normal" in {page_zone_name(pfn) for pfn in frames(mixed, 4 * MIB)}

# A page of lowmem then has two addresses, and a byte written to one is read at the other.
low = next(at for at in range(0, 4 * MIB, PAGE) if page_zone_name(vmalloc_to_pfn(mixed + at)) == "Normal")
alias = k.phys_to_virt(vmalloc_to_pfn(mixed + low) * PAGE)
k.machine.ram.write(k.translate(alias).pa, b"seen twice")
assert k.read(mixed + low, 10) == b"seen twice"

# Behind every area lies a page that nobody has, so that running over its end faults.
assert not k.translate(mixed + 4 * MIB)

for va in (elsewhere, mixed):
    vfree(va)
for page in held:
    __free_page(page)

# Addresses that were given back wait, to be flushed out of the TLB together; the same ones do not come at once.
again = vmalloc(MIB)
assert again != elsewhere
assert "unpurged vm_area" in cat("/proc/vmallocinfo")
vfree(again)

# The most it can give is the largest hole in the area, less the guard page: addresses run out before memory does.
vm_unmap_aliases()
total = 0xFF800000 - k.mm.layout.VMALLOC_START
low, high = PAGE, total + PAGE
while high - low > PAGE:
    middle = (low + high) // 2 & -PAGE
    other = branch()
    low, high = (middle, high) if other.vmalloc(middle) else (low, middle)
holes = [end - start for start, end in k.mm.vmap.areas.free if start < 0xFF800000 and end > k.mm.layout.VMALLOC_START]
print(f"the area has {total // MIB} MiB, the most that vmalloc() gives at once is {low // 1024} KiB")
assert low < total
assert low + PAGE <= max(min(size, total) for size in holes)
assert vmalloc(high) == 0
