# bootsim: vexpress.dts --mem 1G --config 3G/1G --smp 2 --cmdline "earlycon=pl011,0x10009000"
"""What is an address good for that is known when the kernel is compiled? A console before there is ioremap()."""

PAGE = 4096
TOP = 0xFFEFF000  # FIXADDR_TOP: slots count downwards

# Slot 0 is the early console's: its registers were mapped there before there was an allocator of pages or addresses.
assert k.translate(TOP).pa == 0x10009000
assert k.translate(TOP).memory.type == "device"

# The slots behind it are kmap_atomic()'s, 16 for each processor, each a page.
page = alloc_page(GFP_HIGHUSER)
for cpu_number in range(2):
    with cpu(cpu_number):
        va = kmap_atomic(page)
        assert va == TOP - (1 + 16 * cpu_number) * PAGE
        assert k.translate(va).pa == page.pa
        kunmap_atomic(va)

# The entry stays when the slot is given back: the next mapping writes over it, and flushes the TLB.
assert k.translate(TOP - PAGE).pa == page.pa

# early_fixmap_init() gave these addresses a page table of the kernel's own image, bm_pte, long before there was an
# allocator; early_ioremap_setup() makes seven slots of 32 pages of them, to look at firmware's tables with.
slots = [early_ioremap(0x10009000, PAGE) for _ in range(7)]
assert [slots[i + 1] - slots[i] for i in range(6)] == [32 * PAGE] * 6
assert all(0xFFC80000 <= va < TOP for va in slots)
assert k.translate(slots[0]).memory.type == "device"
assert early_ioremap(0x10009000, PAGE) == 0  # an eighth: none is free
for va in slots:
    early_iounmap(va, PAGE)
    assert not k.translate(va)

# Each slot has its number when the kernel is compiled: __set_fixmap() writes one entry, and allocates nothing.
before = str(cat("/proc/buddyinfo"))
__set_fixmap(200, 0x10009000, PAGE_KERNEL())
assert k.translate(TOP - 200 * PAGE).pa == 0x10009000
assert str(cat("/proc/buddyinfo")) == before
