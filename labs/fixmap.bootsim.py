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
